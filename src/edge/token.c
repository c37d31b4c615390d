/* libjwt 1.10 is used for one thing: is this HMAC right? (It compares in constant time, CVE-2024-25189, from
   Debian's 1.10.2-1+deb12u1 on.) It is not asked anything else, because it takes the algorithm from the
   token, accepts anything when the key is empty, never looks at exp or nbf, reads a float or a string exp as
   0, and lets the last of duplicate claims win. So header and payload are decoded and scanned here, strictly,
   and what a token says is judged here.

   It refuses every `typ` but JWT, which rules out at+jwt (RFC 9068); those tokens are refused as malformed
   rather than with a misleading word about their signature. */
#include "causeway/token.h"

#include "causeway/json.h"
#include "causeway/memory.h"

#include <jwt.h>
#include <limits.h>
#include <stdlib.h>

enum { USER_MAX_BYTES = 128 };

/* Beyond 2^53 a JSON number is not exact for everybody who reads it, and no such moment will come. */
static const int64_t TIME_MAX = INT64_C(1) << 53;

struct token_verifier {
    char *secret;
    size_t secret_size;
    char *user_claims; /* comma list, as configured */
    char *issuer;
    char *audience;
    int64_t leeway;
};

struct segments {
    struct slice header, payload, signature;
};

/* One decoded JSON segment. A zeroed struct is empty; finish it in any case. */
struct segment {
    struct buffer text;
    struct json json;
};

static void segment_finish(struct segment *s)
{
    buffer_finish(&s->text);
    json_finish(&s->json);
}

struct token_verifier *token_verifier_create(const struct token_settings *settings)
{
    /* An empty key would make libjwt accept every signature. */
    CHECK(settings->secret.data && settings->secret.size > 0 && settings->secret.size <= INT_MAX);
    struct token_verifier *v = xcalloc(1, sizeof *v);
    v->secret = xstrndup(settings->secret.data, settings->secret.size);
    v->secret_size = settings->secret.size;
    v->user_claims = xstrdup(settings->user_claims);
    v->issuer = xstrdup(settings->issuer ? settings->issuer : "");
    v->audience = xstrdup(settings->audience ? settings->audience : "");
    v->leeway = settings->leeway_seconds;
    return v;
}

void token_verifier_destroy(struct token_verifier *v)
{
    if (!v)
        return;
    explicit_bzero(v->secret, v->secret_size);
    free(v->secret);
    free(v->user_claims);
    free(v->issuer);
    free(v->audience);
    free(v);
}

void token_claims_finish(struct token_claims *claims)
{
    free(claims->user);
    free(claims->user_json);
    *claims = (struct token_claims){0};
}

const char *token_status_text(enum token_status status)
{
    static const char *const texts[] = {
#define X(id, text) [TOKEN_##id] = (text),
        TOKEN_TABLE(X)
#undef X
    };
    return texts[status];
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Strict: no padding, no white space, no bits left over, so that one text has one encoding. */
static bool base64url_decode(struct slice in, struct buffer *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < in.size; i++) {
        int value = sextet(in.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buffer_add_byte(out, (char)(unsigned char)(bits >> held & 0xff));
        }
    }
    return held < 6 && (bits & ((1U << held) - 1)) == 0;
}

static bool next_segment(struct slice *rest, struct slice *out)
{
    const char *dot = rest->size ? memchr(rest->data, '.', rest->size) : NULL;
    if (!dot)
        return false;
    *out = (struct slice){rest->data, (size_t)(dot - rest->data)};
    *rest = (struct slice){dot + 1, rest->size - out->size - 1};
    return true;
}

static bool split(struct slice token, struct segments *out)
{
    struct slice rest = token;
    if (token.size > TOKEN_MAX_BYTES || !next_segment(&rest, &out->header) ||
        !next_segment(&rest, &out->payload))
        return false;
    out->signature = rest; /* a fourth segment's dot is no base64url, and so refused there */

    struct buffer bytes = {0};
    bool good = base64url_decode(rest, &bytes);
    buffer_finish(&bytes);
    return good;
}

