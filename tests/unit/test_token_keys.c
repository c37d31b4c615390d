/* Tokens of several keys: which key a token means, how each algorithm is attacked, and which keys are
 * refused. */
#include "unit.h"

#include "token_forge.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/token.h"

#include <stdlib.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define GOOD "{\"sub\":\"ann\",\"exp\":1700000100}"

enum { NOW = 1700000000 };

static struct {
    EVP_PKEY *rsa, *other_rsa, *ec, *other_ec, *p384, *small_rsa;
    BIGNUM *order; /* of the curve P-256 */
} keys;

static int make_keys(void **state)
{
    (void)state;
    keys.rsa = EVP_RSA_gen(2048);
    keys.other_rsa = EVP_RSA_gen(2048);
    keys.small_rsa = EVP_RSA_gen(1024);
    keys.ec = EVP_EC_gen("P-256");
    keys.other_ec = EVP_EC_gen("P-256");
    keys.p384 = EVP_EC_gen("P-384");
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    keys.order = BN_dup(EC_GROUP_get0_order(group));
    EC_GROUP_free(group);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY *all[] = {keys.rsa, keys.other_rsa, keys.ec, keys.other_ec, keys.p384, keys.small_rsa};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        EVP_PKEY_free(all[i]);
    BN_free(keys.order);
    return 0;
}

/* --- ways to sign --- */

enum way {
    BY_RSA,
    BY_OTHER_RSA,
    BY_EC,
    BY_OTHER_EC,
    BY_SECRET,
    /* HMACs with what everybody knows */
    MAC_RSA_PEM,
    MAC_RSA_PEM_TRIMMED,
    MAC_RSA_DER,
    MAC_RSA_MODULUS,
    MAC_RSA_MODULUS_TEXT,
    MAC_RSA_JWK,
    MAC_EC_PEM,
    MAC_EC_POINT,
    MAC_NOTHING,
    MAC_KID,
    MAC_NULL_KEY,
    /* the right key in a wrong way */
    SHA512_MAC,
    CUT_MAC,
    LONGER_MAC,
    RSA_PSS_WAY,
    RSA_SHA1,
    RSA_SHA512,
    RSA_WITH_ZERO,
    RSA_CUT,
    RSA_NUMBER_ONE,
    RSA_NUMBER_ZERO,
    RSA_MODULUS,
    EC_AS_DER,
    EC_SHA512,
    EC_LONGER,
    EC_CUT,
    EC_HALF,
    EC_MIRRORED,
    EC_ZEROS,
    EC_ORDERS,
    EC_ONES,
    EC_ZERO_S,
    EC_SWAPPED,
    BY_P384,
    NO_SIGNATURE,
    NUL_BYTE,
};

static struct slice trimmed(struct slice s)
{
    while (s.size > 0 && s.data[s.size - 1] == '\n')
        s.size--;
    return s;
}

