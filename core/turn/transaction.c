/* transaction.c: what the steps of a request share. */
#include "turn/transaction.h"

#include "turn/discovery.h"

#include <string.h>

struct view transaction_username(const struct transaction *tr)
{
    const char *unhashed = tr->identity.unhashed;
    if (message_has(&tr->message, SLOT_USERNAME))
        return message_attr(&tr->message, SLOT_USERNAME);
    return unhashed[0] ? view_text(unhashed) : view_of(NULL, 0);
}

int transaction_refuse(struct transaction *tr, int code, const char *reason)
{
    view_copy(view_text(reason), tr->reason, sizeof tr->reason);
    view_copy(view_text("core"), tr->by, sizeof tr->by);
    tr->hook = HOOK_COUNT;
    tr->measure = (struct gauge){0};
    return code;
}

int transaction_exceed(struct transaction *tr, int code, const char *reason, struct gauge measure)
{
    transaction_refuse(tr, code, reason);
    tr->measure = measure;
    return code;
}

static void note_unknown(struct answer *answer, uint16_t type)
{
    if (answer->unknown_count < MESSAGE_UNKNOWN_MAX)
        answer->unknown[answer->unknown_count++] = type;
}

/* Nobody sends a token who was not told of OAuth: RFC 7635 section 7. */
static bool understands(const struct transaction *tr, enum attr_slot slot)
{
    return slot == SLOT_ACCESS_TOKEN ? tr->engine->config->oauth : discovery_understands(tr, slot);
}

int transaction_unknown(struct transaction *tr)
{
    static const struct {
        enum attr_slot slot;
        uint16_t type;
    } of_usages[] = {{SLOT_CHANGE_REQUEST, ATTR_CHANGE_REQUEST},
                     {SLOT_PADDING, ATTR_PADDING},
                     {SLOT_RESPONSE_PORT, ATTR_RESPONSE_PORT},
                     {SLOT_ACCESS_TOKEN, ATTR_ACCESS_TOKEN}};
    for (size_t i = 0; i < sizeof of_usages / sizeof *of_usages; i++)
        if (message_has(&tr->message, of_usages[i].slot) && !understands(tr, of_usages[i].slot))
            note_unknown(&tr->answer, of_usages[i].type);
    for (uint8_t i = 0; i < tr->message.unknown_count; i++)
        note_unknown(&tr->answer, tr->message.unknown[i]);
    return tr->answer.unknown_count ? transaction_refuse(tr, STUN_UNKNOWN_ATTRIBUTE, "unknown_attribute") : 0;
}

/* is_renewal: once the client is known to be who it says: a token that refreshes what a token made. */
static bool is_renewal(const struct transaction *tr)
{
    return tr->message.method == METHOD_REFRESH && message_has(&tr->message, SLOT_ACCESS_TOKEN) &&
           strcmp(tr->identity.tenant, tr->allocation->tenant) == 0;
}

bool transaction_is_owner(const struct transaction *tr)
{
    if (!tr->allocation)
        return false;
    const bool has_name = view_equal(view_text(tr->allocation->username), transaction_username(tr));
    if (!tr->is_authentic)
        return has_name;
    if (tr->identity.key.of_token != tr->allocation->key.of_token) /* a user whose name is a key's, too */
        return false;
    if (tr->is_moving &&
        tr->identity.key.of_token) /* a token's name is its key's: many have it, and the 5-tuple does not tell them apart here */
        return crypto_equal(view_of(tr->identity.key.bytes, tr->identity.key.len),
                            view_of(tr->allocation->key.bytes, tr->allocation->key.len));
    return has_name || (tr->identity.key.of_token && is_renewal(tr));
}

const char *transaction_server_name(const struct transaction *tr)
{
    const char *name = tr->engine->config->server_name;
    return name && *name ? name : tr->identity.realm;
}

bool transaction_is_strict(const struct transaction *tr, const struct limits *limits)
{
    const struct identity *who = &tr->identity;
    return who->key.of_token || who->on_expiry == ON_EXPIRY_STRICT || tr->engine->config->strict_expiry || limits->is_strict;
}

uint32_t transaction_key_left_s(const struct transaction *tr, const struct limits *limits)
{
    const struct identity *who = &tr->identity;
    if (!who->key_expires_unix_s || !transaction_is_strict(tr, limits))
        return UINT32_MAX;
    const int64_t left_s = who->key_expires_unix_s - (engine_unix_ms(tr->engine, tr->now) + 999) / 1000;
    return left_s < 0 ? 0 : left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX;
}

/* transaction_drain_left_s: at least 1: a lifetime of 0 would say that the allocation is gone. */
static uint32_t transaction_drain_left_s(const struct transaction *tr)
{
    const msec_t until = tr->engine->drains_until, left_s = (until - tr->now) / 1000;
    if (!until || left_s >= UINT32_MAX)
        return 0;
    return left_s > 1 ? (uint32_t)left_s : 1;
}

uint32_t transaction_left_s(const struct transaction *tr)
{
    const msec_t left_s = (tr->allocation->expires - tr->now) / 1000;
    return left_s < 1 ? 1 : (uint32_t)left_s;
}

uint32_t transaction_lifetime(const struct transaction *tr, const struct limits *limits, uint32_t lifetime_s)
{
    const uint32_t granted_s =
        limit_strictest_count(allocation_lifetime(tr->engine, limits, lifetime_s), transaction_key_left_s(tr, limits));
    return limit_strictest_count(granted_s, transaction_drain_left_s(tr));
}

/* transaction_event: what can be told of it. */
static struct event transaction_event(const struct transaction *tr, enum event_type type, int code)
{
    return (struct event){
        .type = type,
        .decision = tr->decision,
        .code = code,
        .method = tr->message.method,
        .hook = tr->hook,
        .is_proven = tr->is_proven || tr->flow->transport != TRANSPORT_UDP,
        .measure = tr->measure,
        .reason = tr->reason,
        .by = tr->by[0] ? tr->by : "core",
        .flow = tr->flow,
        .tenant = tr->identity.tenant,
        .realm = tr->identity.realm,
        .user = tr->identity.user,
        .username = transaction_username(tr),
        .allocation = tr->allocation,
        .now = tr->now,
        .unix_ms = engine_unix_ms(tr->engine, tr->now),
    };
}

void transaction_tell(struct transaction *tr, enum event_type type, int code, const struct addr *peer)
{
    const struct host *host = tr->engine->host;
    struct event event = transaction_event(tr, type, code);
    event.peer = peer;
    host->tell(host->ctx, &event);
}

void transaction_tell_stale(const struct transaction *tr)
{
    const struct host *host = tr->engine->host;
    const struct event event = transaction_event(tr, EVENT_DENIED, STUN_STALE_NONCE);
    if (host->remark)
        host->remark(host->ctx, &event);
}
