#include "token_fetch.h"

#include <curl/curl.h>

struct transfer {
    const struct token_fetch *asked;
    struct buffer *out;
    size_t size;
};

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct transfer *t = context;
    (void)one;
    if (t->size + size > t->asked->bytes_max)
        return 0;
    buffer_add(t->out, data, size);
    t->size += size;
    return size;
}

static int on_progress(
    void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    const struct transfer *t = context;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return atomic_load(t->asked->stopping);
}

void token_fetch_setup(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static struct curl_slist *set_options(CURL *curl, struct transfer *t)
{
    struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
    CHECK(fields);
    curl_easy_setopt(curl, CURLOPT_URL, t->asked->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (t->asked->ca_file[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, t->asked->ca_file);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "causeway/" CAUSEWAY_VERSION);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, t->asked->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    return fields;
}

/* Not libcurl's longer text, which has the address in it. */
static void describe(CURLcode result, long status, const struct transfer *t, struct buffer *fault)
{
    if (result == CURLE_OK)
        buffer_print(fault, "HTTP status %ld", status);
    else if (result == CURLE_WRITE_ERROR)
        buffer_print(fault, "more than %zu bytes", t->asked->bytes_max);
    else
        buffer_add_text(fault, curl_easy_strerror(result));
}

bool token_fetch(const struct token_fetch *f, struct buffer *out, struct buffer *fault)
{
    struct transfer t = {f, out, 0};
    CURL *curl = curl_easy_init();
    CHECK(curl);
    struct curl_slist *fields = set_options(curl, &t);
    CURLcode result = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(fields);
    bool fine = result == CURLE_OK && status == 200;
    if (!fine)
        describe(result, status, &t, fault);
    return fine;
}
