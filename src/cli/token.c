#include "causeway/token.h"
#include "causeway/cli.h"
#include "causeway/json.h"
#include "causeway/memory.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char usage[] =
    "usage: causeway token --user ID [--ttl SECONDS] [--claims JSON] [--key FILE] [--kid KID] [--dev]\n"
    "                      [--set NAME=VALUE]...\n"
    "Prints a token that serve accepts with the same settings, for development and tests: signed with "
    "JWT_SECRET,\nor with a private key whose public one serve has in JWT_KEYS.\n"
    "  --user ID         123 stands in the token as a number, everything else as a string; so does "
    "'\"123\"'\n"
    "  --ttl SECONDS     from now on (default 3600; negative: it has expired already)\n"
    "  --claims JSON     an object of further claims; they win over sub, iat, exp, iss and aud\n"
    "  --key FILE        a private key, PEM: RSA signs with RS256, P-256 with ES256\n"
    "  --kid KID         name of the key, as the JWK Set of serve has it\n"
    "  --dev             accept a JWT_SECRET of less than 32 bytes\n"
    "  --set NAME=VALUE  one setting\n";

struct options {
    const char *user, *claims, *key, *kid;
    int64_t ttl;
    const char **overrides;
    size_t count;
    bool dev;
};

static bool parse_ttl(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return *text && !*end && errno == 0 && value >= INT32_MIN && value <= INT32_MAX;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"user", required_argument, NULL, 'u'},
        {"ttl", required_argument, NULL, 't'},
        {"claims", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"kid", required_argument, NULL, 'i'},
        {"set", required_argument, NULL, 's'},
        {"dev", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool good = true;
    int option;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            out->user = optarg;
            break;
        case 't':
            good = parse_ttl(optarg, &out->ttl);
            break;
        case 'c':
            out->claims = optarg;
            break;
        case 'k':
            out->key = optarg;
            break;
        case 'i':
            out->kid = optarg;
            break;
        case 's':
            out->overrides[out->count++] = optarg;
            break;
        case 'd':
            out->dev = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            good = false;
        }
    }
    if (good && optind == argc && out->user)
        return -1;
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* JSON of the user: an integer or a JSON string as they are, any other text as a string. */
static bool add_user(struct buffer *out, const char *user)
{
    struct json j = {0};
    bool as_is =
        json_scan(&j, user, strlen(user)) && (json_is_integer(&j, 0) || json_type(&j, 0) == JSON_STRING);
    json_finish(&j);
    if (as_is)
        buffer_add_text(out, user);
    else if (utf8_valid(user, strlen(user)))
        buffer_add_json_text(out, slice_of(user));
    return out->size > 0;
}

/* A token that serve would refuse for its user is a mistake of the one who types. */
static bool is_usable(const struct token_settings *settings, const char *token, const struct options *o)
{
    struct token_claims found;
    struct buffer fault = {0};
    struct token_verifier *v = token_verifier_create(settings, &fault);
    enum token_status status = v ? token_verify(v, slice_of(token), (int64_t)time(NULL), &found) : TOKEN_KEY;
    if (!v)
        fprintf(stderr, "causeway token: %s\n", buffer_text(&fault));
    else if (status != TOKEN_OK)
        fprintf(stderr, "causeway token: serve will refuse this: %s\n", token_status_text(status));
    if (v)
        token_claims_finish(&found);
    token_verifier_destroy(v);
    buffer_finish(&fault);
    return status == TOKEN_OK || status == TOKEN_EXPIRED || o->claims || o->key; /* asked for */
}

static int print_token(const struct config *config, const struct options *o)
{
    struct token_settings settings = token_settings_of(config);
    struct buffer user = {0}, fault = {0};
    struct token_issue what = {
        .settings = &settings,
        .key_file = o->key,
        .kid = o->kid,
        .now = (int64_t)time(NULL),
        .ttl_seconds = o->ttl,
        .extra_json = o->claims,
    };
    char *token = NULL;
    if (!add_user(&user, o->user))
        buffer_add_text(&fault, "--user must be UTF-8");
    else {
        what.user_json = buffer_text(&user);
        token = token_issue(&what, &fault);
    }
    if (!token)
        fprintf(stderr, "causeway token: %s\n", buffer_text(&fault));
    bool good = token && is_usable(&settings, token, o);
    if (good)
        puts(token);
    free(token);
    buffer_finish(&user);
    buffer_finish(&fault);
    return good ? 0 : EXIT_USAGE;
}

int cli_token(int argc, char **argv)
{
    struct options o = {.ttl = 3600, .overrides = xcalloc((size_t)argc + 1, sizeof(char *))};
    int status = parse(argc, argv, &o);
    if (status < 0) {
        struct config *config = cli_config(o.overrides, o.dev, !o.key);
        status = config ? print_token(config, &o) : EXIT_SETTINGS;
        config_destroy(config);
    }
    free(o.overrides);
    return status;
}
