/* Counters, gauges and histograms, declared in one table and printed as Prometheus text. Thread-safe (relaxed
   atomics). One of the two globals of the program (the other: log). Never a user or a city as a label. */
#pragma once

#include "causeway/buffer.h"

#include <stdint.h>

/* X(id, type, name, help, label): label is "" or the label's name, whose values are given at metric_label; or
   two names with a comma, for metric_labels. */
#define METRICS_TABLE(X)                                                                                     \
    X(BUILD_INFO, GAUGE, "causeway_build_info", "Always 1; the label tells the version.", "version")         \
    X(RECORDS, COUNTER, "causeway_kafka_records_total", "Records read from Kafka.", "topic")                 \
    X(REJECTED, COUNTER, "causeway_kafka_records_rejected_total", "Records skipped, by reason.", "reason")   \
    X(WARNED, COUNTER, "causeway_kafka_records_warned_total",                                                \
        "Records delivered although their payload breaks its schema.", "topic")                              \
    X(KAFKA_UP, GAUGE, "causeway_kafka_up", "1 while every partition is assigned and a broker answers.", "") \
    X(LAG, GAUGE, "causeway_kafka_lag_records", "Records between the position and the high watermark.",      \
        "partition")                                                                                         \
    X(ENTRIES, COUNTER, "causeway_hotlog_entries_total", "Events appended to the hot log.", "")              \
    X(HOTLOG_BYTES, GAUGE, "causeway_hotlog_bytes", "Bytes of frames that the hot log holds.", "")           \
    X(CONNECTIONS, GAUGE, "causeway_connections", "Open connections.", "transport")                          \
    X(OPENED, COUNTER, "causeway_connections_opened_total", "Connections that were opened.", "transport")    \
    X(CLOSED, COUNTER, "causeway_connections_closed_total", "WebSocket closes sent or received, by code.",   \
        "code")                                                                                              \
    X(ENGINE_ENDS, COUNTER, "causeway_socketio_sessions_closed_total",                                       \
        "Engine.IO sessions that ended, by "                                                                 \
        "reason.",                                                                                           \
        "reason")                                                                                            \
    X(UPGRADES, COUNTER, "causeway_socketio_upgrades_total",                                                 \
        "Sessions that went from polling to WebSocket.", "")                                                 \
    X(SESSIONS_BEHIND, GAUGE, "causeway_sessions_behind", "Sessions whose position is not the head.", "")    \
    X(DELIVERED, COUNTER, "causeway_deliveries_total", "Events handed over to sockets.", "")                 \
    X(DELIVERED_BYTES, COUNTER, "causeway_delivered_bytes_total", "Bytes of events handed over to sockets.", \
        "")                                                                                                  \
    X(RESUMES, COUNTER, "causeway_resumes_total", "Cursors that clients came back with, by result.",         \
        "result")                                                                                            \
    X(BEHIND_EVENTS, COUNTER, "causeway_replayed_events_total",                                              \
        "Events handed over to sessions that were behind.", "")                                              \
    X(UNACKNOWLEDGED, COUNTER, "causeway_unacknowledged_total",                                              \
        "Walks of what clients did not acknowledge, and clients given up, by outcome.", "outcome")           \
    X(GAPS, COUNTER, "causeway_gaps_total", "Gap messages sent, by reason.", "reason")                       \
    X(MESSAGES, COUNTER, "causeway_client_messages_total", "Messages from clients, by type.", "type")        \
    X(ERRORS, COUNTER, "causeway_client_errors_total", "Error messages to clients, by code.", "code")        \
    X(AUTH, COUNTER, "causeway_authentications_total", "Credentials judged, by result.", "result")           \
    X(TOKENS, COUNTER, "causeway_tokens_total", "Tokens judged: verified, cached, or why refused.",          \
        "result")                                                                                            \
    X(TOKEN_KEYS, GAUGE, "causeway_token_keys", "Keys that tokens are verified with.", "algorithm")          \
    X(TOKEN_KEY_LOADS, COUNTER, "causeway_token_key_loads_total",                                            \
        "Times that keys were read or fetched, by result.", "result")                                        \
    X(TOKEN_KEYS_FETCHED, GAUGE, "causeway_token_keys_fetched_seconds",                                      \
        "Unix time of the last good fetch of JWKS_URL.", "")                                                 \
    X(LIMIT_HITS, COUNTER, "causeway_limit_hits_total", "What a limit has refused, by limit.", "limit")      \
    X(RELOADS, COUNTER, "causeway_catalogue_reloads_total", "Reloads of the catalogue, by result.",          \
        "result")                                                                                            \
    X(RELOAD_PAUSE, HISTOGRAM, "causeway_reload_pause_seconds",                                              \
        "For so long a new catalogue kept the Kafka thread from its records.", "")                           \
    X(EXPIRED, COUNTER, "causeway_connections_expired_total",                                                \
        "Connections that were closed because their token had expired.", "")                                 \
    X(JOINS, COUNTER, "causeway_room_decisions_total", "Requests to join a room, by outcome.", "outcome")    \
    X(DECISIONS, COUNTER, "causeway_rights_decisions_total",                                                 \
        "Rooms that were granted, refused or withdrawn, by the pattern of the room and result.",             \
        "rule,result")                                                                                       \
    X(LOOKUP_SECONDS, HISTOGRAM, "causeway_lookup_seconds",                                                  \
        "From asking for a right to its answer, the wait for a connection included.", "")                    \
    X(WITHDRAWN, COUNTER, "causeway_rights_withdrawn_total", "Rooms whose right ended while connected.",     \
        "reason")                                                                                            \
    X(CHANGES, COUNTER, "causeway_rights_changes_total", "Changes of rights heard of, by source.", "source") \
    X(CHANGES_UNREAD, COUNTER, "causeway_rights_changes_unread_total",                                       \
        "Records of GRANTS_TOPIC that name no changed right.", "")                                           \
    X(SESSIONS_HELD, GAUGE, "causeway_sessions_held", "Sessions that get nothing: rights in doubt.", "")     \
    X(LOOKUPS_LIVE, GAUGE, "causeway_lookups_live", "Distinct lookups that rights rest on, per loop.", "")   \
    X(LOOKUPS_REUSED, COUNTER, "causeway_lookups_reused_total", "Lookups that needed no query.", "")         \
    X(DB_UP, GAUGE, "causeway_database_up", "1 while PostgreSQL answers.", "")                               \
    X(DB_QUERIES, COUNTER, "causeway_database_queries_total", "Queries sent, by lookup outcome.", "outcome") \
    X(DB_SHARED, COUNTER, "causeway_database_shared_total", "Lookups that shared a query in flight.", "")    \
    X(REPLAYED, COUNTER, "causeway_replay_records_total", "Records read from Kafka's history.", "")          \
    X(CHECKPOINTS, COUNTER, "causeway_checkpoints_written_total", "Checkpoints that Kafka acknowledged.",    \
        "")                                                                                                  \
    X(CHECKPOINT_READS, COUNTER, "causeway_checkpoint_reads_total", "Checkpoints asked for, by outcome.",    \
        "outcome")                                                                                           \
    X(CHECKPOINT_FETCHES, COUNTER, "causeway_checkpoint_fetches_total",                                      \
        "Times that checkpoints had to be read from Kafka.", "")                                             \
    X(DEAD_LETTERS, COUNTER, "causeway_dead_letters_total",                                                  \
        "Dead letters that this instance wrote, by reason.", "reason")                                       \
    X(DEAD_LETTER_FAILURES, COUNTER, "causeway_dead_letter_failures_total",                                  \
        "Attempts to write dead letters that failed.", "")                                                   \
    X(DEAD_LETTER_LAG, GAUGE, "causeway_dead_letter_lag_records",                                            \
        "Records that this instance has yet to judge for dead letters.", "")                                 \
    X(DELAY, HISTOGRAM, "causeway_delivery_delay_seconds", "From the record's timestamp to the hot log.", "")

enum metric_id {
#define X(id, type, name, help, label) METRIC_##id,
    METRICS_TABLE(X)
#undef X
        METRIC_COUNT
};

struct metric; /* one time series; never freed, so keep the pointer */

/* The series of a metric without a label. */
struct metric *metric_get(enum metric_id id);

/* The series of that label value, created on first use; at most 512 per metric, then one "other" for the
 * rest. */
struct metric *metric_label(enum metric_id id, const char *value);

/* ... of that pair of values. */
struct metric *metric_labels(enum metric_id id, const char *first, const char *second);

void metric_add(struct metric *m, int64_t by);    /* counters (by >= 0) and gauges */
void metric_set(struct metric *m, int64_t value); /* gauges only */

/* Histograms: buckets .001 .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10. A negative delay counts as 0. */
void metric_observe(struct metric *m, double seconds);

int64_t metric_value(const struct metric *m); /* of a histogram: the number of observations */

/* Prometheus text 0.0.4, plus process_* of this process. Sets BUILD_INFO if nobody did. */
void metrics_print(struct buffer *out);
