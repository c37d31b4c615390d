/* Keys that change: files, and a server that is good, slow, silent, wrong, or far too talkative. */
#include "unit.h"

#include "token_forge.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"
#include "causeway/token_watch.h"

#include "../../src/edge/token_fetch.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { NOW = 1700000000, PATIENCE_MS = 10000, SECOND_MS = 100 };

/* --- a server --- */

enum manner {
    SERVES,
    SERVES_WHEN_TOLD,
    STATUS_500,
    STATUS_404,
    REDIRECTS,
    FLOODS,
    BREAKS_OFF,
    IS_SILENT,
    TALKS_NONSENSE
};

static struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
    atomic_int manner, requests;
    atomic_bool stopping, told;
    pthread_mutex_t lock;
    struct buffer body;
} server;

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void say(int fd, const char *head, struct slice body)
{
    struct buffer out = {0};
    buffer_add_text(&out, head);
    buffer_add_slice(&out, body);
    send(fd, out.data, out.size, MSG_NOSIGNAL);
    buffer_finish(&out);
}

static void serve_body(int fd, size_t promised_more)
{
    struct buffer head = {0};
    pthread_mutex_lock(&server.lock);
    buffer_print(&head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
        "close\r\n\r\n",
        server.body.size + promised_more);
    say(fd, buffer_text(&head), buffer_slice(&server.body));
    pthread_mutex_unlock(&server.lock);
    buffer_finish(&head);
}

static void flood(int fd)
{
    char block[8192] = {' '};
    say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", SLICE(""));
    for (int i = 0; i < 1000; i++)
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
            return;
}

static void wait_for_end(int fd)
{
    char rest[512];
    while (!atomic_load(&server.stopping)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 20) > 0 && recv(fd, rest, sizeof rest, 0) <= 0)
            return;
    }
}

static void answer(int fd)
{
    char request[2048];
    if (recv(fd, request, sizeof request, 0) <= 0)
        return;
    atomic_fetch_add(&server.requests, 1);
    switch (atomic_load(&server.manner)) {
    case SERVES_WHEN_TOLD:
        while (!atomic_load(&server.told) && !atomic_load(&server.stopping))
            sleep_ms(5);
        serve_body(fd, 0);
        break;
    case STATUS_500:
        say(fd, "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", SLICE("{}"));
        break;
    case STATUS_404:
        say(fd, "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", SLICE(""));
        break;
    case REDIRECTS:
        say(fd,
            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            SLICE(""));
        break;
    case FLOODS:
        flood(fd);
        break;
    case BREAKS_OFF:
        serve_body(fd, 10);
        break;
    case IS_SILENT:
        wait_for_end(fd);
        break;
    case TALKS_NONSENSE:
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", SLICE("<html"));
        break;
    default:
        serve_body(fd, 0);
    }
}

static void *run_server(void *unused)
{
    (void)unused;
    while (!atomic_load(&server.stopping)) {
        struct pollfd p = {server.listener, POLLIN, 0};
        if (poll(&p, 1, 20) <= 0)
            continue;
        int fd = accept(server.listener, NULL, NULL);
        answer(fd);
        close(fd);
    }
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    pthread_mutex_init(&server.lock, NULL);
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.listener, 64), 0);
    getsockname(server.listener, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
    return pthread_create(&server.thread, NULL, run_server, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    atomic_store(&server.stopping, true);
    pthread_join(server.thread, NULL);
    close(server.listener);
    buffer_finish(&server.body);
    return 0;
}

/* --- keys: secrets in files, since those of a URL may not be; pairs at the URL --- */

static EVP_PKEY *pairs[3];

static int set_up(void **state)
{
    for (size_t i = 0; i < 3; i++)
        pairs[i] = EVP_EC_gen("P-256");
    return start_server(state);
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < 3; i++)
        EVP_PKEY_free(pairs[i]);
    return stop_server(state);
}

/* The server's set has these keys, named by their numbers. */
static void publish(const char *numbers)
{
    pthread_mutex_lock(&server.lock);
    buffer_clear(&server.body);
    buffer_add_text(&server.body, "{\"keys\":[{\"kty\":\"OKP\",\"kid\":\"other\"}");
    for (; *numbers; numbers++) {
        char rest[32];
        snprintf(rest, sizeof rest, ",\"kid\":\"%c\"", *numbers);
        buffer_add_byte(&server.body, ',');
        add_curve_jwk(&server.body, pairs[*numbers - '0'], "P-256", 32, rest);
    }
    buffer_add_text(&server.body, "]}");
    pthread_mutex_unlock(&server.lock);
    atomic_store(&server.manner, SERVES);
}

