/* auth.c: the long-term credential mechanism. */
#include "turn/auth.h"

#include "turn/nonce.h"
#include "turn/question.h"
#include "turn/redirect.h"
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
            tr->is_denied = true;
            return redirect_to(tr, &verdict.alternate);
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

/* auth_is_strong: a message with both kinds of integrity counts by the stronger one. */
static bool auth_is_strong(const struct transaction *tr)
{
    return message_has(&tr->message, SLOT_MESSAGE_INTEGRITY_SHA256);
}

/* auth_fits: the key is of the kind that the client signs with: a token's goes with one kind of integrity, any other by the algorithm that
 * was agreed on. */
static bool auth_fits(const struct transaction *tr, const struct long_term_key *key)
{
    if (key->of_token)
        return (key->len == TOKEN_MAC_KEY_SHA256_LEN) == auth_is_strong(tr) && key->len > 0;
    return key->len == (tr->identity.wants_sha256 ? INTEGRITY_KEY_SHA256_LEN : INTEGRITY_KEY_LEN);
}

static bool auth_verifies(const struct transaction *tr, const struct long_term_key *key)
{
    const struct view bytes = view_of(key->bytes, key->len);
    return (auth_is_strong(tr) ? integrity_check_sha256 : integrity_check)(tr->engine->crypto, &tr->message, bytes) == 0;
}

/* auth_try: the key under which the message's integrity is right, or NULL. Without any key of the client's kind the work is the same. */
static const struct long_term_key *auth_try(const struct transaction *tr, const struct long_term_key *keys, size_t count)
{
    size_t tried = 0;
    for (size_t i = 0; i < count; i++) {
        if (!auth_fits(tr, &keys[i]))
            continue;
        tried++;
        if (auth_verifies(tr, &keys[i]))
            return &keys[i];
    }
    if (!tried)
        (void)auth_verifies(tr, &tr->engine->no_ones_key);
    return NULL;
}

static int auth_unknown(struct transaction *tr)
{
    (void)auth_try(tr, NULL, 0);
    return auth_reject(tr, "unknown_user");
}

/* auth_expired: a key that was good until then. */
static int auth_expired(struct transaction *tr, int64_t expires_unix_s)
{
    const int code = auth_reject(tr, "expired");
    tr->measure.held = engine_unix_ms(tr->engine, tr->now) / 1000 - expires_unix_s;
    return code;
}

static bool auth_is_past(const struct transaction *tr, int64_t expires_unix_s)
{
    return expires_unix_s && expires_unix_s <= engine_unix_ms(tr->engine, tr->now) / 1000;
}

static bool auth_is_hash_of(const struct transaction *tr, const char *name)
{
    return integrity_is_userhash(tr->engine->crypto, view_text(name), view_text(tr->identity.realm),
                                 message_attr(&tr->message, SLOT_USERHASH));
}

/* auth_names: whether it is known by which name the client goes: where a policy alone knows whose the USERHASH is, `user` of its key is the
 * name. */
static bool auth_names(struct transaction *tr, const char *user)
{
    struct identity *who = &tr->identity;
    if (transaction_username(tr).len)
        return true;
    if (!auth_is_hash_of(tr, user))
        return false;
    auth_name(who->unhashed, sizeof who->unhashed, user);
    return true;
}

/* auth_limits: of the allocation that the request is about. */
static const struct limits *auth_limits(const struct transaction *tr)
{
    static const struct limits none;
    return tr->allocation ? tr->allocation->limits : &none;
}

