/* Tokens of the standard hold; attacks do not. */
#include "token_keys_stage.h"

#include "causeway/memory.h"

#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_the_standard_verify),
        cmocka_unit_test(attacks_fail),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
