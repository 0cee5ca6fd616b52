/* answer.c: decisions become verdicts. */
#include "policy/answer.h"

#include "policy/shared.h"
#include "turn/password.h"

#include <string.h>

#define KIND(kind) (1u << VERDICT_##kind)

/* the codes last; 0: none */
#define RULE(name, arguments, composition, kinds, limits, about, ...)                                                                      \
    [HOOK_##name] = {#name, arguments, COMPOSE_##composition, kinds, {__VA_ARGS__}, limits, about}

const struct hook_rule hook_rules[HOOK_COUNT] = {
    RULE(init, "c", TELL, 0, 0, "each worker, when it has loaded the files; what it raises ends the start, or the reload", 0),
    RULE(route, "r", FIRST, KIND(TENANT) | KIND(REDIRECT), 0,
         "no opinion: the default realm. The answer is kept for (listener, SNI, ALPN, ORIGIN), a failure is not", 403),
    RULE(authenticate, "r", FIRST, KIND(KEY) | KIND(LOOKUP), 0, "no opinion: the users of the server, else 401", 401, 403),
    RULE(authorize, "r", STRICTEST, KIND(ALLOW) | KIND(REDIRECT), UINT8_MAX, "of an Allocate whose password is right", 403, 440, 442, 486,
         508),
    RULE(permission, "apk", FIRST, 0, 0,
         "`kind`: `\"permission\"`, `\"channel\"` or `\"connect\"` (of a TCP allocation), the request that asks", 403, 443),
    RULE(channel, "apn", FIRST, 0, 0, "`number`: 0x4000 to 0x7FFF, with `strict-channel-numbers` to 0x4FFF", 403),
    RULE(refresh, "ar", ASK_ALL, KIND(ALLOW) | KIND(REAUTH), LIMIT_MAX_LIFETIME,
         "`allow` with `max_lifetime` only; failed: granted for 600 s, as clients give up on any error but 438", 403, 486, 508),
    RULE(usage, "au", ASK_ALL, KIND(ALLOW) | KIND(CLOSE), LIMIT_MAX_BPS,
         "`allow` with `max_bps` only: it replaces the one that held, but gives no more than `authorize` granted", 0),
    RULE(log, "e", TELL, 0, 0, "what it returns is ignored", 0),
    RULE(save, "", TELL, 0, 0,
         "before a reload: plain data for `ctx.saved` of the next `init` of the same file; what it raises ends the reload", 0),
    RULE(shutdown, "", TELL, 0, 0, "what it returns is ignored", 0),
};

static bool code_is_allowed(const struct hook_rule *rule, int code)
{
    for (size_t i = 0; i < sizeof rule->codes / sizeof *rule->codes && rule->codes[i]; i++)
        if (rule->codes[i] == code)
            return true;
    return false;
}

bool answer_has_code(int code)
{
    bool found = false;
    for (size_t hook = 0; hook < HOOK_COUNT; hook++)
        found |= code_is_allowed(&hook_rules[hook], code);
    return found;
}

const char *answer_judge(enum hook hook, const struct decision *decision, char *error, size_t error_cap)
{
    const struct hook_rule *rule = &hook_rules[hook];
    const char *by = decision_text(decision, decision->by);
    if (decision->kind == VERDICT_FAIL)
        return NULL;
    if (decision->kind == VERDICT_DENY && code_is_allowed(rule, decision->code))
        return NULL;
    if (decision->kind == VERDICT_DENY)
        snprintf(error, error_cap, "%s may not answer %d (built at %s)", rule->name, decision->code, by);
    else if (!(rule->kinds & 1u << decision->kind))
        snprintf(error, error_cap, "%s may not return relay.%s (built at %s)", rule->name, decision_kind(decision), by);
    else if (decision->limits_given & ~rule->limits)
        snprintf(error, error_cap, "%s may not set this limit (built at %s)", rule->name, by);
    else
        return NULL;
    return error;
}

static struct view view_of_text(const struct decision *decision, struct text text)
{
    return view_of(decision_text(decision, text), text.len);
}

static void copy_text(const struct decision *decision, struct text text, char *out, size_t cap)
{
    view_copy(view_of_text(decision, text), out, cap);
}

static void verdict_fail(struct verdict *verdict, const char *reason)
{
    verdict->kind = VERDICT_FAIL;
    verdict->code = STUN_SERVER_ERROR;
    view_copy(view_text(reason), verdict->reason, sizeof verdict->reason);
}

/* fill_ha1: the key that the policy has of the client's kind; without one nobody gets in. */
static void fill_ha1(const struct request *request, const struct decision *decision, struct verdict *verdict)
{
    struct long_term_key *key = &verdict->keys[0];
    if (!(request->wants_sha256 ? decision->has_ha1_sha256 : decision->has_ha1))
        return;
    key->len = request->wants_sha256 ? sizeof decision->ha1_sha256 : sizeof decision->ha1;
    memcpy(key->bytes, request->wants_sha256 ? decision->ha1_sha256 : decision->ha1, key->len);
    verdict->key_count = 1;
}

static void fill_keys(struct policy *policy, const struct request *request, const struct decision *decision, struct verdict *verdict)
{
    verdict->expires_unix_s = decision->expires_unix_s;
    verdict->on_expiry = decision->on_expiry;
    if (decision->mac_key_len)
        verdict_take_token(verdict, view_of(decision->mac_key, decision->mac_key_len));
    fill_ha1(request, decision, verdict);
    const struct login login = password_login(request, verdict->user);
    for (uint8_t i = 0; i < decision->password_count; i++) {
        if (password_offer(policy->world.crypto, &login, view_of_text(decision, decision->passwords[i]), verdict) == 0)
            continue;
        verdict_fail(verdict, "the key cannot be computed");
        return;
    }
}

/* fill_identity: a tenant that the policy does not name stays what it was, of those whose key it is. */
static void fill_identity(const struct question *question, const struct decision *decision, struct verdict *verdict)
{
    copy_text(decision, decision->user, verdict->user, sizeof verdict->user);
    copy_text(decision, decision->realm, verdict->realm, sizeof verdict->realm);
    copy_text(decision, decision->tenant, verdict->tenant, sizeof verdict->tenant);
    if (!decision->tenant.len && (decision->kind == VERDICT_KEY || decision->kind == VERDICT_LOOKUP) && question->request->tenant)
        view_copy(view_text(question->request->tenant), verdict->tenant, sizeof verdict->tenant);
}

/* answer_measure: what a 486 is about, if a relay.ratelimit said no while the hook ran. */
static struct gauge answer_measure(const struct policy *policy, const struct decision *decision)
{
    const bool is_slowed = decision->kind == VERDICT_DENY && decision->code == STUN_QUOTA && policy->slowed == policy->call;
    return is_slowed ? (struct gauge){policy->slowed_burst, policy->slowed_burst} : (struct gauge){0};
}

void answer_verdict(struct policy *policy, const struct question *question, const struct decision *decision, struct verdict *verdict)
{
    *verdict = (struct verdict){.kind = decision->kind, .code = decision->code, .measure = answer_measure(policy, decision)};
    memcpy(verdict->alternate.servers, decision->servers, sizeof decision->servers);
    copy_text(decision, decision->domain, verdict->alternate.domain, sizeof verdict->alternate.domain);
    copy_text(decision, decision->by, verdict->by, sizeof verdict->by);
    copy_text(decision, decision->reason, verdict->reason, sizeof verdict->reason);
    fill_identity(question, decision, verdict);
    if (decision->kind == VERDICT_ALLOW) {
        verdict->limits = decision_allowance(decision)->limits;
        verdict->labels = decision_allowance(decision)->labels;
        verdict->metering = decision_allowance(decision)->metering;
    }
    if (decision->kind == VERDICT_KEY)
        fill_keys(policy, question->request, decision, verdict);
    if (decision->kind == VERDICT_LOOKUP && decision->user.len > NAME_MAX_LEN) { /* no user has such a name */
        verdict->kind = VERDICT_DENY;
        verdict->code = STUN_UNAUTHENTICATED;
        view_copy(view_text("unknown_user"), verdict->reason, sizeof verdict->reason);
    }
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
    return strcmp(a->tags, b->tags) == 0 && strcmp(a->group, b->group) == 0 && strcmp(a->pool, b->pool) == 0;
}

static bool same_metering(const struct metering *a, const struct metering *b)
{
    if (!a->meter || !b->meter)
        return a->meter == b->meter;
    return a->cap == b->cap && a->on_cap == b->on_cap && strcmp(a->key, b->key) == 0;
}

static bool same_identity(const struct verdict *a, const struct verdict *b)
{
    return strcmp(a->tenant, b->tenant) == 0 && strcmp(a->user, b->user) == 0 && strcmp(a->realm, b->realm) == 0 &&
           a->expires_unix_s == b->expires_unix_s && a->on_expiry == b->on_expiry && a->key_count == b->key_count &&
           memcmp(a->keys, b->keys, a->key_count * sizeof *a->keys) == 0;
}

static bool same_alternate(const struct alternate *a, const struct alternate *b)
{
    return addr_equal(&a->servers[0], &b->servers[0]) && addr_equal(&a->servers[1], &b->servers[1]) && strcmp(a->domain, b->domain) == 0;
}

const char *policy_hook_name(enum hook hook)
{
    return hook_rules[hook].name;
}

bool policy_answer_same(const struct verdict *a, const struct verdict *b)
{
    if (a->kind != b->kind || a->code != b->code)
        return false;
    return a->kind == VERDICT_FAIL || (strcmp(a->reason, b->reason) == 0 && same_identity(a, b) && limits_equal(&a->limits, &b->limits) &&
                                       same_labels(&a->labels, &b->labels) && same_metering(&a->metering, &b->metering) &&
                                       same_alternate(&a->alternate, &b->alternate));
}

static bool merge_acl(struct policy *policy, const struct cidr_set **into, const struct cidr_set *more)
{
    if (*into && more && *into != more)
        *into = shared_acl_both(policy->shared, *into, more);
    else if (more)
        *into = more;
    return *into || !more;
}

/* merge_name: an allocation is in one group, and in one pool. */
static bool merge_name(char into[NAME_MAX_LEN + 1], const char *more)
{
    if (*into && *more)
        return strcmp(into, more) == 0;
    if (*more)
        view_copy(view_text(more), into, NAME_MAX_LEN + 1);
    return true;
}

const char *answer_merge(struct policy *policy, struct verdict *into, const struct verdict *more)
{
    limits_tighten(&into->limits, &more->limits);
    if (into->metering.meter && more->metering.meter)
        return "the limits of several policies do not fit together: two meters";
    if (more->metering.meter)
        into->metering = more->metering;
    if (!merge_name(into->labels.group, more->labels.group))
        return "the limits of several policies do not fit together: two groups";
    if (!merge_name(into->labels.pool, more->labels.pool))
        return "the limits of several policies do not fit together: two pools";
    if (!merge_acl(policy, &into->limits.acl, more->limits.acl) || !labels_add(&into->labels, more->labels.tags))
        return "the limits of several policies do not fit together";
    return NULL;
}
