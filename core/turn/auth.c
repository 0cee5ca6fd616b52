/* auth.c: the long-term credential mechanism. */
#include "turn/auth.h"

#include "turn/nonce.h"
#include "turn/question.h"
#include "wire/integrity.h"

#include <string.h>

static void auth_name(char *to, size_t cap, const char *name)
{
    view_copy(view_text(name), to, cap);
}

int auth_route(struct transaction *tr)
{
    struct identity *who = &tr->identity;
    if (tr->allocation) {
        auth_name(who->tenant, sizeof who->tenant, tr->allocation->tenant);
        auth_name(who->realm, sizeof who->realm, tr->allocation->realm);
        return 0;
    }
    auth_name(who->realm, sizeof who->realm, tr->engine->config->realm);
    struct question question = {.hook = HOOK_route};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    switch (verdict.kind) {
        case VERDICT_SILENT:
            return 0;
        case VERDICT_TENANT:
            auth_name(who->tenant, sizeof who->tenant, verdict.tenant);
            if (verdict.realm[0])
                auth_name(who->realm, sizeof who->realm, verdict.realm);
            return 0;
        case VERDICT_DENY:
            tr->is_denied = true;
            return verdict.code;
        case VERDICT_REDIRECT:
            tr->answer.alternate = verdict.alternate;
            tr->is_denied = true;
            return STUN_TRY_ALTERNATE;
        default:
            return STUN_SERVER_ERROR;
    }
}

static int auth_reject(struct transaction *tr, const char *reason)
{
    tr->is_bad_login = true;
    tr->engine->counts.auth_failed++;
    return tr->reason[0] ? STUN_UNAUTHENTICATED : transaction_refuse(tr, STUN_UNAUTHENTICATED, reason);
}

/* auth_try: the key under which MESSAGE-INTEGRITY is right, or NULL. */
static const struct long_term_key *auth_try(struct transaction *tr, const struct long_term_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (integrity_check(tr->engine->crypto, &tr->message, view_of(keys[i].bytes, keys[i].len)) == 0)
            return &keys[i];
    return NULL;
}

static int auth_unknown(struct transaction *tr)
{
    (void)auth_try(tr, &tr->engine->no_ones_key, 1);
    return auth_reject(tr, "unknown_user");
}

static bool auth_is_past(const struct transaction *tr, int64_t expires_unix_s)
{
    return expires_unix_s && expires_unix_s <= engine_unix_ms(tr->engine, tr->now) / 1000;
}

/* auth_keys: the policy gave keys for this name. */
static int auth_keys(struct transaction *tr, const struct verdict *verdict)
{
    struct identity *who = &tr->identity;
    if (verdict->key_count == 0)
        return auth_unknown(tr);
    const struct long_term_key *key = auth_try(tr, verdict->keys, verdict->key_count);
    if (!key)
        return auth_reject(tr, "bad_integrity");
    if (auth_is_past(tr, verdict->expires_unix_s))
        return auth_reject(tr, "expired");
    tr->is_authentic = true;
    who->key = *key;
    who->key_expires_unix_s = verdict->expires_unix_s;
    who->reauth_on_expiry = verdict->reauth_on_expiry;
    view_copy(verdict->user[0] ? view_text(verdict->user) : transaction_username(tr), who->user, sizeof who->user);
    if (verdict->tenant[0])
        auth_name(who->tenant, sizeof who->tenant, verdict->tenant);
    if (transaction_is_owner(tr)) {
        tr->allocation->key = who->key;
        tr->allocation->key_expires_unix_s = who->key_expires_unix_s;
        tr->allocation->reauth_on_expiry = who->reauth_on_expiry;
    }
    tr->reason[0] = tr->by[0] = 0;
    return 0;
}

static int auth_decide(struct transaction *tr, const struct verdict *verdict)
{
    switch (verdict->kind) {
        case VERDICT_KEY:
            return auth_keys(tr, verdict);
        case VERDICT_LATER:
            return TRANSACTION_PARKED;
        case VERDICT_SILENT:
            return auth_unknown(tr);
        case VERDICT_DENY:
            if (verdict->code == STUN_UNAUTHENTICATED)
                return auth_unknown(tr);
            tr->is_denied = true;
            return verdict->code;
        default:
            return STUN_SERVER_ERROR;
    }
}

int auth_resume(struct transaction *tr, struct verdict *verdict)
{
    question_check(tr, HOOK_authenticate, verdict);
    return auth_decide(tr, verdict);
}

/* auth_remembered: with the key of the allocation, nobody is asked. */
static int auth_remembered(struct transaction *tr)
{
    struct allocation *allocation = tr->allocation;
    struct identity *who = &tr->identity;
    if (!auth_try(tr, &allocation->key, 1))
        return auth_reject(tr, "bad_integrity");
    if (allocation->reauth_on_expiry && auth_is_past(tr, allocation->key_expires_unix_s)) {
        allocation->key.len = 0;
        return STUN_STALE_NONCE;
    }
    tr->is_authentic = true;
    who->key = allocation->key;
    who->key_expires_unix_s = allocation->key_expires_unix_s;
    who->reauth_on_expiry = allocation->reauth_on_expiry;
    auth_name(who->user, sizeof who->user, allocation->user);
    return 0;
}

/* a name is text: at most as long as RFC 5389 let it be, without NUL */
static bool auth_is_name(struct view username)
{
    return username.len > 0 && username.len <= USERNAME_MAX_LEN && !memchr(username.at, 0, username.len);
}

int auth_check(struct transaction *tr)
{
    const struct message *message = &tr->message;
    struct engine *engine = tr->engine;
    if (!message_has(message, SLOT_MESSAGE_INTEGRITY))
        return STUN_UNAUTHENTICATED;
    if (!message_has(message, SLOT_REALM) || !message_has(message, SLOT_NONCE) || !auth_is_name(transaction_username(tr)))
        return STUN_BAD_REQUEST;
    if (!nonce_is_good(engine->crypto, engine->config, tr->flow, tr->now, message_attr(message, SLOT_NONCE)))
        return STUN_STALE_NONCE;
    if (transaction_is_owner(tr) && tr->allocation->key.len)
        return auth_remembered(tr);
    struct question question = {.hook = HOOK_authenticate};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    const int code = auth_decide(tr, &verdict);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
    return code;
}
