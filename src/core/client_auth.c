/* Who a client is, and for how long: a token is judged when the client comes, and again when it refreshes. */
#include "client_internal.h"

#include "causeway/memory.h"
#include "causeway/metrics.h"

#include <stdlib.h>

/* May a token be judged now? false: too many of its address were bad, and it was told. */
static bool may_login(struct client *c)
{
    uint64_t wait = allowance_may_login(c->settings.allowance, client_now(c));
    if (wait == 0)
        return true;
    if (c->state == CLIENT_WAITING) {
        c->state = CLIENT_REFUSED;
        c->hooks->limited(c->owner, LIMIT_ADDRESS_FAILURES, wait);
    } else {
        client_error_later(c, "rate_limited", "too many bad credentials", NO_SLICE, wait);
    }
    return false;
}

static void ask(struct client *c, struct slice token)
{
    if (!may_login(c))
        return;
    c->judge_tag = ++c->next_tag;
    c->judge_request = c->answering;
    c->answering = 0;
    if (c->state == CLIENT_WAITING)
        c->hooks->judging(c->owner);
    c->settings.services->judge(c->settings.services_owner, token, c->number, c->judge_tag);
}

void client_authenticate(struct client *c, struct slice token)
{
    CHECK(client_is_waiting(c));
    ask(c, token);
}

void client_command_auth(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice token = json_string(j, json_find(j, data, SLICE("token")), &scratch);
    if (!client_is_waiting(c))
        client_error(c, "bad_message", "already authenticated", NO_SLICE);
    else if (!token.data)
        client_error(c, "bad_message", "auth needs data.token, a string", NO_SLICE);
    else
        ask(c, token);
    buffer_finish(&scratch);
}

void client_command_refresh(struct client *c, const struct json *j, uint32_t data)
{
    struct buffer scratch = {0};
    struct slice token = json_string(j, json_find(j, data, SLICE("token")), &scratch);
    if (!token.data)
        client_error(c, "bad_message", "refresh needs data.token, a string", NO_SLICE);
    else if (c->judge_tag)
        client_error(c, "unavailable", "another token is being judged", NO_SLICE);
    else
        ask(c, token);
    buffer_finish(&scratch);
}

static void take_expiry(struct client *c, const struct client_verdict *v, uint64_t now)
{
    c->expires_at = (int64_t)now + v->valid_ms;
    c->expiry_leeway = v->leeway_ms;
    c->expiry_told = false;
}

static void emit_expiry(struct client *c, const char *type, int64_t left_ms)
{
    struct buffer data = {0};
    buffer_print(&data, "{\"expiresIn\":%lld}", (long long)(left_ms > 0 ? left_ms / 1000 : 0));
    client_say(c, type, buffer_slice(&data));
    buffer_finish(&data);
}

static void judged_first(struct client *c, const struct client_verdict *v, uint64_t now)
{
    if (v->status == VERDICT_BAD)
        allowance_login_failed(c->settings.allowance, now);
    if (v->status != VERDICT_GOOD) {
        c->state = CLIENT_REFUSED;
        c->hooks->refused(c->owner, v->status, v->why);
        return;
    }
    uint64_t wait = allowance_identify(c->settings.allowance, slice_of(v->user), &c->account, now);
    if (wait > 0) {
        c->state = CLIENT_REFUSED;
        c->hooks->limited(c->owner, LIMIT_USER_CONNECTIONS, wait);
        return;
    }
    c->user = xstrdup(v->user);
    c->user_json = xstrdup(v->user_json);
    take_expiry(c, v, now);
    client_attach(c);
}

/* Whatever is wrong with a new token, the old one holds until it expires. */
static void judged_again(struct client *c, const struct client_verdict *v, uint64_t now)
{
    c->answering = c->judge_request;
    if (v->status == VERDICT_LATER) {
        client_error(c, "unavailable", v->why, NO_SLICE);
        return;
    }
    if (v->status == VERDICT_BAD)
        allowance_login_failed(c->settings.allowance, now);
    bool other = v->status == VERDICT_GOOD && strcmp(v->user, c->user) != 0;
    const char *fault = other ? "token is of another user" : v->why;
    bool good = v->status == VERDICT_GOOD && !other;
    metric_add(metric_label(METRIC_AUTH, good ? "refreshed" : fault), 1);
    if (!good) {
        client_error(c, "refresh_refused", fault, NO_SLICE);
        return;
    }
    take_expiry(c, v, now);
    emit_expiry(c, "refreshed", v->valid_ms);
}

void client_judged(struct client *c, uint64_t tag, const struct client_verdict *verdict, uint64_t now)
{
    if (tag != c->judge_tag)
        return;
    c->judge_tag = 0;
    if (c->state == CLIENT_WAITING)
        judged_first(c, verdict, now);
    else if (c->state == CLIENT_ATTACHED)
        judged_again(c, verdict, now);
}

static uint64_t tick_expiry(struct client *c, uint64_t now)
{
    int64_t end = c->expires_at + c->expiry_leeway, warning = c->settings.expiry_warning_ms;
    if ((int64_t)now >= end) {
        c->state = CLIENT_REFUSED;
        metric_add(metric_get(METRIC_EXPIRED), 1);
        c->hooks->expired(c->owner);
        return UINT64_MAX;
    }
    if (c->expiry_told || warning <= 0)
        return (uint64_t)end;
    if (c->expires_at - warning > (int64_t)now)
        return (uint64_t)(c->expires_at - warning);
    c->expiry_told = true;
    emit_expiry(c, "auth-expiring", c->expires_at - (int64_t)now);
    return (uint64_t)end;
}

uint64_t client_tick(struct client *c, uint64_t now)
{
    if (c->state != CLIENT_ATTACHED)
        return UINT64_MAX;
    uint64_t expiry = tick_expiry(c, now);
    if (c->state != CLIENT_ATTACHED)
        return UINT64_MAX;
    uint64_t acks = client_acks_tick(c, now);
    return acks < expiry ? acks : expiry;
}
