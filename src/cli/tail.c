/* A client that follows: one message per line on stdout, and back with the last cursor whenever the
   connection ends for a reason that may pass. */
#include "caller.h"

#include "causeway/cli.h"
#include "causeway/close.h"
#include "causeway/cursor.h"
#include "causeway/json.h"
#include "causeway/map.h"
#include "causeway/memory.h"
#include "causeway/random.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ROOMS_MAX = 64,
    TAIL_MESSAGE_MAX = 32 * 1024 * 1024,
    SEEN_MAX = 1024,     /* ids: more than can come without a cursor between them */
    WAIT_FIRST_MS = 250, /* before another attempt: doubled each time, and then something at random of it */
    WAIT_MOST_MS = 10000,
};

static const char usage[] =
    "usage: causeway tail --url ws://HOST:PORT/PATH --token TOKEN [--join ROOM]... [--cursor-file FILE]\n"
    "                     [--count N] [--json] [--no-retry]\n"
    "Connects as a client and prints every message, one a line: type, id and data, or with --json the "
    "message as it came.\n"
    "When the connection ends for a reason that may pass, it comes back with the last cursor and misses "
    "nothing;\n"
    "what it has printed already it does not print again.\n"
    "  --cursor-file FILE  begins where the cursor in FILE stands, and keeps the last one there\n"
    "  --count N           exit after N events (messages with an id)\n"
    "  --no-retry          end when the connection ends\n"
    "Exit status: 0 after --count events, 1 when the connection ended or was refused for good (the reason is "
    "on stderr).\n";

struct options {
    const char *url, *token, *cursor_file;
    const char *rooms[ROOMS_MAX];
    size_t room_count;
    long count;
    bool json, no_retry;
};

struct tail {
    const struct options *options;
    struct caller caller;
    struct json scratch;
    char cursor[CURSOR_TEXT_MAX + 1]; /* the last one seen */
    bool cursor_kept;                 /* ... is in the file */
    bool met;                         /* has any attempt succeeded? */
    long events;
    uint64_t seen[SEEN_MAX]; /* hashes of the last ids */
    size_t seen_count;
};

static int parse(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"token", required_argument, NULL, 't'},
        {"join", required_argument, NULL, 'j'},
        {"cursor-file", required_argument, NULL, 'f'},
        {"count", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'J'},
        {"no-retry", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            out->url = optarg;
            break;
        case 't':
            out->token = optarg;
            break;
        case 'j':
            if (out->room_count < ROOMS_MAX)
                out->rooms[out->room_count++] = optarg;
            break;
        case 'f':
            out->cursor_file = optarg;
            break;
        case 'c':
            out->count = strtol(optarg, NULL, 10);
            break;
        case 'J':
            out->json = true;
            break;
        case 'n':
            out->no_retry = true;
            break;
        default:
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (out->url && out->token && optind == argc)
        return -1;
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* --- the cursor --- */

/* A file that is not there yet: from now on. One that holds something else is not overwritten. */
static bool load_cursor(struct tail *t)
{
    const char *path = t->options->cursor_file;
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) {
        if (path && errno != ENOENT)
            fprintf(stderr, "causeway: cannot read %s: %s\n", path, strerror(errno));
        return !path || errno == ENOENT;
    }
    char text[CURSOR_TEXT_MAX + 2] = "";
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    size = size > 0 && text[size - 1] == '\n' ? size - 1 : size;
    struct cursor ignored;
    if (size > 0 && cursor_decode((struct slice){text, size}, &ignored) != CURSOR_OK) {
        fprintf(stderr, "causeway: %s holds no cursor; remove it to begin at now\n", path);
        return false;
    }
    memcpy(t->cursor, text, size);
    t->cursor[size] = '\0';
    t->cursor_kept = true;
    return true;
}

