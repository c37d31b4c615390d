/* libFuzzer: whatever the text, a verifier refuses it as token, and as a set of keys it is refused or gives
   some. The first byte says which; a token is also tried as the two first segments of one that is rightly
   signed, so that what lies behind the signature is reached. */
#include "../../src/edge/token_internal.h"

#include "causeway/base64.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"

enum { NOW = 1700000000 };

static struct token_verifier *make_verifier(void)
{
    struct buffer fault = {0};
    struct token_settings settings = {.secret = SLICE(SECRET),
        .fetched = true,
        .user_claims = "sub,id",
        .leeway_seconds = 30,
        .cache_max = 8};
    struct token_verifier *v = token_verifier_create(&settings, &fault);
    CHECK(v && fault.size == 0);
    return v;
}

static void add_segment(struct buffer *out, struct slice bytes)
{
    char *to = buffer_reserve(out, BASE64URL_SIZE(bytes.size) + 1);
    out->size += base64url_encode(bytes.data, bytes.size, to);
}

/* Header and payload are the parts before and behind the first line feed. */
static void judge_signed(struct token_verifier *v, const struct token_key *key, struct slice text)
{
    struct buffer token = {0}, signature = {0};
    const char *end = text.size ? memchr(text.data, '\n', text.size) : NULL;
    size_t first = end ? (size_t)(end - text.data) : text.size;
    struct slice rest = {text.data + first + (end != NULL), text.size - first - (end != NULL)};
    add_segment(&token, (struct slice){text.data, first});
    buffer_add_byte(&token, '.');
    add_segment(&token, rest);
    CHECK(token_key_sign(key, buffer_slice(&token), &signature));
    buffer_add_byte(&token, '.');
    add_segment(&token, buffer_slice(&signature));
    for (int i = 0; i < 2; i++) { /* the second time from memory, if it is good */
        struct token_claims claims;
        enum token_status status = token_verify(v, buffer_slice(&token), NOW, &claims);
        CHECK((status == TOKEN_OK) == (claims.user != NULL));
        CHECK(status != TOKEN_OK || (claims.expires >= NOW - 30 && strlen(claims.user) > 0));
        token_claims_finish(&claims);
    }
    buffer_finish(&token);
    buffer_finish(&signature);
}

static void read_keys(struct slice text, bool fetched)
{
    struct buffer notes = {0}, fault = {0};
    struct token_keys_rules rules = {.fetched = fetched};
    struct token_keys *keys = token_keys_read(text, &rules, &notes, &fault);
    CHECK((keys == NULL) == (fault.size > 0) && (!keys || keys->count > 0));
    for (size_t i = 0; keys && i < keys->count; i++)
        CHECK(!fetched || token_key_algorithm(keys->list[i]) != ALGORITHM_HS256);
    token_keys_release(keys);
    buffer_finish(&notes);
    buffer_finish(&fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_verifier *v;
    static struct token_key *key;
    const char *why;
    if (!v) {
        v = make_verifier();
        key = token_key_of_secret(SLICE(SECRET), false, &why);
    }
    if (size == 0)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    struct token_claims claims;
    switch (data[0] % 4) {
    case 0:
        CHECK(token_verify(v, text, NOW, &claims) != TOKEN_OK);
        break;
    case 1:
        judge_signed(v, key, text);
        break;
    default:
        read_keys(text, data[0] % 4 == 2);
    }
    return 0;
}
