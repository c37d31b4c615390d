/* Tokens for development and tests. */
#include "token_internal.h"

#include "causeway/base64.h"
#include "causeway/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_FILE_MAX = 64 * 1024 };

/* Adds `"name":` behind a comma, unless the extra claims say it themselves. */
static bool begin_claim(struct buffer *out, const struct json *extra, struct slice name)
{
    if (extra->used > 0 && json_find(extra, 0, name) != JSON_NONE)
        return false;
    if (out->size > 1)
        buffer_add_byte(out, ',');
    buffer_add_json_text(out, name);
    buffer_add_byte(out, ':');
    return true;
}

static void add_extra(struct buffer *out, const struct json *extra)
{
    for (uint32_t key = json_first(extra, 0); key != JSON_NONE; key = json_after(extra, 0, key)) {
        if (out->size > 1)
            buffer_add_byte(out, ',');
        buffer_add_slice(out, json_verbatim(extra, key));
        buffer_add_byte(out, ':');
        buffer_add_slice(out, json_verbatim(extra, key + 1));
    }
}

static void add_claims(struct buffer *out, const struct token_issue *i, const struct json *extra)
{
    const char *names = i->settings->user_claims;
    buffer_add_byte(out, '{');
    if (begin_claim(out, extra, token_next_name(&names)))
        buffer_add_text(out, i->user_json);
    if (begin_claim(out, extra, SLICE("iat")))
        buffer_print(out, "%lld", (long long)i->now);
    if (begin_claim(out, extra, SLICE("exp")))
        buffer_print(out, "%lld", (long long)i->now + i->ttl_seconds);
    if (i->settings->issuer && *i->settings->issuer && begin_claim(out, extra, SLICE("iss")))
        buffer_add_json_text(out, slice_of(i->settings->issuer));
    if (i->settings->audience && *i->settings->audience && begin_claim(out, extra, SLICE("aud")))
        buffer_add_json_text(out, slice_of(i->settings->audience));
    if (extra->used > 0)
        add_extra(out, extra);
    buffer_add_byte(out, '}');
}

static struct token_key *read_key(const char *path, const char **why)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        *why = strerror(errno);
        return NULL;
    }
    char *text = xmalloc(KEY_FILE_MAX);
    size_t size = fread(text, 1, KEY_FILE_MAX, file);
    fclose(file);
    struct token_key *key = token_key_of_private_pem((struct slice){text, size}, why);
    explicit_bzero(text, size);
    free(text);
    return key;
}

static void add_segment(struct buffer *token, struct slice bytes)
{
    char *to = buffer_reserve(token, BASE64URL_SIZE(bytes.size) + 1);
    token->size += base64url_encode(bytes.data, bytes.size, to);
}

static void add_header(struct buffer *out, const struct token_key *key, const char *kid)
{
    buffer_print(out, "{\"alg\":\"%s\",\"typ\":\"JWT\"", token_algorithm_name(token_key_algorithm(key)));
    if (kid) {
        buffer_add_text(out, ",\"kid\":");
        buffer_add_json_text(out, slice_of(kid));
    }
    buffer_add_byte(out, '}');
}

static char *sign(const struct token_key *key, const char *kid, struct slice payload)
{
    struct buffer header = {0}, token = {0}, signature = {0};
    add_header(&header, key, kid);
    add_segment(&token, buffer_slice(&header));
    buffer_add_byte(&token, '.');
    add_segment(&token, payload);
    bool made = token_key_sign(key, buffer_slice(&token), &signature);
    buffer_add_byte(&token, '.');
    add_segment(&token, buffer_slice(&signature));
    buffer_finish(&header);
    buffer_finish(&signature);
    if (made && token.size <= TOKEN_MAX_BYTES)
        return token.data; /* base64url_encode put a NUL behind */
    buffer_finish(&token);
    return NULL;
}

char *token_issue(const struct token_issue *what, struct buffer *fault)
{
    const char *why = NULL;
    struct token_key *key = what->key_file
                                ? read_key(what->key_file, &why)
                                : token_key_of_secret(what->settings->secret, what->settings->weak, &why);
    if (!key) {
        buffer_print(fault, "%s: %s", what->key_file ? what->key_file : "JWT_SECRET", why);
        return NULL;
    }
    struct json extra = {0};
    struct buffer payload = {0};
    char *token = NULL;
    if (!what->extra_json || (json_scan(&extra, what->extra_json, strlen(what->extra_json)) &&
                                 json_type(&extra, 0) == JSON_OBJECT)) {
        add_claims(&payload, what, &extra);
        token = sign(key, what->kid, buffer_slice(&payload));
    }
    if (!token)
        buffer_add_text(fault, "the claims must be a JSON object, and the token at most 8 KB");
    token_key_destroy(key);
    buffer_finish(&payload);
    json_finish(&extra);
    return token;
}