/* Whole or not at all, since the next start depends on it. */
static void keep_cursor(struct tail *t)
{
    const char *path = t->options->cursor_file;
    if (!path || t->cursor_kept)
        return;
    struct buffer beside = {0};
    buffer_print(&beside, "%s.new%c", path, '\0');
    FILE *file = fopen(beside.data, "we");
    bool fine = file && fprintf(file, "%s\n", t->cursor) > 0;
    fine = (!file || fclose(file) == 0) && fine && rename(beside.data, path) == 0;
    if (!fine)
        fprintf(stderr, "causeway: cannot write %s: %s\n", path, strerror(errno));
    t->cursor_kept = fine;
    buffer_finish(&beside);
}

static void note_cursor(struct tail *t, struct slice cursor)
{
    if (cursor.size == 0 || cursor.size > CURSOR_TEXT_MAX)
        return;
    memcpy(t->cursor, cursor.data, cursor.size);
    t->cursor[cursor.size] = '\0';
    t->cursor_kept = false;
}

/* --- a conversation --- */

static void add_percent_encoded(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("-_.~:", c))
            buffer_add_byte(out, *text);
        else
            buffer_print(out, "%%%02X", c);
    }
}

/* With a cursor the rooms are part of what is resumed. */
static void write_query(const struct tail *t, struct buffer *out)
{
    if (!t->cursor[0])
        return;
    buffer_print(out, "cursor=%s", t->cursor);
    for (size_t i = 0; i < t->options->room_count; i++) {
        buffer_add_text(out, i == 0 ? "&rooms=" : ",");
        add_percent_encoded(out, t->options->rooms[i]);
    }
}

static bool join_rooms(struct tail *t)
{
    bool fine = true;
    for (size_t i = 0; fine && i < t->options->room_count; i++) {
        struct buffer text = {0};
        buffer_add_text(&text, "{\"type\":\"join-room\",\"data\":{\"roomId\":");
        buffer_add_json_text(&text, slice_of(t->options->rooms[i]));
        buffer_add_text(&text, "}}");
        fine = caller_send(&t->caller, FRAME_TEXT, buffer_slice(&text));
        buffer_finish(&text);
    }
    return fine;
}

static void print_parts(const struct json *j, uint32_t id)
{
    uint32_t data = json_find(j, 0, SLICE("data"));
    struct slice type = json_raw(j, json_find(j, 0, SLICE("type")));
    struct slice shown = data == JSON_NONE ? SLICE("") : json_verbatim(j, data);
    struct slice name = id == JSON_NONE ? SLICE("") : json_raw(j, id);
    bool repeat = json_find(j, 0, SLICE("redelivered")) != JSON_NONE;
    printf("%.*s %.*s %.*s%s\n", SLICE_ARGS(type), SLICE_ARGS(name), SLICE_ARGS(shown),
        repeat ? " (maybe a repeat)" : "");
}

/* The id alone tells what is a repeat. */
static bool is_repeat(struct tail *t, struct slice id)
{
    uint64_t hash = hash_bytes(id.data, id.size, 0);
    size_t known = t->seen_count < SEEN_MAX ? t->seen_count : SEEN_MAX;
    for (size_t i = 0; i < known; i++)
        if (t->seen[i] == hash)
            return true;
    t->seen[t->seen_count++ % SEEN_MAX] = hash;
    return false;
}

static void on_text(struct tail *t, struct slice text)
{
    struct json *j = &t->scratch;
    bool whole = json_scan(j, text.data, text.size);
    uint32_t id = whole ? json_find(j, 0, SLICE("id")) : JSON_NONE;
    uint32_t cursor = whole ? json_find(j, 0, SLICE("cursor")) : JSON_NONE;
    if (cursor != JSON_NONE)
        note_cursor(t, json_raw(j, cursor));
    if (id != JSON_NONE && is_repeat(t, json_raw(j, id)))
        return;
    t->events += id != JSON_NONE;
    if (t->options->json || !whole)
        printf("%.*s\n", SLICE_ARGS(text));
    else
        print_parts(j, id);
    fflush(stdout);
}