static struct buffer token_by(int number)
{
    static const char payload[] = "{\"sub\":\"ann\",\"exp\":1700000100}";
    char header[64];
    struct buffer token = {0}, signature = {0};
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%d\"}", number);
    add_base64url(&token, header, strlen(header));
    buffer_add_byte(&token, '.');
    add_base64url(&token, payload, sizeof payload - 1);
    add_curve_signature(&signature, buffer_slice(&token), EVP_sha256(), pairs[number], 32, NULL);
    buffer_add_byte(&token, '.');
    add_base64url(&token, signature.data, signature.size);
    buffer_finish(&signature);
    return token;
}

static enum token_status verify(struct token_verifier *v, struct slice token)
{
    struct token_claims claims;
    enum token_status status = token_verify(v, token, NOW, &claims);
    token_claims_finish(&claims);
    return status;
}

static enum token_status status_of(struct token_verifier *v, int number)
{
    struct buffer token = token_by(number);
    enum token_status status = verify(v, buffer_slice(&token));
    buffer_finish(&token);
    return status;
}

/* --- a watch --- */

struct fixture {
    struct config config;
    char url[64];
    struct token_verifier *verifier;
    struct token_watch *watch;
    unsigned second_ms; /* 0: SECOND_MS */
};

static void create(struct fixture *x, const char *files, bool fetches)
{
    struct buffer fault = {0};
    snprintf(x->url, sizeof x->url, "http://127.0.0.1:%u/keys", server.port);
    x->config.jwt_secret = x->config.jwt_issuer = x->config.jwt_audience = x->config.jwks_ca_file = "";
    x->config.jwt_user_claims = "sub";
    x->config.jwt_keys = files;
    x->config.jwt_cache = 100;
    x->config.jwks_url = fetches ? x->url : "";
    x->config.jwks_refresh = x->config.jwks_refresh ? x->config.jwks_refresh : 300;
    x->config.jwks_cooldown = 1;
    x->config.jwks_lease = x->config.jwks_lease ? x->config.jwks_lease : 300;
    x->config.dev = true;
    struct token_settings settings = token_settings_of(&x->config);
    x->verifier = token_verifier_create(&settings, &fault);
    assert_non_null(x->verifier);
    x->watch = token_watch_create(x->verifier, &x->config, x->second_ms ? x->second_ms : SECOND_MS);
}

static void destroy(struct fixture *x)
{
    token_watch_destroy(x->watch);
    token_verifier_destroy(x->verifier);
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#define wait_until(condition)                                                                                \
    do {                                                                                                     \
        int64_t deadline_ = clock_ms() + PATIENCE_MS;                                                        \
        while (!(condition)) {                                                                               \
            if (clock_ms() > deadline_)                                                                      \
                fail_msg("in vain: %s", #condition);                                                         \
            sleep_ms(5);                                                                                     \
        }                                                                                                    \
    } while (0)

static bool is_ready(struct fixture *x, const char *detail)
{
    char said[200];
    bool ready = token_watch_ready(x->watch, said, sizeof said);
    return strstr(said, detail) && ready;
}

static bool is_unready(struct fixture *x, const char *detail)
{
    char said[200];
    return !token_watch_ready(x->watch, said, sizeof said) && strstr(said, detail);
}

struct question {
    struct token_asker asker;
    atomic_int answer; /* -1: none yet */
};

static void on_looked(struct token_asker *a, enum token_look look)
{
    atomic_store(&((struct question *)a)->answer, (int)look);
}

static void ask(struct fixture *x, struct question *q)
{
    q->asker.on_looked = on_looked;
    atomic_store(&q->answer, -1);
    token_watch_ask(x->watch, &q->asker);
}

static enum token_look answer_of(struct question *q)
{
    wait_until(atomic_load(&q->answer) >= 0);
    return (enum token_look)atomic_load(&q->answer);
}

/* --- fetching --- */

static void a_fetch_is_bounded_in_all_ways(void **state)
{
    (void)state;
    static const struct {
        enum manner manner;
        const char *fault;
    } cases[] = {{STATUS_500, "HTTP status 500"}, {STATUS_404, "HTTP status 404"},
        {REDIRECTS, "HTTP status 302"}, {FLOODS, "more than 1000 bytes"}, {BREAKS_OFF, "partial file"},
        {IS_SILENT, "Timeout"}};
    atomic_bool stopping = false;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/keys", server.port);
    struct token_fetch f = {url, "", 1000, 500, &stopping};
    struct buffer out = {0}, fault = {0};
    token_fetch_setup();
    publish("0");
    assert_true(token_fetch(&f, &out, &fault));
    assert_true(slice_equal(buffer_slice(&out), buffer_slice(&server.body)));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int requests = atomic_load(&server.requests);
        atomic_store(&server.manner, cases[i].manner);
        buffer_clear(&fault);
        assert_false(token_fetch(&f, &out, &fault));
        if (!strcasestr(buffer_text(&fault), cases[i].fault) || strstr(fault.data, "127.0.0.1"))
            fail_msg("\"%s\" for %s", fault.data, cases[i].fault);
        assert_int_equal(atomic_load(&server.requests), requests + 1); /* no second try, no other address */
    }
    static const char *const urls[] = {
        "http://127.0.0.1:1/", "file:///etc/hostname", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/_", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        f.url = urls[i];
        assert_false(token_fetch(&f, &out, &fault));
    }
    buffer_finish(&out);
    buffer_finish(&fault);
}

static void keys_are_fetched_at_start_and_when_asked_for(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_KEY);
    publish("01");
    assert_int_equal(status_of(x.verifier, 1), TOKEN_KEY);
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    publish("1"); /* what is withdrawn holds for no token any more, remembered or not */
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    destroy(&x);
}

