/* What a token says about itself. Read strictly, since a loose reader is a second opinion: a float or a text
   as exp, two claims of one name, or bytes behind the end mean nothing here. */
#include "token_internal.h"

#include "causeway/memory.h"

#include <stdlib.h>

enum { USER_MAX_BYTES = 128 };

/* Beyond 2^53 a JSON number is not exact for everybody who reads it, and no such moment will come. */
static const int64_t TIME_MAX = INT64_C(1) << 53;

enum token_algorithm token_algorithm_of(struct slice name)
{
    for (int i = 0; i < ALGORITHM_COUNT; i++)
        if (slice_is(name, token_algorithm_name((enum token_algorithm)i)))
            return (enum token_algorithm)i;
    return ALGORITHM_COUNT;
}

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    static const char *const names[] = {
#define X(id, name) [ALGORITHM_##id] = (name),
        TOKEN_ALGORITHM_TABLE(X)
#undef X
    };
    return names[algorithm];
}

static uint32_t member(const struct json *j, const char *name)
{
    return json_find(j, 0, slice_of(name));
}

/* "JWT", and "at+jwt" of access tokens (RFC 9068), with or without "application/". */
static bool is_jwt_type(struct slice type)
{
    static const char prefix[] = "application/";
    if (type.size > sizeof prefix - 1 && strncasecmp(type.data, prefix, sizeof prefix - 1) == 0)
        type = (struct slice){type.data + sizeof prefix - 1, type.size - (sizeof prefix - 1)};
    return (type.size == 3 && strncasecmp(type.data, "JWT", 3) == 0) ||
           (type.size == 6 && strncasecmp(type.data, "at+jwt", 6) == 0);
}

/* A kid is compared with those of our keys and is nothing else: no path, no query. What a token brings along
   as its key (jwk, jku, x5c, x5u) is not looked at. */
enum token_status token_header_read(const struct json *json, struct buffer *scratch, struct token_header *out)
{
    *out = (struct token_header){.algorithm = ALGORITHM_COUNT};
    if (json_type(json, 0) != JSON_OBJECT)
        return TOKEN_MALFORMED;
    out->algorithm = token_algorithm_of(json_string(json, member(json, "alg"), scratch));
    if (out->algorithm == ALGORITHM_COUNT)
        return TOKEN_ALGORITHM;
    if (member(json, "crit") != JSON_NONE)
        return TOKEN_MALFORMED;
    if (member(json, "typ") != JSON_NONE && !is_jwt_type(json_string(json, member(json, "typ"), scratch)))
        return TOKEN_MALFORMED;
    uint32_t kid = member(json, "kid");
    out->kid = json_string(json, kid, scratch);
    return kid == JSON_NONE || out->kid.data ? TOKEN_OK : TOKEN_MALFORMED;
}

/* A moment in whole seconds; `fallback` when absent; false when it is anything else. */
static bool read_time(const struct json *j, const char *name, int64_t fallback, int64_t *out)
{
    uint32_t node = member(j, name);
    *out = fallback;
    if (node == JSON_NONE)
        return true;
    return json_is_integer(j, node) && json_int64(j, node, out) && *out >= 0 && *out <= TIME_MAX;
}

bool token_times_read(const struct json *json, int64_t *expires, int64_t *starts)
{
    return json_type(json, 0) == JSON_OBJECT && read_time(json, "exp", -1, expires) &&
           read_time(json, "nbf", 0, starts);
}

enum token_status token_times_judge(const struct token_rules *r, int64_t expires, int64_t starts, int64_t now)
{
    if (expires < 0)
        return TOKEN_NO_EXPIRY;
    if (expires + r->leeway < now)
        return TOKEN_EXPIRED;
    return starts > now + r->leeway ? TOKEN_EARLY : TOKEN_OK;
}

static bool audience_accepted(const struct json *j, const char *wanted)
{
    uint32_t node = member(j, "aud");
    if (json_type(j, node) != JSON_ARRAY)
        return json_string_is(j, node, slice_of(wanted));
    for (uint32_t at = json_first(j, node); at != JSON_NONE; at = json_after(j, node, at)) {
        if (json_string_is(j, at, slice_of(wanted)))
            return true;
    }
    return false;
}

struct slice token_next_name(const char **list)
{
    const char *start = *list + strspn(*list, ", \t");
    size_t size = strcspn(start, ",");
    *list = start + size;
    while (size > 0 && strchr(" \t", start[size - 1]))
        size--;
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
    for (struct slice name = token_next_name(&names); name.size && node == JSON_NONE;
         name = token_next_name(&names))
        node = json_find(j, 0, name);

    struct slice user = json_is_integer(j, node) ? json_raw(j, node) : json_string(j, node, scratch);
    if (!is_plain(user))
        return false;
    struct slice verbatim = json_verbatim(j, node);
    claims->user = xstrndup(user.data, user.size);
    claims->user_json = xstrndup(verbatim.data, verbatim.size);
    return true;
}

enum token_status token_claims_judge(
    const struct token_rules *r, const struct json *json, int64_t now, struct token_facts *out)
{
    int64_t expires, starts;
    if (!token_times_read(json, &expires, &starts))
        return TOKEN_MALFORMED;
    enum token_status status = token_times_judge(r, expires, starts, now);
    if (status != TOKEN_OK)
        return status;
    struct buffer scratch = {0};
    if (*r->issuer && !json_string_is(json, member(json, "iss"), slice_of(r->issuer)))
        status = TOKEN_ISSUER;
    else if (*r->audience && !audience_accepted(json, r->audience))
        status = TOKEN_AUDIENCE;
    else if (!read_user(json, r->user_claims, &scratch, &out->claims))
        status = TOKEN_NO_USER;
    buffer_finish(&scratch);
    out->claims.expires = status == TOKEN_OK ? expires : 0;
    out->starts = starts;
    return status;
}
