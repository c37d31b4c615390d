/* Verifiers of the keys of this program, and tokens that are signed by them in every way, right or wrong. The
   keys are made once for all tests: make_keys() and free_keys() belong to the group. */
#pragma once

#include "unit.h"

#include "token_forge.h"

#include "causeway/token.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define GOOD "{\"sub\":\"ann\",\"exp\":1700000100}"

enum { NOW = 1700000000 };

struct forge_keys {
    EVP_PKEY *rsa, *other_rsa, *ec, *other_ec, *p384, *small_rsa;
    BIGNUM *order; /* of the curve P-256 */
};

extern struct forge_keys keys;

int make_keys(void **state);
int free_keys(void **state);

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

/* A token of these two texts, signed in that way. */
struct buffer forge(const char *header, const char *payload, enum way way);

/* Settings of a verifier that reads these files, NULL for none. */
struct token_settings settings_of(const char *files);

/* A verifier that reads this text as a file. NULL: refused; the fault is in *fault. */
struct token_verifier *verifier_of(
    const struct token_settings *base, struct slice text, struct buffer *fault);

/* The verdict alone. */
enum token_status verify(struct token_verifier *v, struct slice token, int64_t now);

/* A good payload under that header, signed in that way, gets that verdict. */
void expect(
    struct token_verifier *v, const char *header, enum way way, enum token_status wanted, const char *what);

/* One RSA key, one on P-256 and one secret, each with a name; what an identity provider's set looks like. */
struct buffer three_keys(void);
struct token_verifier *verifier_of_three(void);
