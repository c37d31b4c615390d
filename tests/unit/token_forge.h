/* Keys of this test program, and tokens over any bytes that are signed in any way, right or wrong. */
#pragma once

#include "causeway/base64.h"
#include "causeway/buffer.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <unistd.h>

static inline void add_base64url(struct buffer *out, const void *data, size_t size)
{
    char *to = buffer_reserve(out, BASE64URL_SIZE(size) + 1);
    out->size += base64url_encode(data, size, to);
}

static inline void add_mac(struct buffer *out, struct slice text, const EVP_MD *hash, struct slice key)
{
    unsigned size = 0;
    buffer_reserve(out, EVP_MAX_MD_SIZE);
    HMAC(hash, key.size ? key.data : "", (int)key.size, (const unsigned char *)text.data, text.size,
        (unsigned char *)out->data + out->size, &size);
    out->size += size;
}

/* What OpenSSL makes of it: PKCS #1 or DER; `padding` 0: the key's own way. */
static inline void add_openssl_signature(
    struct buffer *out, struct slice text, const EVP_MD *hash, EVP_PKEY *pair, int padding)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    size_t size = 1024;
    assert_int_equal(EVP_DigestSignInit(context, &options, hash, NULL, pair), 1);
    if (padding)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, padding), 1);
    buffer_reserve(out, size);
    assert_int_equal(EVP_DigestSign(context, (unsigned char *)out->data + out->size, &size,
                         (const unsigned char *)text.data, text.size),
        1);
    EVP_MD_CTX_free(context);
    out->size += size;
}

static inline void add_numbers(struct buffer *out, const BIGNUM *r, const BIGNUM *s, int bytes)
{
    unsigned char *to = (unsigned char *)buffer_reserve(out, 2 * (size_t)bytes);
    assert_int_equal(BN_bn2binpad(r, to, bytes), bytes);
    assert_int_equal(BN_bn2binpad(s, to + bytes, bytes), bytes);
    out->size += 2 * (size_t)bytes;
}

/* The two numbers side by side, as a token has them. `mirrored`: the other one of the two signatures that
 * each signature on a curve is. */
static inline void add_curve_signature(struct buffer *out, struct slice text, const EVP_MD *hash,
    EVP_PKEY *pair, int bytes, const BIGNUM *mirrored)
{
    struct buffer der = {0};
    add_openssl_signature(&der, text, hash, pair, 0);
    const unsigned char *at = (const unsigned char *)der.data;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)der.size);
    BIGNUM *s = BN_dup(ECDSA_SIG_get0_s(numbers));
    if (mirrored)
        BN_sub(s, mirrored, s);
    add_numbers(out, ECDSA_SIG_get0_r(numbers), s, bytes);
    BN_free(s);
    ECDSA_SIG_free(numbers);
    buffer_finish(&der);
}

static inline struct buffer number_of(EVP_PKEY *pair, const char *name, int bytes)
{
    BIGNUM *number = NULL;
    struct buffer out = {0};
    assert_int_equal(EVP_PKEY_get_bn_param(pair, name, &number), 1);
    size_t size = bytes ? (size_t)bytes : (size_t)BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, (unsigned char *)buffer_reserve(&out, size), (int)size), (int)size);
    out.size = size;
    BN_free(number);
    return out;
}

static inline void add_number_member(
    struct buffer *out, const char *member, EVP_PKEY *pair, const char *name, int bytes)
{
    struct buffer number = number_of(pair, name, bytes);
    buffer_print(out, ",\"%s\":\"", member);
    add_base64url(out, number.data, number.size);
    buffer_add_byte(out, '"');
    buffer_finish(&number);
}

/* A JWK; `rest`: further members, with a comma before the first. */
static inline void add_rsa_jwk(struct buffer *out, EVP_PKEY *pair, const char *rest)
{
    buffer_add_text(out, "{\"kty\":\"RSA\"");
    add_number_member(out, "n", pair, OSSL_PKEY_PARAM_RSA_N, 0);
    add_number_member(out, "e", pair, OSSL_PKEY_PARAM_RSA_E, 0);
    buffer_print(out, "%s}", rest);
}

static inline void add_curve_jwk(
    struct buffer *out, EVP_PKEY *pair, const char *curve, int bytes, const char *rest)
{
    buffer_print(out, "{\"kty\":\"EC\",\"crv\":\"%s\"", curve);
    add_number_member(out, "x", pair, OSSL_PKEY_PARAM_EC_PUB_X, bytes);
    add_number_member(out, "y", pair, OSSL_PKEY_PARAM_EC_PUB_Y, bytes);
    buffer_print(out, "%s}", rest);
}

static inline void add_secret_jwk(struct buffer *out, struct slice secret, const char *rest)
{
    buffer_add_text(out, "{\"kty\":\"oct\",\"k\":\"");
    add_base64url(out, secret.data, secret.size);
    buffer_print(out, "\"%s}", rest);
}

static inline struct buffer taken_from(BIO *bio)
{
    struct buffer out = {0};
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    buffer_add(&out, data, (size_t)size);
    BIO_free(bio);
    return out;
}

static inline struct buffer public_pem(EVP_PKEY *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
    return taken_from(bio);
}

static inline struct buffer private_pem(EVP_PKEY *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL), 1);
    return taken_from(bio);
}

static inline struct buffer public_der(EVP_PKEY *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(i2d_PUBKEY_bio(bio, pair), 1);
    return taken_from(bio);
}

/* A file of this process, removed by file_gone. */
static inline void file_with(char path[64], struct slice text)
{
    snprintf(path, 64, "/tmp/causeway-keys-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data, text.size), text.size);
    close(fd);
}
