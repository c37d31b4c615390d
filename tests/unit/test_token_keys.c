/* Which keys there are: JWK Sets, PEM files and secrets, and what is refused among them. */
#include "token_keys_stage.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_without_a_name_are_tried_when_the_name_is_not_known),
        cmocka_unit_test(pem_files_are_keys),
        cmocka_unit_test(keys_that_are_no_good_are_refused),
        cmocka_unit_test(an_exponent_that_signs_for_everybody_is_refused),
        cmocka_unit_test(files_that_are_no_good_are_refused),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(secrets_that_are_no_secrets_are_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
