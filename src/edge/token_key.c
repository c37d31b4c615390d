/* One key, and the only file of the family that knows OpenSSL. A key's algorithm follows from what the key
   is: bytes are for HMAC, an RSA key for RS256, one on P-256 for ES256. No path leads from a public key to an
   HMAC over its text, whatever a token asks for. */
#include "token_internal.h"

#include "causeway/memory.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum {
    SECRET_LEAST = 32,
    RSA_BITS_LEAST = 2048,
    RSA_BITS_MOST = 8192, /* what a signature costs to check is bounded with it */
    EXPONENT_BITS_MOST = 32,
    P256_BYTES = 32,
    P256_PAIR = 64, /* the two numbers of a signature */
    DER_MAX = 80,   /* of a signature on P-256 */
};

struct token_key {
    enum token_algorithm algorithm;
    char *kid;
    char *secret; /* HS256 */
    size_t secret_size;
    EVP_PKEY *pair; /* RS256, ES256 */
};

static struct token_key *refuse(const char **why, const char *text)
{
    *why = text;
    ERR_clear_error();
    return NULL;
}

/* --- secrets --- */

static const unsigned char *bytes_of(struct slice s)
{
    return (const unsigned char *)s.data;
}

static bool is_public_key(const unsigned char *der, size_t size)
{
    EVP_PKEY *pair = d2i_PUBKEY(NULL, &der, (long)size);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return pair != NULL;
}

/* Public keys are shown to everybody: as PEM, as DER, or as the base64 between the lines of a PEM, which is
   what some identity providers put on their pages to be copied. */
static bool is_known_to_all(struct slice secret)
{
    if (memmem(secret.data, secret.size, "-----BEGIN", 10) || is_public_key(bytes_of(secret), secret.size))
        return true;
    if (secret.size % 4 != 0 || secret.size > TOKEN_MAX_BYTES)
        return false;
    unsigned char *der = xmalloc(secret.size / 4 * 3 + 1);
    int size = EVP_DecodeBlock(der, bytes_of(secret), (int)secret.size);
    bool known = size > 0 && is_public_key(der, (size_t)size);
    free(der);
    return known;
}

struct token_key *token_key_of_secret(struct slice secret, bool weak, const char **why)
{
    if (secret.size == 0)
        return refuse(why, "is empty");
    if (is_known_to_all(secret))
        return refuse(
            why, "is a public key, with which everybody could sign; it belongs into a file of JWT_KEYS");
    if (secret.size < SECRET_LEAST && !weak)
        return refuse(why, "has less than 32 bytes");
    struct token_key *k = xcalloc(1, sizeof *k);
    k->algorithm = ALGORITHM_HS256;
    k->secret = xstrndup(secret.data, secret.size);
    k->secret_size = secret.size;
    return k;
}

/* --- key pairs --- */

static bool is_p256(const EVP_PKEY *pair)
{
    char group[32] = "";
    size_t size;
    return EVP_PKEY_is_a(pair, "EC") && EVP_PKEY_get_group_name(pair, group, sizeof group, &size) == 1 &&
           (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, "P-256") == 0);
}

/* NULL: it is as it must be. */
static const char *fault_of_rsa(const EVP_PKEY *pair)
{
    BIGNUM *exponent = NULL;
    int bits = EVP_PKEY_get_bits(pair);
    bool fine = EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
                !BN_is_one(exponent) && BN_num_bits(exponent) <= EXPONENT_BITS_MOST;
    BN_free(exponent);
    if (bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST)
        return "is an RSA key of less than 2048 or more than 8192 bits";
    return fine ? NULL : "has an unusual RSA exponent";
}

static bool is_sound(EVP_PKEY *pair)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    bool sound = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return sound;
}

/* Takes over the pair. */
static struct token_key *key_of_pair(EVP_PKEY *pair, const char **why)
{
    bool rsa = pair && EVP_PKEY_is_a(pair, "RSA");
    const char *fault = !pair            ? "cannot be read"
                        : rsa            ? fault_of_rsa(pair)
                        : !is_p256(pair) ? "is neither an RSA key nor one on the curve P-256"
                                         : NULL;
    if (!fault && !is_sound(pair))
        fault = "is no sound key";
    if (fault) {
        EVP_PKEY_free(pair);
        return refuse(why, fault);
    }
    struct token_key *k = xcalloc(1, sizeof *k);
    k->algorithm = rsa ? ALGORITHM_RS256 : ALGORITHM_ES256;
    k->pair = pair;
    return k;
}

static EVP_PKEY *pair_of_parameters(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pair = NULL;
    bool made = parameters && context && EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, &pair, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return made ? pair : NULL;
}

struct token_key *token_key_of_rsa(struct slice modulus, struct slice exponent, const char **why)
{
    if (modulus.size > RSA_BITS_MOST / 8 + 1 || exponent.size > RSA_BITS_MOST / 8)
        return refuse(why, "is an RSA key of less than 2048 or more than 8192 bits");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(bytes_of(modulus), (int)modulus.size, NULL);
    BIGNUM *e = BN_bin2bn(bytes_of(exponent), (int)exponent.size, NULL);
    bool filled = build && n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    EVP_PKEY *pair = filled ? pair_of_parameters("RSA", build) : NULL;
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key_of_pair(pair, why);
}

