#include "token_watch_stage.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/* --- a server --- */

struct server server;

void sleep_ms(long ms)
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

EVP_PKEY *pairs[3];

int set_up(void **state)
{
    for (size_t i = 0; i < 3; i++)
        pairs[i] = EVP_EC_gen("P-256");
    return start_server(state);
}

int tear_down(void **state)
{
    for (size_t i = 0; i < 3; i++)
        EVP_PKEY_free(pairs[i]);
    return stop_server(state);
}

void publish(const char *numbers)
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

struct buffer token_by(int number)
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

enum token_status verify(struct token_verifier *v, struct slice token)
{
    struct token_claims claims;
    enum token_status status = token_verify(v, token, NOW, &claims);
    token_claims_finish(&claims);
    return status;
}

enum token_status status_of(struct token_verifier *v, int number)
{
    struct buffer token = token_by(number);
    enum token_status status = verify(v, buffer_slice(&token));
    buffer_finish(&token);
    return status;
}

/* --- a watch --- */

void create(struct fixture *x, const char *files, bool fetches)
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

void destroy(struct fixture *x)
{
    token_watch_destroy(x->watch);
    token_verifier_destroy(x->verifier);
}

int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool is_ready(struct fixture *x, const char *detail)
{
    char said[200];
    bool ready = token_watch_ready(x->watch, said, sizeof said);
    return strstr(said, detail) && ready;
}