/* auth_keys: the policy gave keys for this name. */
static int auth_keys(struct transaction *tr, const struct verdict *verdict)
{
    struct identity *who = &tr->identity;
    if (verdict->key_count == 0 || !auth_names(tr, verdict->user))
        return auth_unknown(tr);
    const struct long_term_key *key = auth_try(tr, verdict->keys, verdict->key_count);
    if (!key)
        return auth_reject(tr, "bad_integrity");
    if (auth_is_past(tr, verdict->expires_unix_s))
        return auth_expired(tr, verdict->expires_unix_s);
    who->key = *key;
    who->key_expires_unix_s = verdict->expires_unix_s;
    if (transaction_key_left_s(tr, auth_limits(tr)) == 0)
        return auth_expired(tr, verdict->expires_unix_s);
    tr->is_authentic = true;
    who->on_expiry = verdict->on_expiry;
    who->is_minted = verdict->is_minted;
    view_copy(verdict->user[0] ? view_text(verdict->user) : transaction_username(tr), who->user, sizeof who->user);
    if (verdict->tenant[0])
        auth_name(who->tenant, sizeof who->tenant, verdict->tenant);
    if (transaction_is_owner(tr) && !key->of_token) { /* a token's counts once its Refresh is granted */
        tr->allocation->key = who->key;
        tr->allocation->key_expires_unix_s = who->key_expires_unix_s;
        tr->allocation->on_expiry = who->on_expiry;
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
    if (allocation->on_expiry == ON_EXPIRY_REAUTH && auth_is_past(tr, allocation->key_expires_unix_s)) {
        allocation->key.len = 0;
        return transaction_exceed(tr, STUN_STALE_NONCE, "key_expired",
                                  (struct gauge){engine_unix_ms(tr->engine, tr->now) / 1000 - allocation->key_expires_unix_s, 0});
    }
    who->key = allocation->key;
    who->key_expires_unix_s = allocation->key_expires_unix_s;
    who->on_expiry = allocation->on_expiry;
    who->is_minted = allocation->is_minted;
    if (transaction_key_left_s(tr, auth_limits(tr)) == 0)
        return auth_expired(tr, allocation->key_expires_unix_s);
    tr->is_authentic = true;
    auth_name(who->user, sizeof who->user, allocation->user);
    return 0;
}

/* Whoever was shut out is answered as one whose credentials are wrong: without a signature. */
int auth_admit(struct transaction *tr, const char *tags)
{
    const struct host *host = tr->engine->host;
    const struct identity *who = &tr->identity;
    const struct bearer bearer = {
        .tenant = who->tenant[0] ? who->tenant : who->realm,
        .user = who->user,
        .tags = tags,
        .username = transaction_username(tr),
        .is_minted = who->is_minted,
        .expires_unix_s = who->key_expires_unix_s,
    };
    if (!host->is_revoked || !host->is_revoked(host->ctx, &bearer))
        return 0;
    tr->is_authentic = false;
    tr->reason[0] = 0;
    return auth_reject(tr, "credential_revoked");
}

/* a name is text: at most as long as RFC 5389 let it be, without NUL */
static bool auth_is_name(struct view username)
{
    return username.len > 0 && username.len <= USERNAME_MAX_LEN && !memchr(username.at, 0, username.len);
}

static bool auth_has_name(const struct message *message)
{
    if (message_has(message, SLOT_USERNAME))
        return auth_is_name(message_attr(message, SLOT_USERNAME));
    return message_attr(message, SLOT_USERHASH).len == INTEGRITY_USERHASH_LEN;
}

/* auth_unhash: the name that a USERHASH stands for: of the allocation's owner, or one that the host knows; else a policy may know it, if
 * clients were asked for USERHASH. False: nobody is to be asked. */
static bool auth_unhash(struct transaction *tr)
{
    const struct host *host = tr->engine->host;
    struct identity *who = &tr->identity;
    if (message_has(&tr->message, SLOT_USERNAME))
        return true;
    if (tr->allocation && auth_is_hash_of(tr, tr->allocation->username))
        auth_name(who->unhashed, sizeof who->unhashed, tr->allocation->username);
    else if (!host->unhash || host->unhash(host->ctx, who->realm, message_attr(&tr->message, SLOT_USERHASH), who->unhashed) != 0)
        who->unhashed[0] = 0;
    return who->unhashed[0] || tr->engine->config->offer_userhash;
}

struct view auth_offer(void)
{
    static const uint8_t offer[] = {0, STUN_SHA256, 0, 0, 0, STUN_MD5, 0, 0}; /* each without parameters */
    return view_of(offer, sizeof offer);
}

/* auth_algorithm: which kind of key the client signs with; false where the message is not as RFC 8489 section 9.2.4 has it. */
static bool auth_algorithm(struct transaction *tr)
{
    const struct view offered = message_attr(&tr->message, SLOT_PASSWORD_ALGORITHMS);
    const struct view taken = message_attr(&tr->message, SLOT_PASSWORD_ALGORITHM);
    if (!offered.at && !taken.at)
        return true; /* MD5 */
    if (!tr->engine->config->offer_sha256 || !view_equal(offered, auth_offer()))
        return false;
    if (taken.len != 4 || get_u16(taken.at + 2) != 0)
        return false;
    tr->identity.wants_sha256 = get_u16(taken.at) == STUN_SHA256;
    return tr->identity.wants_sha256 || get_u16(taken.at) == STUN_MD5;
}

/* auth_nonce: given to this client, or to the client of the allocation that the request is about: a ConnectionBind comes from another port
 * and may bring the nonce of the control connection. */
static bool auth_nonce(const struct transaction *tr)
{
    const struct engine *engine = tr->engine;
    const struct view nonce = message_attr(&tr->message, SLOT_NONCE);
    return nonce_is_good(engine->config, tr->flow, tr->now, nonce) ||
           (tr->message.method == METHOD_CONNECTION_BIND && tr->allocation &&
            nonce_is_good(engine->config, &tr->allocation->flow, tr->now, nonce));
}

/* auth_stale: who has had the nonce from us is known to be there; of others nothing is. */
static int auth_stale(struct transaction *tr)
{
    const struct engine *engine = tr->engine;
    const int64_t age_s = nonce_age_s(engine->config, tr->flow, tr->now, message_attr(&tr->message, SLOT_NONCE));
    tr->is_proven = age_s >= 0;
    return transaction_exceed(tr, STUN_STALE_NONCE, "stale_nonce", (struct gauge){age_s, engine->config->nonce_lifetime_s});
}

/* The nonce comes before the algorithms, although the RFC checks them first: a client that kept both over a change of the configuration
 * learns the new ones. */
int auth_check(struct transaction *tr)
{
    const struct message *message = &tr->message;
    if (!message_has(message, SLOT_MESSAGE_INTEGRITY) && !message_has(message, SLOT_MESSAGE_INTEGRITY_SHA256))
        return STUN_UNAUTHENTICATED;
    if (!message_has(message, SLOT_REALM) || !message_has(message, SLOT_NONCE) || !auth_has_name(message))
        return STUN_BAD_REQUEST;
    if (!auth_nonce(tr))
        return auth_stale(tr);
    tr->is_proven = true;
    if (message_has(message, SLOT_ACCESS_TOKEN) && !tr->engine->config->oauth)
        return transaction_unknown(tr);
    if (!auth_algorithm(tr))
        return STUN_BAD_REQUEST;
    if (!auth_unhash(tr))
        return auth_unknown(tr);
    if (transaction_is_owner(tr) && auth_fits(tr, &tr->allocation->key) && !message_has(message, SLOT_ACCESS_TOKEN))
        return auth_remembered(tr);
    struct question question = {.hook = HOOK_authenticate};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    const int code = auth_decide(tr, &verdict);
    crypto_wipe(verdict.keys, sizeof verdict.keys);
    return code;
}