struct token_key *token_key_of_p256(struct slice x, struct slice y, const char **why)
{
    unsigned char point[1 + P256_PAIR] = {POINT_CONVERSION_UNCOMPRESSED};
    if (x.size != P256_BYTES || y.size != P256_BYTES)
        return refuse(why, "has coordinates that are not 32 bytes each");
    memcpy(point + 1, x.data, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.data, P256_BYTES);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool filled =
        build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1;
    EVP_PKEY *pair = filled ? pair_of_parameters("EC", build) : NULL;
    OSSL_PARAM_BLD_free(build);
    return key_of_pair(pair, why);
}

/* Nobody is there to type one. */
static int no_password(char *out, int size, int writing, void *context)
{
    (void)writing;
    (void)context;
    if (size > 0)
        out[0] = '\0';
    return -1;
}

static struct token_key *read_pem(struct slice text, bool private, const char **why)
{
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    CHECK(bio);
    EVP_PKEY *pair = private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
                             : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return key_of_pair(pair, why);
}

struct token_key *token_key_of_pem(struct slice text, const char **why)
{
    static const char private_mark[] = "PRIVATE KEY-----";
    if (memmem(text.data, text.size, private_mark, sizeof private_mark - 1))
        return refuse(why, "is a private key, which is of no use here: give the public one");
    return read_pem(text, false, why);
}

struct token_key *token_key_of_private_pem(struct slice text, const char **why)
{
    return read_pem(text, true, why);
}

void token_key_destroy(struct token_key *k)
{
    if (!k)
        return;
    if (k->secret)
        OPENSSL_cleanse(k->secret, k->secret_size);
    free(k->secret);
    EVP_PKEY_free(k->pair);
    free(k->kid);
    free(k);
}

void token_key_set_kid(struct token_key *k, struct slice kid)
{
    free(k->kid);
    k->kid = xstrndup(kid.data, kid.size);
}

struct slice token_key_kid(const struct token_key *k)
{
    return slice_of(k->kid);
}

enum token_algorithm token_key_algorithm(const struct token_key *k)
{
    return k->algorithm;
}

/* --- signatures --- */

static bool make_mac(const struct token_key *k, struct slice text, unsigned char out[TOKEN_DIGEST_BYTES])
{
    unsigned size = 0;
    return HMAC(EVP_sha256(), k->secret, (int)k->secret_size, bytes_of(text), text.size, out, &size) &&
           size == TOKEN_DIGEST_BYTES;
}

/* A token has the two numbers side by side; OpenSSL wants them as DER. 0: they are not that long. */
static size_t der_of_pair(struct slice signature, unsigned char der[DER_MAX])
{
    if (signature.size != P256_PAIR)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes_of(signature), P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(bytes_of(signature) + P256_BYTES, P256_BYTES, NULL);
    CHECK(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1);
    int size = i2d_ECDSA_SIG(pair, &der);
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

static bool pair_verifies(
    const struct token_key *k, struct slice text, const unsigned char *bytes, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool holds = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, k->pair) == 1 &&
                 EVP_DigestVerify(context, bytes, size, bytes_of(text), text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return holds;
}

bool token_key_verifies(const struct token_key *k, struct slice text, struct slice signature)
{
    unsigned char mac[TOKEN_DIGEST_BYTES], der[DER_MAX];
    size_t size;
    switch (k->algorithm) {
    case ALGORITHM_HS256:
        return signature.size == sizeof mac && make_mac(k, text, mac) &&
               CRYPTO_memcmp(mac, signature.data, sizeof mac) == 0;
    case ALGORITHM_RS256:
        return pair_verifies(k, text, bytes_of(signature), signature.size);
    case ALGORITHM_ES256:
        size = der_of_pair(signature, der);
        return size > 0 && pair_verifies(k, text, der, size);
    default:
        return false;
    }
}

static bool add_pair_of_der(const unsigned char *der, size_t size, struct buffer *out)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    unsigned char *to = (unsigned char *)buffer_reserve(out, P256_PAIR);
    bool fine = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, P256_BYTES) == P256_BYTES &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + P256_BYTES, P256_BYTES) == P256_BYTES;
    out->size += fine ? P256_PAIR : 0;
    ECDSA_SIG_free(pair);
    return fine;
}

static bool sign_with_pair(const struct token_key *k, struct slice text, struct buffer *signature)
{
    unsigned char bytes[RSA_BITS_MOST / 8];
    size_t size = sizeof bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool made = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, k->pair) == 1 &&
                EVP_DigestSign(context, bytes, &size, bytes_of(text), text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!made || k->algorithm == ALGORITHM_ES256)
        return made && add_pair_of_der(bytes, size, signature);
    buffer_add(signature, bytes, size);
    return true;
}

bool token_key_sign(const struct token_key *k, struct slice text, struct buffer *signature)
{
    unsigned char mac[TOKEN_DIGEST_BYTES];
    if (k->algorithm != ALGORITHM_HS256)
        return sign_with_pair(k, text, signature);
    bool made = make_mac(k, text, mac);
    if (made)
        buffer_add(signature, mac, sizeof mac);
    return made;
}

void token_digest(struct slice text, unsigned char out[TOKEN_DIGEST_BYTES])
{
    CHECK(EVP_Digest(text.data, text.size, out, NULL, EVP_sha256(), NULL) == 1);
}
