#include "causeway/limits.h"

#include "causeway/lock.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    KEY_MAX = 129,           /* a kind, and a user id of 128 bytes */
    IDLE_MAX = 65536,        /* accounts that are kept for their debts alone */
    AT_ONCE_RETRY_MS = 5000, /* nobody knows when one of them goes */
    FLOOD_LEAST = 100,
    VOUCHED_MAX = 16 /* browsers use six, and may still have those of the page before */
};

#define SECOND_US UINT64_C(1000000)
#define SECOND_SLACK_US (10 * SECOND_US)
#define MINUTE_US (60 * SECOND_US)

/* Of time: the moment at which all is paid off (the "generic cell rate algorithm"). Each thing that is let
   through moves it on by one interval; further than `slack` ahead of now nothing is let through. */
struct rule {
    uint64_t interval_us; /* 0: no limit */
    uint64_t slack_us;
    uint32_t most; /* of AT_ONCE */
};

struct account {
    struct account *next, *previous; /* while idle */
    uint32_t holds;
    bool idle;
    atomic_uint present; /* address: those without a credential; user: its connections */
    _Atomic uint64_t paid_at[LIMIT_COUNT];
    size_t key_size;
    char key[];
};

struct limits {
    struct rule rules[LIMIT_COUNT];
    _Atomic uint64_t clock_us;
    struct lock lock; /* of all below, and of holds and idle of the accounts */
    struct map *accounts;
    struct account *first_idle, *last_idle;
    size_t idle;
};

struct allowance {
    struct limits *limits;
    struct account *address; /* NULL: none is limited, and no user either */
    uint32_t holds;
    uint32_t refused; /* less what was let through since */
    bool counted;     /* among those without a credential */
    bool vouched;
    struct allowance *voucher; /* held; NULL: its own credential */
    uint32_t vouched_for;      /* others */
    _Atomic uint64_t messages, joins;
};

static const char *const labels[] = {
#define X(id, label, unit) label,
    LIMIT_TABLE(X)
#undef X
};

void limit_hit(enum limit limit)
{
    metric_add(metric_label(METRIC_LIMIT_HITS, labels[limit]), 1);
}

/* --- rates --- */

static struct rule rule_SECOND(uint32_t most)
{
    return (struct rule){most ? (SECOND_US + most - 1) / most : 0, SECOND_SLACK_US, most};
}

static struct rule rule_MINUTE(uint32_t most)
{
    return (struct rule){most ? (MINUTE_US + most - 1) / most : 0, MINUTE_US, most};
}

static struct rule rule_AT_ONCE(uint32_t most)
{
    return (struct rule){.most = most};
}

/* ms until one would be let through; 0: now, and *next is when all would be paid off then. */
static uint64_t wait_for(const struct rule *r, uint64_t paid_at, uint64_t now_us, uint64_t *next)
{
    *next = (paid_at > now_us ? paid_at : now_us) + r->interval_us;
    return *next > now_us + r->slack_us ? (*next - r->slack_us - now_us + 999) / 1000 : 0;
}

static uint64_t take(struct limits *l, enum limit limit, _Atomic uint64_t *paid_at, uint64_t now)
{
    const struct rule *r = &l->rules[limit];
    uint64_t now_us = now * 1000, next, old = atomic_load_explicit(paid_at, memory_order_relaxed);
    if (!r->interval_us)
        return 0;
    do {
        uint64_t wait = wait_for(r, old, now_us, &next);
        if (wait > 0) {
            limit_hit(limit);
            return wait;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        paid_at, &old, next, memory_order_relaxed, memory_order_relaxed));
    return 0;
}

/* --- accounts --- */

static bool owes_nothing(const struct limits *l, const struct account *x)
{
    uint64_t now_us = atomic_load_explicit(&l->clock_us, memory_order_relaxed);
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        if (atomic_load_explicit(&x->paid_at[i], memory_order_relaxed) > now_us)
            return false;
    return true;
}

static void stop_idling(struct limits *l, struct account *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        l->first_idle = x->next;
    if (x->next)
        x->next->previous = x->previous;
    else
        l->last_idle = x->previous;
    x->next = x->previous = NULL;
    x->idle = false;
    l->idle--;
}

static void begin_idling(struct limits *l, struct account *x)
{
    x->previous = l->last_idle;
    *(x->previous ? &x->previous->next : &l->first_idle) = x;
    l->last_idle = x;
    x->idle = true;
    l->idle++;
}

static void forget(struct limits *l, struct account *x)
{
    map_remove(l->accounts, (struct slice){x->key, x->key_size});
    free(x);
}

/* The oldest one, when it owes nothing any more or they are too many. As each that comes looks at one, they
 * are never more than that. */
static void review_idle(struct limits *l)
{
    struct account *x = l->first_idle;
    if (!x || (l->idle <= IDLE_MAX && !owes_nothing(l, x)))
        return;
    stop_idling(l, x);
    forget(l, x);
}