static void a_thousand_questions_are_one_fetch(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct fixture x = {.second_ms = 1000}; /* all of a round are to be asked within one cooldown */
    struct question *q = xcalloc(MANY, sizeof *q);
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    int requests = atomic_load(&server.requests);
    int64_t began = clock_ms();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            ask(&x, &q[i]);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(answer_of(&q[i]), LOOK_DONE);
    }
    assert_int_equal(atomic_load(&server.requests), requests + 2);
    assert_true(clock_ms() - began > 1500); /* two cooldowns, but for what it took to ask */
    free(q);
    destroy(&x);
}

static void who_asks_while_a_fetch_is_under_way_is_told_so(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question early, late;
    publish("0");
    atomic_store(&server.manner, SERVES_WHEN_TOLD);
    int requests = atomic_load(&server.requests);
    create(&x, "", true);
    wait_until(atomic_load(&server.requests) == requests + 1);
    ask(&x, &late); /* the server may have read its keys already */
    atomic_store(&server.told, true);
    assert_int_equal(answer_of(&late), LOOK_AGAIN);
    ask(&x, &early);
    assert_int_equal(answer_of(&early), LOOK_DONE);
    destroy(&x);
}

static void keys_that_cannot_be_fetched_are_a_matter_of_readiness(void **state)
{
    (void)state;
    static const struct {
        enum manner manner;
        const char *detail;
    } cases[] = {{STATUS_500, "JWKS_URL: HTTP status 500"}, {TALKS_NONSENSE, "JWKS_URL: "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture x = {0};
        struct question q;
        atomic_store(&server.manner, cases[i].manner);
        create(&x, "", true);
        ask(&x, &q);
        assert_int_equal(answer_of(&q), LOOK_FAILED);
        wait_until(is_unready(&x, cases[i].detail));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
        publish("0"); /* it is tried again by itself */
        wait_until(is_ready(&x, ""));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);

        atomic_store(&server.manner, cases[i].manner); /* keys that are there stay */
        ask(&x, &q);
        assert_int_equal(answer_of(&q), LOOK_FAILED);
        wait_until(is_ready(&x, cases[i].detail));
        assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
        destroy(&x);
    }
}

