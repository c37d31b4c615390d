/* One pass over the text: structure, numbers, escapes, UTF-8 and duplicate keys are all judged while the tape
   is written. Open containers stand on a small stack, so depth costs no recursion. Functions of the scan take
   the place in the text as a pointer and return the place behind what they read, or NULL after a fault. */
#include "causeway/json.h"

#include "causeway/json_escape.h"
#include "causeway/map.h"
#include "causeway/memory.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    NODES_AT_FIRST = 64,
    FEW_KEYS =
        16 /* objects up to this size are compared key by key, larger ones by a hash table when they close */
};

/* An open container. */
struct level {
    uint64_t keys_seen; /* a bit for each key's features: one that is new needs no comparing */
    uint32_t node;
    uint32_t count;
    bool object;
};

struct scanner {
    struct json *json;
    const char *end;
    uint32_t depth;
    struct level levels[JSON_DEPTH_MAX];
};

static const char text_ends[] = "the text ends too early";

__attribute__((cold, noinline)) static const char *fail(struct scanner *s, const char *at, const char *why)
{
    s->json->fault = why;
    s->json->fault_at = (uint32_t)(at - s->json->text);
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- strings --- */

static const char *skip_escape(struct scanner *s, const char *p)
{
    const char *fault = NULL;
    size_t length = json_escape_check(p, s->end, &fault);
    return length > 0 ? p + length : fail(s, p, fault);
}

/* The first byte that is no plain ASCII of a string: a quote, a backslash, a control character or beyond
   0x7f. Eight bytes at a time; a borrow can only flag bytes above the first true one, so the lowest flag is
   exact. */
static inline const char *skip_plain(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        word = le64toh(word);
        uint64_t stops =
            word | (word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones);
        stops &= ones * 0x80;
        if (stops)
            return p + (__builtin_ctzll(stops) >> 3);
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static const char *skip_beyond_ascii(struct scanner *s, const char *p)
{
    while (p < s->end && (unsigned char)*p >= 0x80) {
        size_t length = utf8_sequence(p, (size_t)(s->end - p));
        if (length == 0)
            return fail(s, p, "invalid UTF-8");
        p += length;
    }
    return p;
}

/* From behind the opening quote to the closing one. */
static inline const char *scan_string(struct scanner *s, const char *p, bool *escaped)
{
    while (p) {
        p = skip_plain(p, s->end);
        if (p == s->end)
            return fail(s, p, text_ends);
        if (*p == '"')
            return p;
        if (*p == '\\') {
            *escaped = true;
            p = skip_escape(s, p);
        } else if ((unsigned char)*p >= 0x80) {
            p = skip_beyond_ascii(s, p);
        } else {
            p = fail(s, p, "a control character in a string");
        }
    }
    return NULL;
}

/* --- duplicate keys --- */

/* Six bits from the features in which keys of one object usually differ. */
static uint64_t key_bit(struct slice key)
{
    if (key.size == 0)
        return 1;
    uint32_t features = (uint32_t)key.size << 24 | (uint32_t)(unsigned char)key.data[0] << 16 |
                        (uint32_t)(unsigned char)key.data[key.size / 2] << 8 |
                        (uint32_t)(unsigned char)key.data[key.size - 1];
    return UINT64_C(1) << (features * 0x9e3779b1u >> 26);
}

static const char *fail_duplicate(struct scanner *s, uint32_t key)
{
    return fail(s, s->json->text + s->json->nodes[key].start - 1, "a duplicate key");
}

/* Compares `key` with the `count` keys before it. */
static bool is_repeated(struct json *j, uint32_t object, uint32_t count, uint32_t key)
{
    struct slice name = json_string(j, key, &j->keys.name);
    uint32_t other = object + 1;
    for (uint32_t i = 0; i < count; i++, other = j->nodes[other + 1].next)
        if (json_string_is(j, other, name))
            return true;
    return false;
}

static inline bool note_key(struct scanner *s, struct level *l, uint32_t key)
{
    struct json *j = s->json;
    uint32_t before = l->count++;
    if (before >= FEW_KEYS)
        return true;
    /* Another spelling of a key has other features: once an escape is there, all keys are compared. */
    uint64_t bit = j->nodes[key].escaped ? UINT64_MAX : key_bit(json_raw(j, key));
    bool known = (l->keys_seen & bit) != 0;
    l->keys_seen |= bit;
    if (__builtin_expect((known || bit == UINT64_MAX) && is_repeated(j, l->node, before, key), false))
        return fail_duplicate(s, key) != NULL;
    return true;
}

static uint64_t *clear_slots(struct json *j, size_t wanted)
{
    if (j->keys.capacity == 0 &&
        getrandom(&j->keys.seed, sizeof(j->keys.seed), GRND_NONBLOCK) != sizeof(j->keys.seed))
        j->keys.seed = (uintptr_t)j;
    if (j->keys.capacity < wanted) {
        free(j->keys.slots);
        j->keys.slots = xmalloc(wanted * sizeof(*j->keys.slots));
        j->keys.capacity = wanted;
    }
    memset(j->keys.slots, 0, wanted * sizeof(*j->keys.slots));
    return j->keys.slots;
}

/* The keys of a large object in an open hash table. The seed is random: who writes the text cannot choose
   collisions. A slot holds half the hash and the key's node, which is never 0. */
static bool check_many_keys(struct scanner *s, uint32_t object, uint32_t count)
{
    struct json *j = s->json;
    size_t size = 64;
    while (size < (size_t)count * 2)
        size *= 2;
    uint64_t *slots = clear_slots(j, size);
    uint32_t key = object + 1;
    for (uint32_t i = 0; i < count; i++, key = j->nodes[key + 1].next) {
        struct slice name = json_string(j, key, &j->keys.name);
        uint64_t hash = hash_bytes(name.data, name.size, j->keys.seed);
        uint64_t mark = hash >> 32 << 32;
        size_t at = hash & (size - 1);
        for (; slots[at] != 0; at = (at + 1) & (size - 1))
            if (((slots[at] ^ mark) >> 32) == 0 && json_string_is(j, (uint32_t)slots[at], name))
                return fail_duplicate(s, key) != NULL;
        slots[at] = mark | key;
    }
    return true;
}

/* --- structure --- */

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

__attribute__((cold, noinline)) static void grow_nodes(struct json *j)
{
    uint32_t capacity = j->capacity ? j->capacity * 2 : NODES_AT_FIRST;
    j->nodes = xrealloc(j->nodes, (size_t)capacity * sizeof(*j->nodes));
    j->capacity = capacity;
}

static inline uint32_t add_node(struct json *j, enum json_type type, const char *start)
{
    if (j->used == j->capacity)
        grow_nodes(j);
    uint32_t node = j->used++;
    j->nodes[node] =
        (struct json_node){.start = (uint32_t)(start - j->text), .next = node + 1, .type = (uint8_t)type};
    return node;
}

static inline void end_node(struct json *j, uint32_t node, const char *end)
{
    j->nodes[node].end = (uint32_t)(end - j->text);
}

static const char *scan_digits(struct scanner *s, const char *p)
{
    if (p == s->end)
        return fail(s, p, text_ends);
    if (!is_digit(*p))
        return fail(s, p, "a number lacks a digit");
    while (p < s->end && is_digit(*p))
        p++;
    return p;
}

static const char *scan_number(struct scanner *s, const char *p)
{
    uint32_t node = add_node(s->json, JSON_NUMBER, p);
    if (*p == '-')
        p++;
    const char *first = p;
    p = scan_digits(s, p);
    if (p && *first == '0' && p - first > 1)
        return fail(s, first, "a number with a leading zero");
    if (p && p < s->end && *p == '.')
        p = scan_digits(s, p + 1);
    if (p && p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(s, p);
    }
    if (p)
        end_node(s->json, node, p);
    return p;
}

static const char *scan_literal(struct scanner *s, const char *p, enum json_type type)
{
    static const struct slice literals[] = {
        [JSON_NULL] = {"null", 4}, [JSON_FALSE] = {"false", 5}, [JSON_TRUE] = {"true", 4}};
    struct slice word = literals[type];
    if ((size_t)(s->end - p) < word.size || memcmp(p, word.data, word.size) != 0)
        return fail(s, p, "a word that is not true, false or null");
    end_node(s->json, add_node(s->json, type, p), p + word.size);
    return p + word.size;
}

static inline const char *scan_text(struct scanner *s, const char *p)
{
    uint32_t node = add_node(s->json, JSON_STRING, p + 1);
    bool escaped = false;
    p = scan_string(s, p + 1, &escaped);
    if (!p)
        return NULL;
    s->json->nodes[node].escaped = escaped;
    end_node(s->json, node, p);
    return p + 1;
}

static const char *enter(struct scanner *s, const char *p, enum json_type type)
{
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s, p, "nested too deeply");
    uint32_t node = add_node(s->json, type, p);
    s->levels[s->depth++] = (struct level){.node = node, .object = type == JSON_OBJECT};
    return p + 1;
}

/* `p` is behind the closing bracket. */
static const char *leave(struct scanner *s, struct level *l, const char *p)
{
    struct json_node *node = &s->json->nodes[l->node];
    node->next = s->json->used;
    node->count = l->count;
    end_node(s->json, l->node, p);
    s->depth--;
    if (l->object && l->count > FEW_KEYS && !check_many_keys(s, l->node, l->count))
        return NULL;
    return p;
}

/* A key and its colon: up to the value. */
static inline const char *scan_key(struct scanner *s, struct level *l, const char *p)
{
    if (p == s->end)
        return fail(s, p, text_ends);
    if (*p != '"')
        return fail(s, p, "a quoted key is expected here");
    uint32_t key = s->json->used;
    p = scan_text(s, p);
    if (!p || !note_key(s, l, key))
        return NULL;
    p = skip_space(p, s->end);
    if (p == s->end)
        return fail(s, p, text_ends);
    return *p == ':' ? skip_space(p + 1, s->end) : fail(s, p, "a colon is expected here");
}

/* A scalar, or the opening bracket of a container. */
static inline const char *scan_value(struct scanner *s, const char *p)
{
    if (p == s->end)
        return fail(s, p, text_ends);
    switch (*p) {
    case '"':
        return scan_text(s, p);
    case '{':
        return enter(s, p, JSON_OBJECT);
    case '[':
        return enter(s, p, JSON_ARRAY);
    case 't':
        return scan_literal(s, p, JSON_TRUE);
    case 'f':
        return scan_literal(s, p, JSON_FALSE);
    case 'n':
        return scan_literal(s, p, JSON_NULL);
    default:
        return *p == '-' || is_digit(*p) ? scan_number(s, p) : fail(s, p, "a value is expected here");
    }
}

/* From behind a value, or behind a bracket that was just `opened`, to the next value; closes what ends on the
   way. At depth 0 the document is complete. */
static inline const char *find_next_value(struct scanner *s, const char *p, bool opened)
{
    while (p && s->depth > 0) {
        struct level *l = &s->levels[s->depth - 1];
        p = skip_space(p, s->end);
        if (p == s->end)
            return fail(s, p, text_ends);
        if (*p == (l->object ? '}' : ']')) {
            p = leave(s, l, p + 1);
            opened = false;
            continue;
        }
        if (!opened) {
            if (*p != ',')
                return fail(s, p, "a comma or the closing bracket is expected here");
            p = skip_space(p + 1, s->end);
        }
        if (l->object)
            return scan_key(s, l, p);
        l->count++;
        return p;
    }
    return p;
}

static const char *scan_document(struct scanner *s, const char *p)
{
    if (s->end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        return fail(s, p, "a byte order mark");
    p = skip_space(p, s->end);
    do {
        uint32_t depth = s->depth;
        p = scan_value(s, p);
        p = find_next_value(s, p, s->depth > depth);
    } while (p && s->depth > 0);
    if (!p)
        return NULL;
    p = skip_space(p, s->end);
    return p == s->end ? p : fail(s, p, "bytes behind the value");
}

bool json_scan(struct json *j, const char *text, size_t size)
{
    struct scanner s; /* the levels are written before they are read: not cleared */
    s.json = j;
    if (!text)
        text = "";
    s.end = text + size;
    s.depth = 0;
    j->text = text;
    j->used = 0;
    j->fault = NULL;
    j->fault_at = 0;
    if (size >= UINT32_MAX)
        fail(&s, text, "the text is too large");
    else
        scan_document(&s, text);
    if (j->fault)
        j->used = 0;
    return !j->fault;
}