static struct account *hold_account(struct limits *l, char kind, struct slice name)
{
    char key[KEY_MAX] = {kind};
    CHECK(name.size < sizeof key);
    memcpy(key + 1, name.data, name.size);
    size_t size = name.size + 1;
    lock_take(&l->lock);
    review_idle(l);
    struct account *x = map_find(l->accounts, (struct slice){key, size});
    if (!x) {
        x = xcalloc(1, sizeof *x + size);
        x->key_size = size;
        memcpy(x->key, key, size);
        map_set(l->accounts, (struct slice){key, size}, x);
    }
    if (x->idle)
        stop_idling(l, x);
    x->holds++;
    lock_give(&l->lock);
    return x;
}

static void release_account(struct limits *l, struct account *x)
{
    lock_take(&l->lock);
    if (--x->holds == 0) {
        if (owes_nothing(l, x))
            forget(l, x);
        else
            begin_idling(l, x);
    }
    lock_give(&l->lock);
}

struct limits *limits_create(const uint32_t most[LIMIT_COUNT])
{
    struct limits *l = xcalloc(1, sizeof *l);
#define X(id, label, unit) l->rules[LIMIT_##id] = rule_##unit(most[LIMIT_##id]);
    LIMIT_TABLE(X)
#undef X
    lock_init(&l->lock);
    l->accounts = map_create();
    return l;
}

void limits_destroy(struct limits *l)
{
    if (!l)
        return;
    CHECK(map_count(l->accounts) == l->idle); /* else some are still in use */
    for (struct account *next, *x = l->first_idle; x; x = next) {
        next = x->next;
        free(x);
    }
    map_destroy(l->accounts);
    lock_finish(&l->lock);
    free(l);
}

size_t limits_accounts(struct limits *l)
{
    lock_take(&l->lock);
    size_t count = map_count(l->accounts);
    lock_give(&l->lock);
    return count;
}

/* --- connections --- */

static void note_time(struct limits *l, uint64_t now)
{
    atomic_store_explicit(&l->clock_us, now * 1000, memory_order_relaxed);
}

struct allowance *allowance_create(struct limits *l, struct slice address, uint64_t now)
{
    struct allowance *a = xcalloc(1, sizeof *a);
    a->limits = l;
    a->holds = 1;
    note_time(l, now);
    if (address.size > 0) {
        a->address = hold_account(l, 'a', address);
        a->counted = true;
        atomic_fetch_add_explicit(&a->address->present, 1, memory_order_relaxed);
    }
    return a;
}

struct allowance *allowance_hold(struct allowance *a)
{
    if (a)
        a->holds++;
    return a;
}

static struct slice address_of(const struct allowance *a)
{
    return a->address ? (struct slice){a->address->key + 1, a->address->key_size - 1}
                      : (struct slice){NULL, 0};
}

struct allowance *allowance_for_session(struct allowance *a, uint64_t now, uint64_t *wait)
{
    *wait = 0;
    if (!a || a->holds == 1)
        return allowance_hold(a);
    struct allowance *own = allowance_create(a->limits, address_of(a), now);
    *wait = allowance_enter(own, false, now);
    return own;
}

static void drop_voucher(struct allowance *a)
{
    struct allowance *by = a->voucher;
    a->voucher = NULL;
    if (by)
        by->vouched_for--;
    allowance_release(by);
}

static void stop_counting(struct allowance *a)
{
    if (a->counted)
        atomic_fetch_sub_explicit(&a->address->present, 1, memory_order_relaxed);
    a->counted = false;
}

void allowance_release(struct allowance *a)
{
    if (!a || --a->holds > 0)
        return;
    stop_counting(a);
    drop_voucher(a);
    if (a->address)
        release_account(a->limits, a->address);
    free(a);
}

uint64_t allowance_spent(const struct allowance *a)
{
    return a ? atomic_load_explicit(&a->messages, memory_order_relaxed) : 0;
}

void allowance_spend(struct allowance *a, uint64_t spent)
{
    if (a)
        atomic_store_explicit(&a->messages, spent, memory_order_relaxed);
}

bool allowance_is_of(const struct allowance *a, struct slice address)
{
    return a && slice_equal(address, address_of(a));
}

static bool too_many(struct limits *l, enum limit limit, struct account *x)
{
    uint32_t most = l->rules[limit].most;
    bool over = most > 0 && atomic_load_explicit(&x->present, memory_order_relaxed) > most;
    if (over)
        limit_hit(limit);
    return over;
}

uint64_t allowance_enter(struct allowance *a, bool again, uint64_t now)
{
    if (!a || !a->address)
        return 0;
    struct limits *l = a->limits;
    uint64_t wait =
        again ? 0 : take(l, LIMIT_ADDRESS_CONNECTS, &a->address->paid_at[LIMIT_ADDRESS_CONNECTS], now);
    if (wait == 0 && too_many(l, LIMIT_ADDRESS_UNAUTHENTICATED, a->address))
        wait = AT_ONCE_RETRY_MS;
    if (wait > 0)
        stop_counting(a); /* it is on its way out */
    return wait;
}

