#include "causeway/envelope.h"

#include "causeway/frame.h"
#include "causeway/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { ID_SEED = 0x6377 }; /* part of the ids that clients store: never to be changed */

/* Days since 1970-01-01 to a date of the Gregorian calendar, without the C library's locks and time zones. */
static void civil_date(int64_t days, int *year, int *month, int *day)
{
    days += 719468; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* `value` as `width` digits. */
static char *put_number(char *out, unsigned value, int width)
{
    for (int i = width; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + width;
}

void envelope_time(char out[32], int64_t time_ms)
{
    if (time_ms < 0 || time_ms > 253402300799999) /* beyond year 9999 */
        time_ms = 0;
    int year, month, day;
    civil_date(time_ms / 86400000, &year, &month, &day);
    unsigned ms = (unsigned)(time_ms % 86400000);
    const struct {
        unsigned value;
        int width;
        char behind;
    } fields[] = {{(unsigned)year, 4, '-'}, {(unsigned)month, 2, '-'}, {(unsigned)day, 2, 'T'},
        {ms / 3600000, 2, ':'}, {ms / 60000 % 60, 2, ':'}, {ms / 1000 % 60, 2, '.'}, {ms % 1000, 3, 'Z'}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        out = put_number(out, fields[i].value, fields[i].width);
        *out++ = fields[i].behind;
    }
    *out = '\0';
}

size_t envelope_id(char *out, size_t size, const struct record *record, const struct operation *operation)
{
    struct {
        int64_t time_ms;
        uint64_t operation;
    } mixed = {record->time_ms, operation->name_hash};
    uint32_t hash = (uint32_t)hash_bytes(&mixed, sizeof mixed, ID_SEED);
    int n = snprintf(out, size, "%.*s:%d:%lld:%08x", SLICE_ARGS(record->topic), record->partition,
        (long long)record->offset, hash);
    return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

/* The frame around `text` (which stands behind the room for its header), the payload and the tail. */
static void finish(struct envelope *e, size_t text, struct slice payload, const char *tail)
{
    e->tail_size = strlen(tail);
    memcpy(e->tail, tail, e->tail_size);
    size_t message = text + payload.size + e->tail_size;
    e->header_size = frame_header(e->head, FRAME_TEXT, message);
    memmove(e->head + e->header_size, e->head + FRAME_HEADER_MAX, text);
    e->head_size = e->header_size + text;
    e->payload = payload;
    e->size = e->header_size + message;
}

/* "42/chat,[": the Engine.IO and Socket.IO types, and the namespace unless it is the root. */
static int begin_event(char *text, size_t room, const struct lane *lane)
{
    bool root = slice_is(lane->address, "/");
    return snprintf(
        text, room, "42%.*s%s[", root ? 0 : (int)lane->address.size, lane->address.data, root ? "" : ",");
}

/* The text before the payload; 0: too long. */
static size_t begin_text(char *text, size_t room, const struct lane *lane, const struct operation *operation,
    const struct record *record, struct slice traceparent)
{
    char id[384], time[32], trace[80] = "";
    int n, head;
    if (lane->dialect == DIALECT_SOCKETIO) {
        head = begin_event(text, room, lane);
        if (head < 0 || (size_t)head >= room)
            return 0;
        room -= (size_t)head;
        n = snprintf(text + head, room, "%.*s,", SLICE_ARGS(operation->type_json));
        return n < 0 || (size_t)n >= room ? 0 : (size_t)(head + n);
    }
    if (envelope_id(id, sizeof id, record, operation) == 0)
        return 0;
    envelope_time(time, record->time_ms);
    if (traceparent.size > 0)
        snprintf(trace, sizeof trace, "\"traceparent\":\"%.*s\",", SLICE_ARGS(traceparent));
    n = snprintf(text, room,
        "{\"type\":%.*s,\"id\":\"%s\",\"time\":\"%s\",%s\"%.*s\":", SLICE_ARGS(operation->type_json), id,
        time, trace, SLICE_ARGS(lane->payload_key));
    return n < 0 || (size_t)n >= room ? 0 : (size_t)n;
}

static const struct slice redelivered = {",\"redelivered\":true", 19};

bool envelope_begin(struct envelope *e, const struct lane *lane, const struct operation *operation,
    const struct record *record, struct slice payload, struct envelope_notes notes)
{
    size_t text = begin_text(e->head + FRAME_HEADER_MAX, sizeof e->head - FRAME_HEADER_MAX, lane, operation,
        record, notes.traceparent);
    if (text == 0)
        return false;
    const char *mark = notes.repeat ? redelivered.data : "";
    char tail[sizeof e->tail];
    if (lane->dialect == DIALECT_SOCKETIO)
        snprintf(tail, sizeof tail, "]");
    else if (notes.cursor.size > 0)
        snprintf(tail, sizeof tail, "%s,\"cursor\":\"%.*s\"}", mark, SLICE_ARGS(notes.cursor));
    else
        snprintf(tail, sizeof tail, "%s}", mark);
    finish(e, text, payload, tail);
    e->uniform = lane->dialect == DIALECT_SOCKETIO;
    return true;
}

void envelope_begin_plain(struct envelope *e, const struct lane *lane, const char *type, struct slice data)
{
    char *text = e->head + FRAME_HEADER_MAX;
    size_t room = sizeof e->head - FRAME_HEADER_MAX;
    bool socketio = lane->dialect == DIALECT_SOCKETIO;
    int head = socketio ? begin_event(text, room, lane) : 0;
    CHECK(head >= 0 && (size_t)head < room);
    int n = socketio
                ? snprintf(text + head, room - (size_t)head, "\"%s\",", type)
                : snprintf(text, room, "{\"type\":\"%s\",\"%.*s\":", type, SLICE_ARGS(lane->payload_key));
    CHECK(n > 0 && (size_t)n < room - (size_t)head);
    finish(e, (size_t)(head + n), data, socketio ? "]" : "}");
    e->uniform = socketio;
}

void envelope_write(const struct envelope *e, char *out)
{
    memcpy(out, e->head, e->head_size);
    memcpy(out + e->head_size, e->payload.data, e->payload.size);
    memcpy(out + e->size - e->tail_size, e->tail, e->tail_size);
}

static const struct slice cursor_before = {",\"cursor\":\"", 11}, cursor_behind = {"\"}", 2};

struct slice envelope_cursor(struct slice frame, size_t tail_size)
{
    struct slice tail = {frame.data + frame.size - tail_size, tail_size};
    if (slice_starts(tail, redelivered))
        tail = (struct slice){tail.data + redelivered.size, tail.size - redelivered.size};
    if (!slice_starts(tail, cursor_before))
        return (struct slice){NULL, 0};
    return (struct slice){
        tail.data + cursor_before.size, tail.size - cursor_before.size - cursor_behind.size};
}

void envelope_add_variant(struct buffer *out, struct slice frame, size_t header_size, size_t tail_size,
    enum envelope_variant variant, struct slice cursor)
{
    const struct slice marks[] = {
        [ENVELOPE_REPLAYED] = {"", 0},
        [ENVELOPE_REDELIVERED] = redelivered,
        [ENVELOPE_BACKFILL] = {",\"redelivered\":true,\"backfill\":true", 35},
    };
    struct slice body = {frame.data + header_size, frame.size - header_size - tail_size};
    if (variant == ENVELOPE_REPLAYED &&
        slice_starts((struct slice){body.data + body.size, tail_size}, redelivered))
        variant = ENVELOPE_REDELIVERED;
    size_t tail =
        marks[variant].size + (cursor.size > 0 ? cursor_before.size + cursor.size + cursor_behind.size : 1);
    char header[FRAME_HEADER_MAX];
    buffer_add(out, header, frame_header(header, FRAME_TEXT, body.size + tail));
    buffer_add_slice(out, body);
    buffer_add_slice(out, marks[variant]);
    if (cursor.size > 0) {
        buffer_add_slice(out, cursor_before);
        buffer_add_slice(out, cursor);
        buffer_add_slice(out, cursor_behind);
    } else {
        buffer_add_byte(out, '}');
    }
}