static bool segment_read(struct segment *s, struct slice encoded)
{
    return base64url_decode(encoded, &s->text) && json_scan(&s->json, s->text.data, s->text.size) &&
           json_type(&s->json, 0) == JSON_OBJECT;
}

/* The text of a member; NULL data when it is absent or no string. */
static struct slice member_text(const struct json *j, const char *name, struct buffer *scratch)
{
    return json_string(j, json_find(j, 0, slice_of(name)), scratch);
}

static bool is_jwt_type(struct slice type)
{
    return type.size == 3 && strncasecmp(type.data, "JWT", 3) == 0;
}

/* kid, jwk, jku and x5u are not looked at: there is one key, and it is ours. */
static enum token_status judge_header(struct slice encoded)
{
    struct segment header = {0};
    struct buffer scratch = {0};
    enum token_status status = TOKEN_MALFORMED;
    if (!segment_read(&header, encoded))
        goto done;
    status = TOKEN_ALGORITHM;
    if (!slice_is(member_text(&header.json, "alg", &scratch), "HS256"))
        goto done;
    status = TOKEN_MALFORMED;
    if (json_find(&header.json, 0, SLICE("crit")) != JSON_NONE)
        goto done;
    if (json_find(&header.json, 0, SLICE("typ")) != JSON_NONE &&
        !is_jwt_type(member_text(&header.json, "typ", &scratch)))
        goto done;
    status = TOKEN_OK;
done:
    buffer_finish(&scratch);
    segment_finish(&header);
    return status;
}

/* A moment in whole seconds; `fallback` when absent; false when it is anything else. */
static bool read_time(const struct json *j, const char *name, int64_t fallback, int64_t *out)
{
    uint32_t node = json_find(j, 0, slice_of(name));
    *out = fallback;
    if (node == JSON_NONE)
        return true;
    return json_is_integer(j, node) && json_int64(j, node, out) && *out >= 0 && *out <= TIME_MAX;
}

static bool signature_holds(const struct token_verifier *v, struct slice token)
{
    char text[TOKEN_MAX_BYTES + 1];
    memcpy(text, token.data, token.size);
    text[token.size] = '\0';
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, (const unsigned char *)v->secret, (int)v->secret_size) != 0)
        return false;
    /* libjwt says NONE here when it did not check anything. */
    bool holds = jwt_get_alg(jwt) == JWT_ALG_HS256;
    jwt_free(jwt);
    return holds;
}

static bool audience_accepted(const struct json *j, const char *wanted, struct buffer *scratch)
{
    uint32_t node = json_find(j, 0, SLICE("aud"));
    if (json_type(j, node) != JSON_ARRAY)
        return slice_is(json_string(j, node, scratch), wanted);
    for (uint32_t at = json_first(j, node); at != JSON_NONE; at = json_after(j, node, at)) {
        if (slice_is(json_string(j, at, scratch), wanted))
            return true;
    }
    return false;
}

/* Takes the next name off a comma list; an empty one when the list has ended. */
static struct slice next_name(const char **list)
{
    const char *start = *list + strspn(*list, ", \t");
    size_t size = strcspn(start, ", \t");
    *list = start + size;
    return (struct slice){start, size};
}

static bool is_plain(struct slice text)
{
    if (text.size < 1 || text.size > USER_MAX_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == 0x7f)
            return false;
    }
    return true;
}

/* The first claim of the list that is there must do: a token whose sub is strange is not given a second try.
 */
static bool read_user(
    const struct json *j, const char *names, struct buffer *scratch, struct token_claims *claims)
{
    uint32_t node = JSON_NONE;
    for (struct slice name = next_name(&names); name.size && node == JSON_NONE; name = next_name(&names))
        node = json_find(j, 0, name);

    struct slice user = json_is_integer(j, node) ? json_raw(j, node) : json_string(j, node, scratch);
    if (!is_plain(user))
        return false;
    struct slice verbatim = json_verbatim(j, node);
    claims->user = xstrndup(user.data, user.size);
    claims->user_json = xstrndup(verbatim.data, verbatim.size);
    return true;
}

