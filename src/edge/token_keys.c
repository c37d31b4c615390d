/* From a text to the keys of one source. */
#include "token_internal.h"

#include "causeway/base64.h"
#include "causeway/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { KID_MAX = 256 };

/* --- one JWK (RFC 7517) --- */

enum reading { TAKEN, LEFT_OUT, BROKEN };

struct jwk {
    const struct json *json;
    uint32_t node;
    const struct token_keys_rules *rules;
    const char *why; /* it was not taken */
};

static bool has(const struct jwk *j, const char *name)
{
    return json_find(j->json, j->node, slice_of(name)) != JSON_NONE;
}

static bool is(const struct jwk *j, const char *name, const char *text)
{
    return json_string_is(j->json, json_find(j->json, j->node, slice_of(name)), slice_of(text));
}

/* A member that is bytes in base64url; false: there is none, or it is something else. */
static bool read_bytes(const struct jwk *j, const char *name, struct buffer *out)
{
    struct buffer scratch = {0};
    struct slice text = json_string(j->json, json_find(j->json, j->node, slice_of(name)), &scratch);
    bool fine = text.size > 0 && base64url_decode(text, buffer_reserve(out, text.size), &out->size);
    buffer_finish(&scratch);
    return fine;
}

static struct token_key *make_key(struct jwk *j, enum token_algorithm algorithm)
{
    static const struct {
        const char *first, *second; /* its numbers */
    } members[] = {
        [ALGORITHM_HS256] = {"k", NULL}, [ALGORITHM_RS256] = {"n", "e"}, [ALGORITHM_ES256] = {"x", "y"}};
    struct buffer first = {0}, second = {0};
    struct token_key *key = NULL;
    if (!read_bytes(j, members[algorithm].first, &first) ||
        (members[algorithm].second && !read_bytes(j, members[algorithm].second, &second)))
        j->why = "lacks a number, or has one that is no base64url";
    else if (algorithm == ALGORITHM_HS256)
        key = token_key_of_secret(buffer_slice(&first), j->rules->weak, &j->why);
    else if (algorithm == ALGORITHM_RS256)
        key = token_key_of_rsa(buffer_slice(&first), buffer_slice(&second), &j->why);
    else
        key = token_key_of_p256(buffer_slice(&first), buffer_slice(&second), &j->why);
    if (first.data)
        explicit_bzero(first.data, first.capacity);
    buffer_finish(&first);
    buffer_finish(&second);
    return key;
}

/* What the key is for follows from its type; ALGORITHM_COUNT: nothing that is done here. */
static enum token_algorithm algorithm_of(const struct jwk *j)
{
    if (is(j, "kty", "oct"))
        return ALGORITHM_HS256;
    if (is(j, "kty", "RSA"))
        return ALGORITHM_RS256;
    return is(j, "kty", "EC") && is(j, "crv", "P-256") ? ALGORITHM_ES256 : ALGORITHM_COUNT;
}

static bool may_verify(const struct jwk *j)
{
    uint32_t operations = json_find(j->json, j->node, SLICE("key_ops"));
    if (operations == JSON_NONE)
        return true;
    for (uint32_t at = json_first(j->json, operations); at != JSON_NONE;
         at = json_after(j->json, operations, at))
        if (json_string_is(j->json, at, SLICE("verify")))
            return true;
    return false;
}

static enum reading judge(struct jwk *j, enum token_algorithm *algorithm)
{
    *algorithm = algorithm_of(j);
    if (json_type(j->json, j->node) != JSON_OBJECT) {
        j->why = "is no object";
        return BROKEN;
    }
    if ((has(j, "use") && !is(j, "use", "sig")) || !may_verify(j)) {
        j->why = "is not for signatures";
        return LEFT_OUT;
    }
    if (*algorithm == ALGORITHM_COUNT || (has(j, "alg") && !is(j, "alg", token_algorithm_name(*algorithm)))) {
        j->why = "is not for HS256, RS256 or ES256";
        return LEFT_OUT;
    }
    if (j->rules->fetched && *algorithm == ALGORITHM_HS256) {
        j->why = "is a secret that was published";
        return BROKEN;
    }
    if (has(j, "d")) {
        j->why = "holds a private key, which is of no use here";
        return BROKEN;
    }
    return TAKEN;
}

static enum reading read_jwk(struct jwk *j, struct token_key **out)
{
    enum token_algorithm algorithm;
    struct buffer scratch = {0};
    uint32_t kid_node = json_find(j->json, j->node, SLICE("kid"));
    struct slice kid = json_string(j->json, kid_node, &scratch);
    enum reading reading = judge(j, &algorithm);
    if (reading == TAKEN && kid_node != JSON_NONE && (kid.size == 0 || kid.size > KID_MAX)) {
        j->why = "has a kid that is no text of 1 to 256 bytes";
        reading = BROKEN;
    }
    if (reading == TAKEN) {
        *out = make_key(j, algorithm);
        if (!*out)
            reading = BROKEN;
        else if (kid.size > 0)
            token_key_set_kid(*out, kid);
    }
    buffer_finish(&scratch);
    return reading;
}

/* --- sets --- */