static void keys_are_trusted_for_a_lease_only(void **state)
{
    (void)state;
    struct fixture x = {.config = {.jwks_refresh = 1, .jwks_lease = 20}};
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    atomic_store(&server.manner, STATUS_500);
    wait_until(is_ready(&x, "500"));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    wait_until(is_unready(&x, "500"));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    publish("0");
    wait_until(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    destroy(&x);
}

static void a_set_that_stays_the_same_keeps_what_is_remembered(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    publish("0");
    create(&x, "", true);
    wait_until(is_ready(&x, ""));
    struct buffer token = token_by(0);
    struct metric *verified = metric_label(METRIC_TOKENS, "verified"),
                  *cached = metric_label(METRIC_TOKENS, "cached");
    int64_t before = metric_value(verified), remembered = metric_value(cached);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    assert_int_equal(metric_value(verified) - before, 1);
    assert_int_equal(metric_value(cached) - remembered, 1);
    publish("01");
    ask(&x, &q);
    assert_int_equal(answer_of(&q), LOOK_DONE);
    assert_int_equal(verify(x.verifier, buffer_slice(&token)), TOKEN_OK);
    assert_int_equal(metric_value(verified) - before, 2); /* by the new set */
    buffer_finish(&token);
    destroy(&x);
}

static void a_silent_server_does_not_hold_the_end(void **state)
{
    (void)state;
    struct fixture x = {0};
    struct question q;
    atomic_store(&server.manner, IS_SILENT);
    int requests = atomic_load(&server.requests);
    create(&x, "", true);
    wait_until(atomic_load(&server.requests) == requests + 1);
    ask(&x, &q);
    int64_t began = clock_ms();
    destroy(&x);
    assert_true(clock_ms() - began < 3000);
    assert_int_equal(answer_of(&q), LOOK_FAILED);
}

static void a_published_secret_is_no_key(void **state)
{
    (void)state;
    struct fixture x = {0};
    publish("");
    pthread_mutex_lock(&server.lock);
    buffer_clear(&server.body);
    buffer_add_text(&server.body, "{\"keys\":[");
    add_secret_jwk(&server.body, SLICE("0123456789abcdef0123456789abcdef"), "");
    buffer_add_text(&server.body, "]}");
    pthread_mutex_unlock(&server.lock);
    create(&x, "", true);
    wait_until(is_unready(&x, "is a secret that was published"));
    destroy(&x);
}

/* --- files --- */

static void write_file(const char *path, const char *numbers)
{
    struct buffer text = {0}, fresh = {0};
    buffer_add_text(&text, "{\"keys\":[");
    for (const char *n = numbers; *n; n++) {
        char rest[32];
        snprintf(rest, sizeof rest, ",\"kid\":\"%c\"", *n);
        buffer_add_text(&text, n == numbers ? "" : ",");
        add_curve_jwk(&text, pairs[*n - '0'], "P-256", 32, rest);
    }
    buffer_add_text(&text, "]}");
    buffer_print(&fresh, "%s.new", path);
    FILE *file = fopen(buffer_text(&fresh), "w");
    assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
    fclose(file);
    assert_int_equal(rename(buffer_text(&fresh), path), 0);
    buffer_finish(&text);
    buffer_finish(&fresh);
}

static void files_are_read_when_they_change(void **state)
{
    (void)state;
    char first[64], second[64], both[140];
    struct fixture x = {0};
    struct metric *failed = metric_label(METRIC_TOKEN_KEY_LOADS, "failed");
    int64_t failures = metric_value(failed);
    file_with(first, SLICE(""));
    file_with(second, SLICE(""));
    write_file(first, "0");
    write_file(second, "1");
    snprintf(both, sizeof both, "%s,%s", first, second);
    create(&x, both, false);
    assert_true(is_ready(&x, ""));
    assert_int_equal(status_of(x.verifier, 0), TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK);
    write_file(first, "2");
    wait_until(status_of(x.verifier, 2) == TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 0), TOKEN_KEY);
    assert_int_equal(status_of(x.verifier, 1), TOKEN_OK); /* the other file's */

    write_file(first, "");
    wait_until(metric_value(failed) >= failures + 1);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK); /* a broken file changes nothing */
    unlink(first);
    wait_until(metric_value(failed) >= failures + 2);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK);
    write_file(first, "02");
    wait_until(status_of(x.verifier, 0) == TOKEN_OK);
    assert_int_equal(status_of(x.verifier, 2), TOKEN_OK);
    unlink(first);
    unlink(second);
    destroy(&x);
}

static void a_reload_looks_at_once(void **state)
{
    (void)state;
    char path[64];
    struct fixture x = {0};
    struct metric *unchanged = metric_label(METRIC_TOKEN_KEY_LOADS, "unchanged");
    file_with(path, SLICE(""));
    write_file(path, "0");
    publish("1");
    int64_t before = metric_value(unchanged);
    create(&x, path, true);
    wait_until(is_ready(&x, "") && metric_value(unchanged) == before + 1);
    int requests = atomic_load(&server.requests);
    publish("2");
    token_watch_reload(x.watch);
    wait_until(metric_value(unchanged) == before + 2); /* the file, although it is what it was */
    wait_until(status_of(x.verifier, 2) == TOKEN_OK);  /* the URL, after its cooldown */
    assert_int_equal(atomic_load(&server.requests), requests + 1);
    unlink(path);
    destroy(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_is_bounded_in_all_ways),
        cmocka_unit_test(keys_are_fetched_at_start_and_when_asked_for),
        cmocka_unit_test(a_thousand_questions_are_one_fetch),
        cmocka_unit_test(who_asks_while_a_fetch_is_under_way_is_told_so),
        cmocka_unit_test(keys_that_cannot_be_fetched_are_a_matter_of_readiness),
        cmocka_unit_test(keys_are_trusted_for_a_lease_only),
        cmocka_unit_test(a_set_that_stays_the_same_keeps_what_is_remembered),
        cmocka_unit_test(a_silent_server_does_not_hold_the_end),
        cmocka_unit_test(a_published_secret_is_no_key),
        cmocka_unit_test(files_are_read_when_they_change),
        cmocka_unit_test(a_reload_looks_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