static void add_known_to_all(struct buffer *out, struct slice text, enum way way)
{
    struct buffer key = {0}, inner;
    if (way == MAC_RSA_PEM || way == MAC_RSA_PEM_TRIMMED)
        key = public_pem(keys.rsa);
    else if (way == MAC_EC_PEM)
        key = public_pem(keys.ec);
    else if (way == MAC_RSA_DER)
        key = public_der(keys.rsa);
    else if (way == MAC_RSA_MODULUS)
        key = number_of(keys.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
    else if (way == MAC_EC_POINT)
        key = number_of(keys.ec, OSSL_PKEY_PARAM_EC_PUB_X, 32);
    else if (way == MAC_RSA_JWK)
        add_rsa_jwk(&key, keys.rsa, "");
    else if (way == MAC_KID)
        buffer_add_text(&key, "r1");
    else if (way == MAC_NULL_KEY)
        buffer_add(&key, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    else if (way == MAC_RSA_MODULUS_TEXT) {
        inner = number_of(keys.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
        add_base64url(&key, inner.data, inner.size);
        buffer_finish(&inner);
    }
    add_mac(out, text, EVP_sha256(),
        way == MAC_RSA_PEM_TRIMMED ? trimmed(buffer_slice(&key)) : buffer_slice(&key));
    buffer_finish(&key);
}

static void add_odd_rsa(struct buffer *out, struct slice text, enum way way)
{
    static const char zeros[256];
    struct buffer modulus;
    switch (way) {
    case RSA_PSS_WAY:
        add_openssl_signature(out, text, EVP_sha256(), keys.rsa, RSA_PKCS1_PSS_PADDING);
        return;
    case RSA_SHA1:
        add_openssl_signature(out, text, EVP_sha1(), keys.rsa, 0);
        return;
    case RSA_SHA512:
        add_openssl_signature(out, text, EVP_sha512(), keys.rsa, 0);
        return;
    case RSA_WITH_ZERO:
        buffer_add_byte(out, '\0');
        add_openssl_signature(out, text, EVP_sha256(), keys.rsa, 0);
        return;
    case RSA_CUT:
        add_openssl_signature(out, text, EVP_sha256(), keys.rsa, 0);
        out->size--;
        return;
    case RSA_MODULUS:
        modulus = number_of(keys.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
        buffer_add_slice(out, buffer_slice(&modulus));
        buffer_finish(&modulus);
        return;
    default:
        buffer_add(out, zeros, sizeof zeros);
        if (way == RSA_NUMBER_ONE)
            out->data[out->size - 1] = 1;
    }
}

static void add_odd_ec(struct buffer *out, struct slice text, enum way way)
{
    char half[32];
    BIGNUM *zero = BN_new(), *one = BN_new();
    BN_zero(zero);
    BN_one(one);
    if (way == EC_AS_DER)
        add_openssl_signature(out, text, EVP_sha256(), keys.ec, 0);
    else if (way == EC_SHA512)
        add_curve_signature(out, text, EVP_sha512(), keys.ec, 32, NULL);
    else if (way == EC_ZEROS)
        add_numbers(out, zero, zero, 32);
    else if (way == EC_ORDERS)
        add_numbers(out, keys.order, keys.order, 32);
    else if (way == EC_ONES)
        add_numbers(out, one, one, 32);
    else if (way == EC_ZERO_S)
        add_numbers(out, one, zero, 32);
    else if (way == BY_P384)
        add_curve_signature(out, text, EVP_sha256(), keys.p384, 48, NULL);
    else
        add_curve_signature(out, text, EVP_sha256(), keys.ec, 32, way == EC_MIRRORED ? keys.order : NULL);
    if (way == EC_LONGER)
        buffer_add_byte(out, '\0');
    else if (way == EC_CUT)
        out->size--;
    else if (way == EC_HALF)
        out->size = 32;
    else if (way == EC_SWAPPED) {
        memcpy(half, out->data, 32);
        memmove(out->data, out->data + 32, 32);
        memcpy(out->data + 32, half, 32);
    }
    BN_free(zero);
    BN_free(one);
}

static void add_signature(struct buffer *out, struct slice text, enum way way)
{
    if (way == BY_RSA || way == BY_OTHER_RSA)
        add_openssl_signature(out, text, EVP_sha256(), way == BY_RSA ? keys.rsa : keys.other_rsa, 0);
    else if (way == BY_EC || way == BY_OTHER_EC)
        add_curve_signature(out, text, EVP_sha256(), way == BY_EC ? keys.ec : keys.other_ec, 32, NULL);
    else if (way == BY_SECRET || way == SHA512_MAC || way == CUT_MAC || way == LONGER_MAC) {
        add_mac(out, text, way == SHA512_MAC ? EVP_sha512() : EVP_sha256(), SLICE(SECRET));
        out->size -= way == CUT_MAC ? 16 : 0;
        if (way == LONGER_MAC)
            buffer_add_byte(out, '\0');
    } else if (way == NUL_BYTE)
        buffer_add_byte(out, '\0');
    else if (way <= MAC_NULL_KEY)
        add_known_to_all(out, text, way);
    else if (way <= RSA_MODULUS)
        add_odd_rsa(out, text, way);
    else if (way != NO_SIGNATURE)
        add_odd_ec(out, text, way);
}

static struct buffer forge(const char *header, const char *payload, enum way way)
{
    struct buffer token = {0}, signature = {0};
    add_base64url(&token, header, strlen(header));
    buffer_add_byte(&token, '.');
    add_base64url(&token, payload, strlen(payload));
    add_signature(&signature, buffer_slice(&token), way);
    buffer_add_byte(&token, '.');
    add_base64url(&token, signature.data, signature.size);
    buffer_finish(&signature);
    return token;
}

/* --- verifiers --- */

static struct token_settings settings_of(const char *files)
{
    return (struct token_settings){
        .key_files = files, .user_claims = "sub,iss", .leeway_seconds = 30, .cache_max = 16};
}

/* NULL: refused; the fault is in *fault. */
static struct token_verifier *verifier_of(
    const struct token_settings *base, struct slice text, struct buffer *fault)
{
    char path[64];
    file_with(path, text);
    struct token_settings settings = *base;
    settings.key_files = path;
    struct token_verifier *v = token_verifier_create(&settings, fault);
    unlink(path);
    assert_int_equal(v == NULL, fault->size > 0);
    return v;
}

static enum token_status verify(struct token_verifier *v, struct slice token, int64_t now)
{
    struct token_claims claims;
    enum token_status status = token_verify(v, token, now, &claims);
    assert_int_equal(status == TOKEN_OK, claims.user != NULL);
    token_claims_finish(&claims);
    return status;
}

static void expect(
    struct token_verifier *v, const char *header, enum way way, enum token_status wanted, const char *what)
{
    struct buffer token = forge(header, GOOD, way);
    enum token_status status = verify(v, buffer_slice(&token), NOW);
    if (status != wanted)
        fail_msg("%s, %s (%d): \"%s\" instead of \"%s\"", what, header, way, token_status_text(status),
            token_status_text(wanted));
    buffer_finish(&token);
}

/* One RSA key, one on P-256 and one secret, each with a name; what an identity provider's set looks like. */
static struct buffer three_keys(void)
{
    struct buffer set = {0};
    buffer_add_text(&set, "{\"keys\":[");
    add_rsa_jwk(&set, keys.rsa, ",\"kid\":\"r1\",\"alg\":\"RS256\",\"use\":\"sig\",\"x5t\":\"ignored\"");
    buffer_add_byte(&set, ',');
    add_curve_jwk(&set, keys.ec, "P-256", 32, ",\"kid\":\"e1\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]");
    buffer_add_byte(&set, ',');
    add_secret_jwk(&set, SLICE(SECRET), ",\"kid\":\"h1\"");
    buffer_add_text(&set, "]}");
    return set;
}

static struct token_verifier *verifier_of_three(void)
{
    struct buffer set = three_keys(), fault = {0};
    struct token_settings settings = settings_of(NULL);
    struct token_verifier *v = verifier_of(&settings, buffer_slice(&set), &fault);
    buffer_finish(&set);
    assert_non_null(v);
    return v;
}

/* --- tests --- */

/* RFC 7515, appendix A.1 to A.3: made by somebody else. */
static void tokens_of_the_standard_verify(void **state)
{
    (void)state;
#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    static const char set[] =
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
        "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
        "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
        "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
        "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"
        "I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_"
        "FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
    static const char *const tokens[] = {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
                                         ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "eyJhbGciOiJSUzI1NiJ9." JOE
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
        "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
        "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
        "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
        "IoypGlUPQGe77Rw",
        "eyJhbGciOiJFUzI1NiJ9." JOE
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"};
    struct buffer fault = {0};
    struct token_settings settings = settings_of(NULL);
    struct token_verifier *v = verifier_of(&settings, slice_of(set), &fault);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        assert_int_equal(verify(v, slice_of(tokens[i]), 1300819380), TOKEN_OK);
        assert_int_equal(verify(v, slice_of(tokens[i]), 1300819411), TOKEN_EXPIRED);
        char *changed = xstrdup(tokens[i]);
        size_t at = strlen(changed) - 20;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(v, slice_of(changed), 1300819380), TOKEN_SIGNATURE);
        free(changed);
    }
    token_verifier_destroy(v);
}

/* The known attacks on tokens with several keys; those on form and claims are in test_token.c. */
static void attacks_fail(void **state)
{
    (void)state;
    static const struct {
        const char *what, *header;
        enum way way;
        enum token_status status;
    } attacks[] = {
        {"as it should be", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", BY_RSA, TOKEN_OK},
        {"as it should be", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", BY_EC, TOKEN_OK},
        {"as it should be", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", BY_SECRET, TOKEN_OK},
        {"without a kid", "{\"alg\":\"RS256\"}", BY_RSA, TOKEN_OK},
        {"without a kid", "{\"alg\":\"ES256\"}", BY_EC, TOKEN_OK},
        {"without a kid", "{\"alg\":\"HS256\"}", BY_SECRET, TOKEN_OK},
        /* none */
        {"none", "{\"alg\":\"none\",\"kid\":\"r1\"}", NO_SIGNATURE, TOKEN_ALGORITHM},
        {"none", "{\"alg\":\"None\"}", NO_SIGNATURE, TOKEN_ALGORITHM},
        {"none", "{\"alg\":\"NONE\"}", NO_SIGNATURE, TOKEN_ALGORITHM},
        {"none", "{\"alg\":\"nOnE\"}", BY_RSA, TOKEN_ALGORITHM},
        {"no signature", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", NO_SIGNATURE, TOKEN_SIGNATURE},
        {"no signature", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", NO_SIGNATURE, TOKEN_SIGNATURE},
        {"no signature", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", NO_SIGNATURE, TOKEN_SIGNATURE},
        {"one byte as signature", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", NUL_BYTE, TOKEN_SIGNATURE},
        {"one byte as signature", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", NUL_BYTE, TOKEN_SIGNATURE},
        /* HMAC with what is public, under the key's name, under no name, under that of the secret */
        {"public PEM as secret", "{\"alg\":\"HS256\",\"kid\":\"r1\"}", MAC_RSA_PEM, TOKEN_ALGORITHM},
        {"public PEM as secret", "{\"alg\":\"HS256\"}", MAC_RSA_PEM, TOKEN_SIGNATURE},
        {"public PEM as secret", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", MAC_RSA_PEM, TOKEN_SIGNATURE},
        {"public PEM as secret", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", MAC_RSA_PEM, TOKEN_SIGNATURE},
        {"public PEM as secret", "{\"alg\":\"HS256\"}", MAC_RSA_PEM_TRIMMED, TOKEN_SIGNATURE},
        {"public DER as secret", "{\"alg\":\"HS256\"}", MAC_RSA_DER, TOKEN_SIGNATURE},
        {"modulus as secret", "{\"alg\":\"HS256\"}", MAC_RSA_MODULUS, TOKEN_SIGNATURE},
        {"modulus as secret", "{\"alg\":\"HS256\",\"kid\":\"r1\"}", MAC_RSA_MODULUS, TOKEN_ALGORITHM},
        {"modulus as secret", "{\"alg\":\"HS256\"}", MAC_RSA_MODULUS_TEXT, TOKEN_SIGNATURE},
        {"JWK as secret", "{\"alg\":\"HS256\"}", MAC_RSA_JWK, TOKEN_SIGNATURE},
        {"public EC PEM as secret", "{\"alg\":\"HS256\",\"kid\":\"e1\"}", MAC_EC_PEM, TOKEN_ALGORITHM},
        {"public EC PEM as secret", "{\"alg\":\"HS256\"}", MAC_EC_PEM, TOKEN_SIGNATURE},
        {"public point as secret", "{\"alg\":\"HS256\"}", MAC_EC_POINT, TOKEN_SIGNATURE},
        {"nothing as secret", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", MAC_NOTHING, TOKEN_SIGNATURE},
        {"zeros as secret", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", MAC_NULL_KEY, TOKEN_SIGNATURE},
        {"kid as secret", "{\"alg\":\"HS256\",\"kid\":\"r1\"}", MAC_KID, TOKEN_ALGORITHM},
        /* another algorithm than the key's */
        {"RSA key by HS512", "{\"alg\":\"HS512\",\"kid\":\"r1\"}", MAC_RSA_PEM, TOKEN_ALGORITHM},
        {"secret by HS512", "{\"alg\":\"HS512\",\"kid\":\"h1\"}", SHA512_MAC, TOKEN_ALGORITHM},
        {"HS512 called HS256", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", SHA512_MAC, TOKEN_SIGNATURE},
        {"half a MAC", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", CUT_MAC, TOKEN_SIGNATURE},
        {"a MAC and a byte", "{\"alg\":\"HS256\",\"kid\":\"h1\"}", LONGER_MAC, TOKEN_SIGNATURE},
        {"PS256", "{\"alg\":\"PS256\",\"kid\":\"r1\"}", RSA_PSS_WAY, TOKEN_ALGORITHM},
        {"PS256 called RS256", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_PSS_WAY, TOKEN_SIGNATURE},
        {"RS1", "{\"alg\":\"RS1\",\"kid\":\"r1\"}", RSA_SHA1, TOKEN_ALGORITHM},
        {"SHA-1 called RS256", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_SHA1, TOKEN_SIGNATURE},
        {"RS512", "{\"alg\":\"RS512\",\"kid\":\"r1\"}", RSA_SHA512, TOKEN_ALGORITHM},
        {"RS512 called RS256", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_SHA512, TOKEN_SIGNATURE},
        {"ES384", "{\"alg\":\"ES384\",\"kid\":\"e1\"}", BY_P384, TOKEN_ALGORITHM},
        {"ES384 called ES256", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", BY_P384, TOKEN_SIGNATURE},
        {"SHA-512 called ES256", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_SHA512, TOKEN_SIGNATURE},
        {"ES256K", "{\"alg\":\"ES256K\",\"kid\":\"e1\"}", BY_EC, TOKEN_ALGORITHM},
        {"EdDSA", "{\"alg\":\"EdDSA\",\"kid\":\"e1\"}", BY_EC, TOKEN_ALGORITHM},
        {"RSA1_5", "{\"alg\":\"RSA1_5\",\"enc\":\"A128GCM\"}", BY_RSA, TOKEN_ALGORITHM},
        {"dir", "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", BY_SECRET, TOKEN_ALGORITHM},
        {"rs256", "{\"alg\":\"rs256\",\"kid\":\"r1\"}", BY_RSA, TOKEN_ALGORITHM},
        {"the EC key's name", "{\"alg\":\"RS256\",\"kid\":\"e1\"}", BY_RSA, TOKEN_ALGORITHM},
        {"the RSA key's name", "{\"alg\":\"ES256\",\"kid\":\"r1\"}", BY_EC, TOKEN_ALGORITHM},
        {"the secret's name", "{\"alg\":\"RS256\",\"kid\":\"h1\"}", BY_RSA, TOKEN_ALGORITHM},
        {"the secret under the RSA key's name", "{\"alg\":\"HS256\",\"kid\":\"r1\"}", BY_SECRET,
            TOKEN_ALGORITHM},
        /* keys that the token brings along */
        {"its own key",
            "{\"alg\":\"RS256\",\"kid\":\"r1\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}}",
            BY_OTHER_RSA, TOKEN_SIGNATURE},
        {"its own key's address", "{\"alg\":\"RS256\",\"kid\":\"r1\",\"jku\":\"http://127.0.0.1:1/jwks\"}",
            BY_OTHER_RSA, TOKEN_SIGNATURE},
        {"its own certificate",
            "{\"alg\":\"ES256\",\"kid\":\"e1\",\"x5c\":[\"MIIB\"],\"x5u\":\"http://127.0.0.1:1/\"}",
            BY_OTHER_EC, TOKEN_SIGNATURE},
        {"another RSA key", "{\"alg\":\"RS256\"}", BY_OTHER_RSA, TOKEN_SIGNATURE},
        {"another EC key", "{\"alg\":\"ES256\"}", BY_OTHER_EC, TOKEN_SIGNATURE},
        /* kid */
        {"an unknown kid", "{\"alg\":\"RS256\",\"kid\":\"r2\"}", BY_RSA, TOKEN_KEY},
        {"a longer kid", "{\"alg\":\"RS256\",\"kid\":\"r1 \"}", BY_RSA, TOKEN_KEY},
        {"a shorter kid", "{\"alg\":\"RS256\",\"kid\":\"r\"}", BY_RSA, TOKEN_KEY},
        {"another case", "{\"alg\":\"RS256\",\"kid\":\"R1\"}", BY_RSA, TOKEN_KEY},
        {"a path", "{\"alg\":\"HS256\",\"kid\":\"../../../../../../dev/null\"}", MAC_NOTHING, TOKEN_KEY},
        {"SQL", "{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'AA'--\"}", MAC_NOTHING, TOKEN_KEY},
        {"a command", "{\"alg\":\"RS256\",\"kid\":\"r1|id\"}", BY_RSA, TOKEN_KEY},
        {"an empty kid", "{\"alg\":\"RS256\",\"kid\":\"\"}", BY_RSA, TOKEN_KEY},
        {"NUL in the kid", "{\"alg\":\"RS256\",\"kid\":\"r1\\u0000\"}", BY_RSA, TOKEN_MALFORMED},
        {"two kids", "{\"alg\":\"RS256\",\"kid\":\"r1\",\"kid\":\"e1\"}", BY_RSA, TOKEN_MALFORMED},
        {"a kid that is no text", "{\"alg\":\"RS256\",\"kid\":{\"r1\":1}}", BY_RSA, TOKEN_MALFORMED},
        {"an escaped kid is the same", "{\"alg\":\"RS256\",\"kid\":\"\\u00721\"}", BY_RSA, TOKEN_OK},
        {"crit", "{\"alg\":\"RS256\",\"kid\":\"r1\",\"crit\":[\"b64\"],\"b64\":false}", BY_RSA,
            TOKEN_MALFORMED},
        {"two algorithms", "{\"alg\":\"HS256\",\"alg\":\"RS256\",\"kid\":\"r1\"}", BY_RSA, TOKEN_MALFORMED},
        /* RSA signatures */
        {"a zero before it", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_WITH_ZERO, TOKEN_SIGNATURE},
        {"cut", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_CUT, TOKEN_SIGNATURE},
        {"the number 0", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_NUMBER_ZERO, TOKEN_SIGNATURE},
        {"the number 1", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_NUMBER_ONE, TOKEN_SIGNATURE},
        {"the modulus", "{\"alg\":\"RS256\",\"kid\":\"r1\"}", RSA_MODULUS, TOKEN_SIGNATURE},
        /* ECDSA signatures: 0, 0 is what CVE-2022-21449 let pass */
        {"r = s = 0", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_ZEROS, TOKEN_SIGNATURE},
        {"r = s = n", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_ORDERS, TOKEN_SIGNATURE},
        {"r = s = 1", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_ONES, TOKEN_SIGNATURE},
        {"s = 0", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_ZERO_S, TOKEN_SIGNATURE},
        {"as DER", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_AS_DER, TOKEN_SIGNATURE},
        {"65 bytes", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_LONGER, TOKEN_SIGNATURE},
        {"63 bytes", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_CUT, TOKEN_SIGNATURE},
        {"r alone", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_HALF, TOKEN_SIGNATURE},
        {"s and r", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_SWAPPED, TOKEN_SIGNATURE},
        /* no attack: it says the same, by the same signer */
        {"n - s", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", EC_MIRRORED, TOKEN_OK},
    };
    struct token_verifier *v = verifier_of_three();
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        expect(v, attacks[i].header, attacks[i].way, attacks[i].status, attacks[i].what);
    token_verifier_destroy(v);
}

/* A secret without a name beside keys with names: as when a team moves from its secret to an identity
 * provider. */
static void keys_without_a_name_are_tried_when_the_name_is_not_known(void **state)
{
    (void)state;
    struct buffer set = {0}, fault = {0};
    struct token_settings settings = settings_of(NULL);
    settings.secret = SLICE(SECRET);
    buffer_add_text(&set, "{\"keys\":[");
    add_rsa_jwk(&set, keys.rsa, ",\"kid\":\"r1\"");
    buffer_add_byte(&set, ',');
    add_rsa_jwk(&set, keys.other_rsa, ",\"kid\":\"r1\""); /* one name, two keys */
    buffer_add_byte(&set, ',');
    add_curve_jwk(&set, keys.ec, "P-256", 32, ",\"kid\":\"r1\"");
    buffer_add_text(&set, "]}");
    struct token_verifier *v = verifier_of(&settings, buffer_slice(&set), &fault);
    expect(v, "{\"alg\":\"HS256\",\"kid\":\"r2\"}", BY_SECRET, TOKEN_OK, "the secret by any name");
    expect(v, "{\"alg\":\"HS256\",\"kid\":\"r2\"}", MAC_RSA_PEM, TOKEN_SIGNATURE, "another secret");
    expect(v, "{\"alg\":\"HS256\",\"kid\":\"r1\"}", BY_SECRET, TOKEN_ALGORITHM, "but not by another key's");
    expect(v, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", BY_RSA, TOKEN_OK, "first of one name");
    expect(v, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", BY_OTHER_RSA, TOKEN_OK, "second of one name");
    expect(v, "{\"alg\":\"ES256\",\"kid\":\"r1\"}", BY_EC, TOKEN_OK, "of one name, by algorithm");
    expect(v, "{\"alg\":\"ES256\",\"kid\":\"r1\"}", BY_OTHER_EC, TOKEN_SIGNATURE, "none of that name");
    expect(v, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", BY_RSA, TOKEN_KEY, "no nameless key does RS256");
    token_verifier_destroy(v);

    settings.fetched = true; /* then the key of that name may come yet; but no secret comes by a URL */
    v = verifier_of(&settings, buffer_slice(&set), &fault);
    expect(v, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", BY_RSA, TOKEN_KEY, "may come yet");
    expect(v, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", NO_SIGNATURE, TOKEN_SIGNATURE, "is there already");
    expect(v, "{\"alg\":\"RS256\"}", NO_SIGNATURE, TOKEN_SIGNATURE, "names none");
    expect(v, "{\"alg\":\"HS256\",\"kid\":\"r2\"}", NO_SIGNATURE, TOKEN_SIGNATURE, "a secret");
    token_verifier_destroy(v);
    buffer_finish(&set);
    buffer_finish(&fault);

    settings = settings_of(NULL);
    settings.fetched = true;
    v = token_verifier_create(&settings, &fault);
    expect(v, "{\"alg\":\"RS256\"}", BY_RSA, TOKEN_KEY, "no key at all yet");
    expect(
        v, "{\"alg\":\"HS256\"}", BY_SECRET, TOKEN_ALGORITHM, "no key at all, but a secret is never fetched");
    token_verifier_destroy(v);
}

static void pem_files_are_keys(void **state)
{
    (void)state;
    EVP_PKEY *const pairs[] = {keys.rsa, keys.ec};
    static const char *const headers[] = {"{\"alg\":\"RS256\",\"kid\":\"any\"}", "{\"alg\":\"ES256\"}"};
    static const enum way ways[] = {BY_RSA, BY_EC};
    for (size_t i = 0; i < 2; i++) {
        struct buffer pem = public_pem(pairs[i]), fault = {0};
        struct token_settings settings = settings_of(NULL);
        struct token_verifier *v = verifier_of(&settings, buffer_slice(&pem), &fault);
        assert_non_null(v);
        expect(v, headers[i], ways[i], TOKEN_OK, "PEM");
        expect(v, headers[!i], ways[!i], TOKEN_ALGORITHM, "PEM of another kind");
        expect(v, "{\"alg\":\"HS256\"}", i ? MAC_EC_PEM : MAC_RSA_PEM, TOKEN_ALGORITHM, "PEM as secret");
        token_verifier_destroy(v);
        buffer_finish(&pem);
    }
}

static void refuse_file(struct slice text, const char *why)
{
    struct buffer fault = {0};
    struct token_settings settings = settings_of(NULL);
    struct token_verifier *v = verifier_of(&settings, text, &fault);
    if (v || !strstr(buffer_text(&fault), why))
        fail_msg("\"%.200s\": \"%s\" does not say \"%s\"", text.data, buffer_text(&fault), why);
    assert_memory_equal(fault.data, "JWT_KEYS: /tmp/", 15);
    buffer_finish(&fault);
}

static void refuse_key(struct buffer *key, const char *why)
{
    struct buffer set = {0};
    buffer_print(&set, "{\"keys\":[%s]}", buffer_text(key));
    refuse_file(buffer_slice(&set), why);
    buffer_finish(&set);
    buffer_clear(key);
}

static void keys_that_are_no_good_are_refused(void **state)
{
    (void)state;
    struct buffer key = {0}, pem;
    add_rsa_jwk(&key, keys.small_rsa, ",\"kid\":\"small\"");
    refuse_key(&key, "key 1 (kid \"small\") is an RSA key of less than 2048");
    add_rsa_jwk(&key, keys.rsa, ",\"d\":\"AQAB\"");
    refuse_key(&key, "key 1 holds a private key");
    add_rsa_jwk(&key, keys.rsa, ",\"kid\":7");
    refuse_key(&key, "has a kid that is no text");
    add_rsa_jwk(&key, keys.rsa, ",\"kid\":\"\"");
    refuse_key(&key, "has a kid that is no text");
    add_secret_jwk(&key, SLICE("short"), "");
    refuse_key(&key, "has less than 32 bytes");
    pem = public_pem(keys.rsa);
    add_secret_jwk(&key, buffer_slice(&pem), "");
    refuse_key(&key, "is a public key");
    buffer_finish(&pem);
    pem = public_der(keys.ec);
    add_secret_jwk(&key, buffer_slice(&pem), "");
    refuse_key(&key, "is a public key");
    buffer_finish(&pem);
    add_curve_jwk(&key, keys.ec, "P-256", 40, "");
    refuse_key(&key, "not 32 bytes each");
    add_rsa_jwk(&key, keys.rsa, ",\"use\":\"enc\"");
    refuse_key(&key, "no key that can be used: key 1 is not for signatures");
    add_rsa_jwk(&key, keys.rsa, ",\"key_ops\":[\"sign\"]");
    refuse_key(&key, "is not for signatures");
    add_rsa_jwk(&key, keys.rsa, ",\"alg\":\"PS256\"");
    refuse_key(&key, "is not for HS256, RS256 or ES256");
    add_rsa_jwk(&key, keys.rsa, ",\"alg\":\"HS256\"");
    refuse_key(&key, "is not for HS256, RS256 or ES256");
    add_curve_jwk(&key, keys.p384, "P-384", 48, "");
    refuse_key(&key, "is not for HS256, RS256 or ES256");
    pem = number_of(keys.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
    pem.data[pem.size - 1] ^= 1;
    buffer_add_text(&key, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
    add_base64url(&key, pem.data, pem.size);
    buffer_add_text(&key, "\"}");
    refuse_key(&key, "is no sound key");
    buffer_finish(&pem);
    static const char *const texts[][2] = {
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
            "cannot be read"}, /* off the curve */
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
            "cannot be read"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
            "lacks a number"},
        {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "is an RSA key of less than 2048"},
        {"{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}", "lacks a number"},
        {"{\"kty\":\"RSA\",\"n\":12,\"e\":\"AQAB\"}", "lacks a number"},
        {"{\"kty\":\"RSA\",\"n\":\"AQAB==\",\"e\":\"AQAB\"}", "lacks a number"},
        {"{\"kty\":\"oct\"}", "lacks a number"},
        {"{\"kty\":\"oct\",\"k\":\"\"}", "lacks a number"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}", "is not for HS256, RS256 or ES256"},
        {"{}", "is not for HS256, RS256 or ES256"},
        {"7", "is no object"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buffer_add_text(&key, texts[i][0]);
        refuse_key(&key, texts[i][1]);
    }
    buffer_finish(&key);
}

static void an_exponent_that_signs_for_everybody_is_refused(void **state)
{
    (void)state;
    static const char *const exponents[] = {"AQ", "AA", "AgAA", "AQAAAAE"}; /* 1, 0, even, 2^32 + 1 */
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        struct buffer key = {0};
        buffer_add_text(&key, "{\"kty\":\"RSA\"");
        add_number_member(&key, "n", keys.rsa, OSSL_PKEY_PARAM_RSA_N, 0);
        buffer_print(&key, ",\"e\":\"%s\"}", exponents[i]);
        refuse_key(&key, "exponent");
        buffer_finish(&key);
    }
}

static void files_that_are_no_good_are_refused(void **state)
{
    (void)state;
    struct buffer text = {0}, second = {0}, fault = {0};
    refuse_file(SLICE(""), "byte 0");
    refuse_file(SLICE("hello"), "byte 0");
    refuse_file(SLICE("[]"), "no array \"keys\"");
    refuse_file(SLICE("{\"keys\":{}}"), "no array \"keys\"");
    refuse_file(SLICE("{\"keys\":[]}"), "no key that can be used");
    refuse_file(SLICE("{\"keys\":[],\"keys\":[]}"), "byte");
    refuse_file(SLICE("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "cannot be read");
    refuse_file(SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read");
    text = private_pem(keys.ec);
    refuse_file(buffer_slice(&text), "is a private key");
    buffer_finish(&text);
    text = public_pem(keys.p384);
    refuse_file(buffer_slice(&text), "neither an RSA key nor one on the curve P-256");
    buffer_finish(&text);
    text = public_pem(keys.small_rsa);
    refuse_file(buffer_slice(&text), "less than 2048");
    buffer_finish(&text);
    text = public_pem(keys.rsa);
    second = public_pem(keys.ec);
    buffer_add_slice(&text, buffer_slice(&second));
    refuse_file(buffer_slice(&text), "holds more than one key");
    buffer_clear(&text);
    while (text.size <= 256 * 1024)
        buffer_add_text(&text, "          ");
    refuse_file(buffer_slice(&text), "more than 262144 bytes");
    buffer_finish(&text);
    buffer_finish(&second);

    struct token_settings settings = settings_of("/no/such/file");
    assert_null(token_verifier_create(&settings, &fault));
    assert_string_equal(buffer_text(&fault), "JWT_KEYS: /no/such/file: No such file or directory");
    buffer_finish(&fault);
}

static void too_many_keys_are_refused(void **state)
{
    (void)state;
    for (int count = 64; count <= 65; count++) {
        struct buffer text = {0}, fault = {0};
        struct token_settings settings = settings_of(NULL);
        buffer_add_text(&text, "{\"keys\":[");
        for (int i = 0; i < count; i++) {
            buffer_add_text(&text, i ? "," : "");
            add_secret_jwk(&text, SLICE(SECRET), "");
        }
        buffer_add_text(&text, "]}");
        struct token_verifier *v = verifier_of(&settings, buffer_slice(&text), &fault);
        assert_int_equal(v != NULL, count == 64);
        token_verifier_destroy(v);
        buffer_finish(&text);
        buffer_finish(&fault);
    }
}

static void secrets_that_are_no_secrets_are_refused(void **state)
{
    (void)state;
    struct buffer pem = public_pem(keys.rsa), der = public_der(keys.rsa), base64 = {0};
    size_t room = der.size * 2;
    base64.size = (size_t)EVP_EncodeBlock(
        (unsigned char *)buffer_reserve(&base64, room), (const unsigned char *)der.data, (int)der.size);
    const struct {
        struct slice secret;
        bool weak;
        const char *fault; /* NULL: none */
    } cases[] = {
        {SLICE("0123456789abcdef0123456789abcdef"), false, NULL},
        {SLICE("0123456789abcdef0123456789abcde"), false, "JWT_SECRET has less than 32 bytes"},
        {SLICE("s"), true, NULL}, {buffer_slice(&pem), false, "JWT_SECRET is a public key"},
        {buffer_slice(&pem), true, "JWT_SECRET is a public key"},
        {buffer_slice(&der), true, "JWT_SECRET is a public key"},
        {buffer_slice(&base64), true,
            "JWT_SECRET is a public key"}, /* as pages of identity providers show it */
        {SLICE("-----BEGIN RSA PRIVATE KEY-----"), true, "JWT_SECRET is a public key"},
        {SLICE("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"), true, NULL}, /* looks like one */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer fault = {0};
        struct token_settings settings = settings_of(NULL);
        settings.secret = cases[i].secret;
        settings.weak = cases[i].weak;
        struct token_verifier *v = token_verifier_create(&settings, &fault);
        assert_int_equal(v != NULL, cases[i].fault == NULL);
        if (cases[i].fault)
            assert_memory_equal(buffer_text(&fault), cases[i].fault, strlen(cases[i].fault));
        token_verifier_destroy(v);
        buffer_finish(&fault);
    }
    buffer_finish(&pem);
    buffer_finish(&der);
    buffer_finish(&base64);
}

/* --- what is remembered --- */

static int64_t judged(const char *result)
{
    return metric_value(metric_label(METRIC_TOKENS, result));
}

static void verified_tokens_are_remembered_but_not_beyond_their_time(void **state)
{
    (void)state;
    struct token_verifier *v = verifier_of_three();
    struct buffer token =
        forge("{\"alg\":\"ES256\"}", "{\"sub\":7,\"exp\":1700000100,\"nbf\":1700000000}", BY_EC);
    int64_t verified = judged("verified"), cached = judged("cached"), expired = judged("token expired");
    for (int i = 0; i < 3; i++) {
        struct token_claims claims;
        assert_int_equal(token_verify(v, buffer_slice(&token), NOW + i, &claims), TOKEN_OK);
        assert_string_equal(claims.user, "7");
        assert_string_equal(claims.user_json, "7");
        assert_int_equal(claims.expires, 1700000100);
        token_claims_finish(&claims);
    }
    assert_int_equal(judged("verified") - verified, 1);
    assert_int_equal(judged("cached") - cached, 2);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000130), TOKEN_OK);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000131), TOKEN_EXPIRED);
    assert_int_equal(verify(v, buffer_slice(&token), 1700000131), TOKEN_EXPIRED);
    assert_int_equal(verify(v, buffer_slice(&token), 1699999969), TOKEN_EARLY); /* a clock was set back */
    assert_int_equal(judged("token expired") - expired, 2);

    token.data[token.size - 2] ^= 1; /* its neighbour is another token */
    enum token_status status = verify(v, buffer_slice(&token), NOW);
    assert_true(status == TOKEN_SIGNATURE || status == TOKEN_MALFORMED);
    buffer_finish(&token);
    token_verifier_destroy(v);
}

static void what_is_refused_is_not_remembered(void **state)
{
    (void)state;
    struct token_verifier *v = verifier_of_three();
    struct buffer token = forge("{\"alg\":\"RS256\"}", GOOD, BY_OTHER_RSA);
    int64_t cached = judged("cached"), refused = judged("token signature invalid");
    for (int i = 0; i < 3; i++)
        assert_int_equal(verify(v, buffer_slice(&token), NOW), TOKEN_SIGNATURE);
    assert_int_equal(judged("token signature invalid") - refused, 3);
    assert_int_equal(judged("cached"), cached);
    buffer_finish(&token);
    token_verifier_destroy(v);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    for (size_t entries = 0; entries <= 8; entries += 4) {
        struct buffer set = three_keys(), fault = {0};
        struct token_settings settings = settings_of(NULL);
        settings.cache_max = entries;
        struct token_verifier *v = verifier_of(&settings, buffer_slice(&set), &fault);
        int64_t cached = judged("cached");
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 100; i++) {
                char payload[64];
                snprintf(payload, sizeof payload, "{\"sub\":%d,\"exp\":%d}", i, 1700000100 + i);
                struct buffer token = forge("{\"alg\":\"HS256\"}", payload, BY_SECRET);
                struct token_claims claims;
                assert_int_equal(token_verify(v, buffer_slice(&token), NOW, &claims), TOKEN_OK);
                assert_int_equal(atoi(claims.user), i);
                token_claims_finish(&claims);
                buffer_finish(&token);
                if (i == 96)
                    cached = judged("cached");
            }
        }
        /* Who expires last stays, in each row of four places. */
        assert_in_range(judged("cached") - cached, entries ? 2 : 0, entries ? 3 : 0);
        token_verifier_destroy(v);
        buffer_finish(&set);
    }
}

/* --- issuing --- */

static void tokens_are_issued_with_private_keys(void **state)
{
    (void)state;
    EVP_PKEY *const pairs[] = {keys.rsa, keys.ec};
    static const char *const kids[] = {"r1", "e1"};
    struct token_verifier *v = verifier_of_three();
    struct token_settings settings = settings_of(NULL);
    for (size_t i = 0; i < 20; i++) { /* numbers on a curve begin with zeros now and then */
        struct buffer pem = private_pem(pairs[i % 2]), fault = {0};
        char path[64];
        file_with(path, buffer_slice(&pem));
        struct token_issue what = {.settings = &settings,
            .key_file = path,
            .kid = kids[i % 2],
            .user_json = "\"ann\"",
            .now = NOW,
            .ttl_seconds = 60 + (int64_t)i};
        char *token = token_issue(&what, &fault);
        assert_non_null(token);
        assert_int_equal(verify(v, slice_of(token), NOW), TOKEN_OK);
        free(token);
        what.kid = kids[(i + 1) % 2];
        token = token_issue(&what, &fault);
        assert_int_equal(verify(v, slice_of(token), NOW), TOKEN_ALGORITHM);
        free(token);
        unlink(path);
        assert_null(token_issue(&what, &fault));
        assert_non_null(strstr(buffer_text(&fault), "No such file"));
        buffer_finish(&pem);
        buffer_finish(&fault);
    }
    token_verifier_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_the_standard_verify),
        cmocka_unit_test(attacks_fail),
        cmocka_unit_test(keys_without_a_name_are_tried_when_the_name_is_not_known),
        cmocka_unit_test(pem_files_are_keys),
        cmocka_unit_test(keys_that_are_no_good_are_refused),
        cmocka_unit_test(an_exponent_that_signs_for_everybody_is_refused),
        cmocka_unit_test(files_that_are_no_good_are_refused),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(secrets_that_are_no_secrets_are_refused),
        cmocka_unit_test(verified_tokens_are_remembered_but_not_beyond_their_time),
        cmocka_unit_test(what_is_refused_is_not_remembered),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(tokens_are_issued_with_private_keys),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
