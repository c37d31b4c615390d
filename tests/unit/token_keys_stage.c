#include "token_keys_stage.h"

struct forge_keys keys;

int make_keys(void **state)
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

int free_keys(void **state)
{
    (void)state;
    EVP_PKEY *all[] = {keys.rsa, keys.other_rsa, keys.ec, keys.other_ec, keys.p384, keys.small_rsa};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        EVP_PKEY_free(all[i]);
    BN_free(keys.order);
    return 0;
}

/* --- ways to sign --- */

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

struct buffer forge(const char *header, const char *payload, enum way way)
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

struct token_settings settings_of(const char *files)
{
    return (struct token_settings){
        .key_files = files, .user_claims = "sub,iss", .leeway_seconds = 30, .cache_max = 16};
}

struct token_verifier *verifier_of(const struct token_settings *base, struct slice text, struct buffer *fault)
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

enum token_status verify(struct token_verifier *v, struct slice token, int64_t now)
{
    struct token_claims claims;
    enum token_status status = token_verify(v, token, now, &claims);
    assert_int_equal(status == TOKEN_OK, claims.user != NULL);
    token_claims_finish(&claims);
    return status;
}

void expect(
    struct token_verifier *v, const char *header, enum way way, enum token_status wanted, const char *what)
{
    struct buffer token = forge(header, GOOD, way);
    enum token_status status = verify(v, buffer_slice(&token), NOW);
    if (status != wanted)
        fail_msg("%s, %s (%d): \"%s\" instead of \"%s\"", what, header, way, token_status_text(status),
            token_status_text(wanted));
    buffer_finish(&token);
}

struct buffer three_keys(void)
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

struct token_verifier *verifier_of_three(void)
{
    struct buffer set = three_keys(), fault = {0};
    struct token_settings settings = settings_of(NULL);
    struct token_verifier *v = verifier_of(&settings, buffer_slice(&set), &fault);
    buffer_finish(&set);
    assert_non_null(v);
    return v;
}
