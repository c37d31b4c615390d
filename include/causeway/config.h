/* Settings: one table that loads, validates and documents. Values end up in one immutable struct config.
   Order: --set, environment, .env file, default. Unknown or unsafe settings are faults. Main thread only. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

/* X(member, kind, name, default, min, max, secret, help). Kinds: TEXT (char *),
   LIST (char *, comma list; after loading without blanks and empty items), NUMBER (int64_t), BYTES (int64_t,
   "64MiB"), SECONDS (int64_t). min and max hold for numbers; for TEXT and LIST min is the least length, max
   is unused. */
#define CONFIG_TABLE(X)                                                                                      \
    X(port, LIST, "PORT", "3000", 1, 0, false, "ports to listen on, a comma list; 0 picks a free one")       \
    X(host, TEXT, "HOST", "::", 1, 0, false, "address to listen on; :: is all of IPv6 and IPv4")             \
    X(port_file, TEXT, "PORT_FILE", "", 0, 0, false, "file that gets the bound ports once they listen")      \
    X(kafka_brokers, LIST, "KAFKA_BROKERS", "localhost:9092", 1, 0, false,                                   \
        "Kafka brokers, host:port, a comma list")                                                            \
    X(database_url, TEXT, "DATABASE_URL", "postgresql://localhost/postgres", 0, 0, true,                     \
        "PostgreSQL, as libpq reads it")                                                                     \
    X(database_pool, NUMBER, "DATABASE_POOL", "4", 1, 64, false, "connections to PostgreSQL")                \
    X(jwt_secret, TEXT, "JWT_SECRET", "", 0, 0, true,                                                        \
        "HS256 key, at least 32 bytes (shorter only with --dev)")                                            \
    X(jwt_keys, LIST, "JWT_KEYS", "", 0, 0, false,                                                           \
        "files with further keys, a comma list: JWK Sets, PEM public keys")                                  \
    X(jwks_url, TEXT, "JWKS_URL", "", 0, 0, false, "https address of the identity provider's JWK Set")       \
    X(jwks_ca_file, TEXT, "JWKS_CA_FILE", "", 0, 0, false,                                                   \
        "certificates, PEM, that its server is checked by; empty: the system's")                             \
    X(jwks_refresh, SECONDS, "JWKS_REFRESH", "300", 1, 86400, false, "between two fetches of it")            \
    X(jwks_cooldown, SECONDS, "JWKS_COOLDOWN", "5", 1, 3600, false,                                          \
        "at least between two fetches when tokens name unknown keys")                                        \
    X(jwks_lease, SECONDS, "JWKS_LEASE", "86400", 1, 31536000, false,                                        \
        "its keys hold so long when it cannot be fetched")                                                   \
    X(jwt_user_claims, LIST, "JWT_USER_CLAIMS", "sub,userId,id", 1, 0, false,                                \
        "claims that may name the user, the first present wins")                                             \
    X(jwt_issuer, TEXT, "JWT_ISSUER", "", 0, 0, false, "required iss claim; empty: not checked")             \
    X(jwt_audience, TEXT, "JWT_AUDIENCE", "", 0, 0, false, "required aud claim; empty: not checked")         \
    X(jwt_leeway, SECONDS, "JWT_LEEWAY", "30", 0, 300, false, "clock difference that is forgiven")           \
    X(jwt_cache, NUMBER, "JWT_CACHE", "10000", 0, 10000000, false, "verified tokens that are remembered")    \
    X(jwt_expiry_warning, SECONDS, "JWT_EXPIRY_WARNING", "60", 0, 86400, false,                              \
        "auth-expiring comes so long before a token expires; 0: never")                                      \
    X(frontend_url, LIST, "FRONTEND_URL", "", 0, 0, false,                                                   \
        "origins that browsers may come from, a comma list; empty: any")                                     \
    X(catalogue, TEXT, "CATALOGUE", "asyncapi/asyncapi.yaml", 1, 0, false, "the AsyncAPI document")          \
    X(loops, NUMBER, "LOOPS", "1", 0, 256, false, "threads that serve connections; 0: one per core")         \
    X(hot_log_bytes, BYTES, "HOT_LOG_BYTES", "64MiB", 65536, 1099511627776, false, "frames kept in memory")  \
    X(catch_up_readers, NUMBER, "CATCH_UP_READERS", "2", 1, 7, false,                                        \
        "sweeps through Kafka's past at one time")                                                           \
    X(catch_up_bytes, BYTES, "CATCH_UP_BYTES", "16MiB", 65536, 1099511627776, false,                         \
        "window of each of them")                                                                            \
    X(checkpoint_topic, TEXT, "CHECKPOINT_TOPIC", "causeway.checkpoints", 1, 0, false,                       \
        "where cursors find their place again")                                                              \
    X(dead_letter_topic, TEXT, "DEAD_LETTER_TOPIC", "causeway.dead-letters", 0, 0, false,                    \
        "where records go that cannot be routed; empty: nowhere")                                            \
    X(dead_letter_group, TEXT, "DEAD_LETTER_GROUP", "causeway.dead-letters", 1, 0, false,                    \
        "consumer group of all instances that write them")                                                   \
    X(event_max_bytes, BYTES, "EVENT_MAX_BYTES", "1MiB", 1024, 16777216, false,                              \
        "largest record value that is carried")                                                              \
    X(message_max_bytes, BYTES, "MESSAGE_MAX_BYTES", "64KiB", 256, 16777216, false,                          \
        "largest message from a client")                                                                     \
    X(socket_send_buffer, BYTES, "SOCKET_SEND_BUFFER", "128KiB", 4096, 16777216, false,                      \
        "SO_SNDBUF of each connection")                                                                      \
    X(rooms_max, NUMBER, "ROOMS_MAX", "1000", 1, 100000, false, "rooms one session may stand in")            \
    X(message_rate, NUMBER, "MESSAGE_RATE", "100", 0, 100000, false,                                         \
        "messages per second from one connection; 0: any number, as for all of these")                       \
    X(message_rate_user, NUMBER, "MESSAGE_RATE_USER", "1000", 0, 100000, false,                              \
        "messages per second from all connections of one user")                                              \
    X(message_rate_address, NUMBER, "MESSAGE_RATE_ADDRESS", "0", 0, 1000000, false,                          \
        "messages per second from one address")                                                              \
    X(join_rate, NUMBER, "JOIN_RATE", "100", 0, 100000, false,                                               \
        "rooms per second that one connection asks for")                                                     \
    X(join_rate_user, NUMBER, "JOIN_RATE_USER", "500", 0, 100000, false,                                     \
        "rooms per second that all connections of one user ask for")                                         \
    X(connections_user, NUMBER, "CONNECTIONS_USER", "500", 0, 1000000, false, "connections of one user")     \
    X(connect_rate_address, NUMBER, "CONNECT_RATE_ADDRESS", "500", 0, 1000000, false,                        \
        "new connections per second from one address")                                                       \
    X(unauthenticated_address, NUMBER, "UNAUTHENTICATED_ADDRESS", "1000", 0, 1000000, false,                 \
        "connections of one address that have shown no good credential yet")                                 \
    X(login_failures_address, NUMBER, "LOGIN_FAILURES_ADDRESS", "600", 0, 1000000, false,                    \
        "bad credentials per minute from one address")                                                       \
    X(trusted_proxies, LIST, "TRUSTED_PROXIES", "", 0, 0, false,                                             \
        "addresses and networks whose X-Forwarded-For is believed, a comma list")                            \
    X(ping_interval, SECONDS, "PING_INTERVAL", "30", 1, 3600, false, "between pings to each client")         \
    X(life_timeout, SECONDS, "LIFE_TIMEOUT", "60", 2, 7200, false,                                           \
        "a connection without life for so long is closed (4408)")                                            \
    X(auth_timeout, SECONDS, "AUTH_TIMEOUT", "5", 1, 300, false, "for a credential to arrive, then 4401")    \
    X(namespace_timeout, SECONDS, "NAMESPACE_TIMEOUT", "45", 1, 300, false,                                  \
        "for a Socket.IO client to be let into its first namespace")                                         \
    X(hold_timeout, SECONDS, "HOLD_TIMEOUT", "10", 1, 300, false,                                            \
        "new connections wait so long for PostgreSQL, then 1013")                                            \
    X(ack_timeout, SECONDS, "ACK_TIMEOUT", "10", 1, 3600, false,                                             \
        "an event that is to be acknowledged, and is not, is sent again after so long")                      \
    X(grants_lease, SECONDS, "GRANTS_LEASE", "30", 3, 3600, false,                                           \
        "rights hold so long when PostgreSQL is not heard from, then events wait")                           \
    X(grants_backfill, SECONDS, "GRANTS_BACKFILL", "5", 0, 600, false,                                       \
        "a room granted while connected begins so long before its grant")                                    \
    X(grants_poll, SECONDS, "GRANTS_POLL", "0", 0, 3600, false,                                              \
        "every right is looked up again so often; 0: when a change is notified")                             \
    X(grants_topic, TEXT, "GRANTS_TOPIC", "", 0, 0, false,                                                   \
        "topic whose records name changed rights; empty: none")                                              \
    X(drain_timeout, SECONDS, "DRAIN_TIMEOUT", "10", 0, 600, false, "closing all connections after SIGTERM") \
    X(log_level, TEXT, "LOG_LEVEL", "info", 0, 0, false, "debug, info, warn or error")                       \
    X(log_format, TEXT, "LOG_FORMAT", "text", 0, 0, false, "text or json")

