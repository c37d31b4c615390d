/* How often a connection, a user and an address may do something, and how many connections an address may
   have that have shown no credential. Users and addresses have one account for all loops of the process, and
   keep it until it would be full again anyway, so that coming back pays nothing off. Time comes from outside:
   monotonic ms.
   @thread any; an allowance belongs to the loop of its connection. */
#pragma once

#include "causeway/slice.h"

#include <stdint.h>

/* X(id, label, unit): what is limited, its name in the metric, and in what it is counted. A rate lets through
   at once what ten seconds (SECOND) or a minute (MINUTE) bring; AT_ONCE is a number of things that are there.
   The last three have settings of their own elsewhere, and are only counted here. */
#define LIMIT_TABLE(X)                                                                                       \
    X(MESSAGES, "messages", SECOND)                                                                          \
    X(USER_MESSAGES, "user_messages", SECOND)                                                                \
    X(ADDRESS_MESSAGES, "address_messages", SECOND)                                                          \
    X(JOINS, "joins", SECOND)                                                                                \
    X(USER_JOINS, "user_joins", SECOND)                                                                      \
    X(USER_CONNECTIONS, "user_connections", AT_ONCE)                                                         \
    X(ADDRESS_CONNECTS, "address_connects", SECOND)                                                          \
    X(ADDRESS_UNAUTHENTICATED, "address_unauthenticated", AT_ONCE)                                           \
    X(ADDRESS_FAILURES, "address_login_failures", MINUTE)                                                    \
    X(MESSAGE_SIZE, "message_size", AT_ONCE)                                                                 \
    X(ROOMS, "rooms", AT_ONCE)                                                                               \
    X(HANDSHAKE, "handshake_time", AT_ONCE)

enum limit {
#define X(id, label, unit) LIMIT_##id,
    LIMIT_TABLE(X)
#undef X
        LIMIT_COUNT
};

struct limits;
struct account;   /* of one user or one address */
struct allowance; /* of one connection: counted references. NULL is one without limits, everywhere below */

/* `most` per unit; 0: no limit. */
struct limits *limits_create(const uint32_t most[LIMIT_COUNT]);
void limits_destroy(struct limits *l); /* after its last allowance */
size_t limits_accounts(struct limits *l);

/* Counts one hit in the metric: for limits that are not kept here. */
void limit_hit(enum limit limit);

/* A connection from this address, whatever bytes that are; empty: one that only the limits per connection
   hold for. It has shown no credential yet. */
struct allowance *allowance_create(struct limits *l, struct slice address, uint64_t now);
struct allowance *allowance_hold(struct allowance *a);
/* One for a session that begins on the connection of `a`: that one, or when another session has it already a
   new one from the same address, so that what is counted by connections is not got around by having one.
   `*wait`: as of allowance_enter. */
struct allowance *allowance_for_session(struct allowance *a, uint64_t now, uint64_t *wait);
void allowance_release(struct allowance *a);
/* What is spent of the rate of messages, for the allowance that the same connection gets on another loop:
   else going to and fro would earn it. */
uint64_t allowance_spent(const struct allowance *a);
void allowance_spend(struct allowance *a, uint64_t spent);
bool allowance_is_of(const struct allowance *a, struct slice address);

/* All below: 0, or after how many ms it may be tried again; then it is a hit of some limit. */

/* May it be let in? `again`: it was counted before, on another loop. */
uint64_t allowance_enter(struct allowance *a, bool again, uint64_t now);
uint64_t allowance_take_message(struct allowance *a, struct account *user, uint64_t now);
uint64_t allowance_take_join(struct allowance *a, struct account *user, uint64_t now);
/* May a credential be judged, after those that have failed? */
uint64_t allowance_may_login(struct allowance *a, uint64_t now);
void allowance_login_failed(struct allowance *a, uint64_t now);
/* Its credential was good, and is this user's: *account is to be left at its end (NULL: none). */
uint64_t allowance_identify(struct allowance *a, struct slice user, struct account **account, uint64_t now);
void allowance_leave(struct allowance *a, struct account *account);

/* It has shown what only somebody with a good credential can know: the session that `by` is of. A session
   vouches for as many connections as a client that polls may need, and no more. */
void allowance_vouch(struct allowance *a, struct allowance *by);
bool allowance_is_vouched(const struct allowance *a);
void allowance_unvouch(struct allowance *a); /* nobody with a credential is there any more */
/* It goes on sending although it was refused: more often than the limit would ever have let through at once.
 */
bool allowance_is_flooding(const struct allowance *a);