static struct token_keys *create(struct slice text)
{
    struct token_keys *s = xcalloc(1, sizeof *s);
    atomic_init(&s->references, 1);
    token_digest(text, s->digest);
    return s;
}

/* "key 2 (kid "a") is no sound key" */
static void describe(const struct jwk *j, size_t number, struct buffer *out)
{
    struct slice kid = json_verbatim(j->json, json_find(j->json, j->node, SLICE("kid")));
    buffer_print(out, "%skey %zu", out->size > 0 ? "\n" : "", number);
    if (kid.size > 0)
        buffer_print(out, " (kid %.*s)", (int)(kid.size < 80 ? kid.size : 80), kid.data);
    buffer_print(out, " %s", j->why);
}

/* false: one that is broken refuses the whole. */
static bool add_jwks(struct token_keys *s, const struct json *json, uint32_t array,
    const struct token_keys_rules *rules, struct buffer *notes, struct buffer *fault)
{
    size_t number = 0;
    for (uint32_t at = json_first(json, array); at != JSON_NONE; at = json_after(json, array, at)) {
        struct jwk j = {json, at, rules, NULL};
        struct token_key *key = NULL;
        enum reading reading = read_jwk(&j, &key);
        number++;
        if (reading == BROKEN && !rules->fetched) {
            describe(&j, number, fault);
            return false;
        }
        if (reading != TAKEN) {
            describe(&j, number, notes);
        } else if (s->count == TOKEN_KEYS_MAX) {
            token_key_destroy(key);
            buffer_print(fault, "more than %d keys", TOKEN_KEYS_MAX);
            return false;
        } else {
            s->list[s->count++] = key;
        }
    }
    return true;
}

static bool add_set(struct token_keys *s, struct slice text, const struct token_keys_rules *rules,
    struct buffer *notes, struct buffer *fault)
{
    struct json json = {0};
    bool fine = json_scan(&json, text.data, text.size);
    if (!fine)
        buffer_print(fault, "%s (byte %u)", json.fault, json.fault_at);
    uint32_t array = fine ? json_find(&json, 0, SLICE("keys")) : JSON_NONE;
    if (fine && json_type(&json, array) != JSON_ARRAY) {
        buffer_add_text(fault, "no JWK Set: it has no array \"keys\"");
        fine = false;
    }
    fine = fine && add_jwks(s, &json, array, rules, notes, fault);
    json_finish(&json);
    return fine;
}

static const struct slice pem_mark = {"-----BEGIN", 10};

static const char *find_pem(struct slice text)
{
    return memmem(text.data, text.size, pem_mark.data, pem_mark.size);
}

static bool add_pem(struct token_keys *s, struct slice text, struct buffer *fault)
{
    const char *why = "holds more than one key: give each a file of its own, or make a JWK Set";
    const char *behind = find_pem(text) + pem_mark.size;
    struct token_key *key = NULL;
    if (!find_pem((struct slice){behind, (size_t)(text.data + text.size - behind)}))
        key = token_key_of_pem(text, &why);
    if (key)
        s->list[s->count++] = key;
    else
        buffer_print(fault, "it %s", why);
    return key != NULL;
}

struct token_keys *token_keys_read(
    struct slice text, const struct token_keys_rules *rules, struct buffer *notes, struct buffer *fault)
{
    struct token_keys *s = create(text);
    bool pem = !rules->fetched && find_pem(text);
    bool fine = pem ? add_pem(s, text, fault) : add_set(s, text, rules, notes, fault);
    if (fine && s->count == 0) {
        buffer_add_text(fault, "no key that can be used");
        if (notes->size > 0)
            buffer_print(fault, ": %s", buffer_text(notes));
    }
    if (fine && s->count > 0)
        return s;
    token_keys_release(s);
    return NULL;
}

struct token_keys *token_keys_of_secret(struct slice secret, bool weak, struct buffer *fault)
{
    const char *why = NULL;
    struct token_key *key = token_key_of_secret(secret, weak, &why);
    if (!key) {
        buffer_print(fault, "JWT_SECRET %s", why);
        return NULL;
    }
    struct token_keys *s = create(secret);
    s->list[s->count++] = key;
    return s;
}

struct token_keys *token_keys_of_file(
    const char *path, const struct token_keys_rules *rules, struct buffer *notes, struct buffer *fault)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        buffer_add_text(fault, strerror(errno));
        return NULL;
    }
    struct token_keys *s = NULL;
    char *text = xmalloc(TOKEN_KEYS_MAX_BYTES + 1);
    size_t size = fread(text, 1, TOKEN_KEYS_MAX_BYTES + 1, file);
    if (ferror(file))
        buffer_add_text(fault, "cannot be read");
    else if (size > TOKEN_KEYS_MAX_BYTES)
        buffer_print(fault, "more than %d bytes", TOKEN_KEYS_MAX_BYTES);
    else
        s = token_keys_read((struct slice){text, size}, rules, notes, fault);
    fclose(file);
    explicit_bzero(text, size);
    free(text);
    return s;
}

struct token_keys *token_keys_hold(struct token_keys *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void token_keys_release(struct token_keys *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < s->count; i++)
        token_key_destroy(s->list[i]);
    free(s);
}