#define CONFIG_TYPE_TEXT const char *
#define CONFIG_TYPE_LIST const char *
#define CONFIG_TYPE_NUMBER int64_t
#define CONFIG_TYPE_BYTES int64_t
#define CONFIG_TYPE_SECONDS int64_t

struct config_property { /* kafka.<name>=<value> */
    const char *name;
    const char *value;
};

struct config {
#define X(member, kind, name, fallback, min, max, secret, help) CONFIG_TYPE_##kind member;
    CONFIG_TABLE(X)
#undef X
    struct config_property *kafka;
    size_t kafka_count;
    bool dev;
    int64_t replay_examples; /* set by serve: seconds between two rounds of the examples; 0: the real thing */
};

struct config_sources {
    const char *const *environment; /* environ: NAME=value, NULL-terminated */
    const char *dotenv;             /* text of the .env file, or NULL */
    const char *const *overrides;   /* NAME=value of --set, NULL-terminated, or NULL */
    bool dev;
};

/* NULL: `faults` has one line per fault, each naming the setting. A fault never repeats a secret. In the
   environment only known names, CAUSEWAY_* (refused: unknown; but Kubernetes' service links are let pass) and
   kafka.* are looked at; in .env and --set every name must be known. What judges tokens (serve) asks by
   need_keys that there are keys for it. */
struct config *config_load(const struct config_sources *sources, bool need_keys, struct buffer *faults);
void config_destroy(struct config *c);
void config_help(struct buffer *out); /* the table for --help and the README */