static enum token_status judge_claims(
    const struct token_verifier *v, const struct json *j, int64_t now, struct token_claims *claims)
{
    int64_t expires, starts;
    if (!read_time(j, "exp", -1, &expires) || !read_time(j, "nbf", 0, &starts))
        return TOKEN_MALFORMED;
    if (expires < 0)
        return TOKEN_NO_EXPIRY;
    if (expires + v->leeway < now)
        return TOKEN_EXPIRED;
    if (starts > now + v->leeway)
        return TOKEN_EARLY;

    struct buffer scratch = {0};
    enum token_status status = TOKEN_OK;
    if (*v->issuer && !slice_is(member_text(j, "iss", &scratch), v->issuer))
        status = TOKEN_ISSUER;
    else if (*v->audience && !audience_accepted(j, v->audience, &scratch))
        status = TOKEN_AUDIENCE;
    else if (!read_user(j, v->user_claims, &scratch, claims))
        status = TOKEN_NO_USER;
    else
        claims->expires = expires;
    buffer_finish(&scratch);
    return status;
}

/* Whether the payload is JSON at all is asked first, so that the answer is `malformed` and not `signature`,
   as libjwt's would be; it tells a forger nothing that he does not know. What it says is only read once the
   signature held. */
enum token_status token_verify(
    const struct token_verifier *v, struct slice token, int64_t now, struct token_claims *claims)
{
    *claims = (struct token_claims){0};
    struct segments parts;
    if (!split(token, &parts))
        return TOKEN_MALFORMED;
    enum token_status status = judge_header(parts.header);
    if (status != TOKEN_OK)
        return status;

    struct segment payload = {0};
    int64_t unused;
    if (!segment_read(&payload, parts.payload) || !read_time(&payload.json, "exp", 0, &unused) ||
        !read_time(&payload.json, "nbf", 0, &unused))
        status = TOKEN_MALFORMED;
    else if (!signature_holds(v, token))
        status = TOKEN_SIGNATURE;
    else
        status = judge_claims(v, &payload.json, now, claims);
    segment_finish(&payload);
    return status;
}

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

struct issue {
    const struct token_settings *settings;
    const char *user_json;
    int64_t now, expires;
};

static void add_claims(struct buffer *out, const struct issue *i, const struct json *extra)
{
    const char *names = i->settings->user_claims;
    buffer_add_byte(out, '{');
    if (begin_claim(out, extra, next_name(&names)))
        buffer_add_text(out, i->user_json);
    if (begin_claim(out, extra, SLICE("iat")))
        buffer_print(out, "%lld", (long long)i->now);
    if (begin_claim(out, extra, SLICE("exp")))
        buffer_print(out, "%lld", (long long)i->expires);
    if (i->settings->issuer && *i->settings->issuer && begin_claim(out, extra, SLICE("iss")))
        buffer_add_json_text(out, slice_of(i->settings->issuer));
    if (i->settings->audience && *i->settings->audience && begin_claim(out, extra, SLICE("aud")))
        buffer_add_json_text(out, slice_of(i->settings->audience));
    if (extra->used > 0)
        add_extra(out, extra);
    buffer_add_byte(out, '}');
}

static char *sign(const struct token_settings *settings, const char *payload)
{
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0)
        return NULL;
    char *token = NULL;
    if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)settings->secret.data,
            (int)settings->secret.size) == 0 &&
        jwt_add_grants_json(jwt, payload) == 0)
        token = jwt_encode_str(jwt);
    jwt_free(jwt);
    if (token && strlen(token) > TOKEN_MAX_BYTES) {
        free(token);
        token = NULL;
    }
    return token;
}

char *token_issue(const struct token_settings *settings, const char *user_json, int64_t now,
    int64_t ttl_seconds, const char *extra_json)
{
    CHECK(settings->secret.data && settings->secret.size > 0 && settings->secret.size <= INT_MAX);
    struct json extra = {0};
    struct buffer payload = {0};
    char *token = NULL;
    if (!extra_json ||
        (json_scan(&extra, extra_json, strlen(extra_json)) && json_type(&extra, 0) == JSON_OBJECT)) {
        add_claims(&payload, &(struct issue){settings, user_json, now, now + ttl_seconds}, &extra);
        token = sign(settings, buffer_text(&payload));
    }
    buffer_finish(&payload);
    json_finish(&extra);
    return token;
}