static uint64_t take_of(struct allowance *a, enum limit limit, struct account *x, uint64_t now)
{
    return x && a->address ? take(a->limits, limit, &x->paid_at[limit], now) : 0;
}

uint64_t allowance_take_message(struct allowance *a, struct account *user, uint64_t now)
{
    if (!a)
        return 0;
    note_time(a->limits, now);
    uint64_t wait = take(a->limits, LIMIT_MESSAGES, &a->messages, now);
    if (wait == 0)
        wait = take_of(a, LIMIT_USER_MESSAGES, user, now);
    if (wait == 0)
        wait = take_of(a, LIMIT_ADDRESS_MESSAGES, a->address, now);
    if (wait > 0)
        a->refused++;
    else if (a->refused > 0)
        a->refused--;
    return wait;
}

uint64_t allowance_take_join(struct allowance *a, struct account *user, uint64_t now)
{
    if (!a)
        return 0;
    uint64_t wait = take(a->limits, LIMIT_JOINS, &a->joins, now);
    return wait > 0 ? wait : take_of(a, LIMIT_USER_JOINS, user, now);
}

uint64_t allowance_may_login(struct allowance *a, uint64_t now)
{
    uint64_t next;
    if (!a || !a->address || !a->limits->rules[LIMIT_ADDRESS_FAILURES].interval_us)
        return 0;
    uint64_t paid_at =
        atomic_load_explicit(&a->address->paid_at[LIMIT_ADDRESS_FAILURES], memory_order_relaxed);
    uint64_t wait = wait_for(&a->limits->rules[LIMIT_ADDRESS_FAILURES], paid_at, now * 1000, &next);
    if (wait > 0)
        limit_hit(LIMIT_ADDRESS_FAILURES);
    return wait;
}

/* One that was allowed to be judged is paid for even when others were faster; who is refused costs nothing,
 * so the debt does not grow beyond that. */
void allowance_login_failed(struct allowance *a, uint64_t now)
{
    if (!a || !a->address || !a->limits->rules[LIMIT_ADDRESS_FAILURES].interval_us)
        return;
    _Atomic uint64_t *paid_at = &a->address->paid_at[LIMIT_ADDRESS_FAILURES];
    uint64_t next, old = atomic_load_explicit(paid_at, memory_order_relaxed);
    do
        (void)wait_for(&a->limits->rules[LIMIT_ADDRESS_FAILURES], old, now * 1000, &next);
    while (!atomic_compare_exchange_weak_explicit(
        paid_at, &old, next, memory_order_relaxed, memory_order_relaxed));
}

static void vouch(struct allowance *a)
{
    a->vouched = true;
    stop_counting(a);
}

uint64_t allowance_identify(struct allowance *a, struct slice user, struct account **account, uint64_t now)
{
    *account = NULL;
    if (!a)
        return 0;
    drop_voucher(a);
    vouch(a);
    if (!a->address)
        return 0;
    note_time(a->limits, now);
    *account = hold_account(a->limits, 'u', user);
    atomic_fetch_add_explicit(&(*account)->present, 1, memory_order_relaxed);
    if (!too_many(a->limits, LIMIT_USER_CONNECTIONS, *account))
        return 0;
    allowance_leave(a, *account);
    *account = NULL;
    return AT_ONCE_RETRY_MS;
}

void allowance_leave(struct allowance *a, struct account *account)
{
    if (!account)
        return;
    atomic_fetch_sub_explicit(&account->present, 1, memory_order_relaxed);
    release_account(a->limits, account);
}

/* One that is vouched for vouches for nobody, so there are no circles. */
void allowance_vouch(struct allowance *a, struct allowance *by)
{
    if (!a || !by || a == by || a->vouched || !by->vouched || by->voucher || by->vouched_for == VOUCHED_MAX)
        return;
    a->voucher = allowance_hold(by);
    by->vouched_for++;
    vouch(a);
}

bool allowance_is_vouched(const struct allowance *a)
{
    return a && a->vouched;
}

void allowance_unvouch(struct allowance *a)
{
    if (!a || !a->vouched)
        return;
    a->vouched = false;
    drop_voucher(a);
    if (!a->address)
        return;
    a->counted = true;
    atomic_fetch_add_explicit(&a->address->present, 1, memory_order_relaxed);
}

bool allowance_is_flooding(const struct allowance *a)
{
    if (!a)
        return false;
    uint32_t burst = a->limits->rules[LIMIT_MESSAGES].most * 10;
    return a->refused > (burst > FLOOD_LEAST ? burst : FLOOD_LEAST);
}