static bool has_enough(const struct tail *t)
{
    return t->options->count > 0 && t->events >= t->options->count;
}

/* false: the conversation is over. */
static bool on_frame(struct tail *t, const struct frame_message *m, struct caller_end *end)
{
    if (m->opcode == FRAME_PING)
        return caller_send(&t->caller, FRAME_PONG, m->payload);
    if (m->opcode == FRAME_CLOSE) {
        const unsigned char *p = (const unsigned char *)m->payload.data;
        end->code = m->payload.size >= 2 ? p[0] << 8 | p[1] : 1005;
        struct slice reason =
            m->payload.size > 2 ? (struct slice){m->payload.data + 2, m->payload.size - 2} : SLICE("");
        fprintf(stderr, "causeway: closed with %d %.*s\n", end->code, SLICE_ARGS(reason));
        return false;
    }
    if (m->opcode == FRAME_TEXT)
        on_text(t, m->payload);
    return !has_enough(t);
}

static void follow(struct tail *t, struct caller_end *end)
{
    for (;;) {
        struct frame_message m;
        enum frame_result result = caller_next(&t->caller, &m);
        if (result == FRAME_MORE) {
            keep_cursor(t);
            if (!caller_receive(&t->caller))
                return;
        } else if (result == FRAME_VIOLATION || !on_frame(t, &m, end)) {
            return;
        }
    }
}

/* --- coming back --- */

static bool may_come_back(const struct tail *t, const struct caller_end *end)
{
    static const struct {
        int code;
        const char *retry;
    } rows[] = {
#define X(id, code, text, retry) {code, retry},
        CLOSE_TABLE(X)
#undef X
    };
    if (t->options->no_retry || !t->met || (end->status >= 400 && end->status < 500 && end->status != 429))
        return false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == end->code)
            return strcmp(rows[i].retry, "no") != 0;
    return true;
}

static void wait_for(unsigned most_ms)
{
    usleep((most_ms / 2 + (unsigned)(random_u64() % (most_ms / 2))) * 1000);
}

static bool converse(struct tail *t, const struct caller_url *url, struct caller_end *end)
{
    struct buffer query = {0};
    write_query(t, &query);
    bool joined = query.size > 0;
    bool opened =
        caller_open(&t->caller, url, buffer_slice(&query), t->options->token, TAIL_MESSAGE_MAX, end);
    buffer_finish(&query);
    t->met |= opened;
    if (opened && (joined || join_rooms(t)))
        follow(t, end);
    keep_cursor(t);
    caller_finish(&t->caller);
    return opened;
}

static int run(struct tail *t, const struct caller_url *url)
{
    unsigned wait_ms = WAIT_FIRST_MS;
    for (;;) {
        struct caller_end end;
        bool opened = converse(t, url, &end);
        if (has_enough(t))
            return 0;
        if (!may_come_back(t, &end))
            return 1;
        wait_ms = opened ? WAIT_FIRST_MS : wait_ms < WAIT_MOST_MS / 2 ? wait_ms * 2 : WAIT_MOST_MS;
        fprintf(stderr, "causeway: coming back %s\n", t->cursor[0] ? "with the last cursor" : "at now");
        wait_for(wait_ms);
    }
}

int cli_tail(int argc, char **argv)
{
    struct options options = {0};
    int status = parse(argc, argv, &options);
    if (status >= 0)
        return status;
    struct caller_url url;
    if (!caller_url_parse(options.url, &url)) {
        fprintf(stderr, "causeway: --url must be ws://host:port/path, not %s\n", options.url);
        return EXIT_USAGE;
    }
    struct tail t = {.options = &options};
    status = load_cursor(&t) ? run(&t, &url) : 1;
    json_finish(&t.scratch);
    caller_url_finish(&url);
    return status;
}
