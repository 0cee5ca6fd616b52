/* decide.c: the answer to a question of the engine: the chain of policies first, then what is built in. */
#include "server/credentials.h"
#include "server/tenancy.h"
#include "server/worker_state.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

_Static_assert(STORE_NAME_MAX == UNHASHED_MAX_LEN, "a name of the database is one that the engine keeps");
_Static_assert(STORE_REALM_MAX == REALM_MAX_LEN, "so is a realm");

static struct credentials credentials_of(const struct worker *worker)
{
    return (struct credentials){.config = worker->service->config, .crypto = worker->crypto, .reader = worker->reader,
                                .mint_secrets = worker->service->mint_secrets};
}

uint32_t worker_hooks(const struct worker *worker)
{
    uint32_t hooks = worker->policy ? policy_hooks(worker->policy) : 0;
    if (worker->shadow)
        hooks |= shadow_hooks(worker->shadow);
    if (worker->service->engine.relaying)
        hooks |= HOOK_BIT(HOOK_authenticate);
    if (worker->reader || worker->service->config->max_bps || worker->service->mint_secrets)
        hooks |= HOOK_BIT(HOOK_authorize);
    return hooks;
}

static void decide_authenticate(struct worker *worker, const struct question *question, struct verdict *verdict)
{
    const struct credentials from = credentials_of(worker);
    if (verdict->kind == VERDICT_LOOKUP)
        credentials_lookup(&from, question->request, question->unix_ms, verdict);
    else if (verdict->kind == VERDICT_SILENT)
        credentials_find(&from, question->request, question->unix_ms, verdict);
}

static void deny(struct verdict *verdict, int code, const char *reason)
{
    *verdict = (struct verdict){.kind = VERDICT_DENY, .code = code};
    snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
    view_copy(view_text("core"), verdict->by, sizeof verdict->by);
}

/* What the operator set for a tenant bounds its allocations by the ledger, so that it can be changed while they live. */
static void apply_tenant(const struct worker *worker, const struct store_tenant *tenant, const struct question *question, struct verdict *verdict)
{
    tenancy_tell(worker->service->ledger.tenants, worker->reader, tenant, question->unix_ms);
    if (strcmp(tenant->status, "active") != 0)
        deny(verdict, STUN_FORBIDDEN, "tenant is disabled");
}

static void decide_authorize(struct worker *worker, const struct question *question, struct verdict *verdict)
{
    const struct request *request = question->request;
    struct store_tenant tenant;
    char quoted[NAME_MAX_LEN * 2];
    if (verdict->kind != VERDICT_SILENT && verdict->kind != VERDICT_ALLOW)
        return;
    verdict->kind = VERDICT_ALLOW;
    verdict->limits.max_bps = limit_strictest(verdict->limits.max_bps, worker->service->config->max_bps);
    policy_meter_admit(verdict, question->now, question->unix_ms);
    if (verdict->kind == VERDICT_ALLOW && !verdict_take_minted(verdict, request))
        deny(verdict, STUN_FORBIDDEN, "too_many_tags");
    if (!worker->reader || verdict->kind != VERDICT_ALLOW)
        return;
    const char *name = request->tenant[0] ? request->tenant : request->realm;
    const int err = store_reader_tenant(worker->reader, view_text(name), &tenant);
    if (err == 0)
        apply_tenant(worker, &tenant, question, verdict);
    else if (err == ERR_NOT_FOUND && request->is_minted)
        deny(verdict, STUN_FORBIDDEN, "unknown_tenant");
    else if (err == ERR_NOT_FOUND)
        tenancy_meet(worker->service->ledger.tenants, worker->reader, name, question->unix_ms);
    else /* who is in was authenticated without the table; an outage of it stops nobody */
        log_say(worker->service->log, LOG_ERROR, "tenants_unreadable", "tenant=%s limits=configured", log_quote(view_text(name), quoted, sizeof quoted));
}

/* realm_of: the place for what was read of a tenant. */
static struct tenant_realm *realm_of(struct worker *worker, const char *tenant)
{
    return &worker->realms[table_hash(&worker->service->engine.hash_key, view_text(tenant)) & (TENANT_REALMS - 1)];
}

/* A tenant routed without a realm has the realm that the operator gave it, if any. This is asked for every request of a stranger: what the database said
 * counts for a second. An outage of the database is not remembered. */
static void decide_route(struct worker *worker, msec_t now, struct verdict *verdict)
{
    struct store_tenant read;
    if (verdict->kind != VERDICT_TENANT || verdict->realm[0] || !worker->reader)
        return;
    struct tenant_realm *kept = realm_of(worker, verdict->tenant);
    if (kept->until <= now || strcmp(kept->tenant, verdict->tenant) != 0) {
        const int err = store_reader_tenant(worker->reader, view_text(verdict->tenant), &read);
        snprintf(kept->tenant, sizeof kept->tenant, "%s", verdict->tenant);
        snprintf(kept->realm, sizeof kept->realm, "%s", err ? "" : read.realm);
        kept->until = err == 0 || err == ERR_NOT_FOUND ? now + TENANT_REALM_MS : 0;
    }
    snprintf(verdict->realm, sizeof verdict->realm, "%s", kept->realm);
}

/* Where a shadow alone has the hook, peers that are not in the list of their allocation are asked about, and refused all the same. */
static void decide_permission(const struct question *question, bool was_asked, struct verdict *verdict)
{
    if (!was_asked && question->allocation->limits->acl)
        deny(verdict, STUN_FORBIDDEN, "permission_acl");
}

/* settle: what is built in. */
static void settle(struct worker *worker, const struct policy *asked, const struct question *question, struct verdict *verdict)
{
    if (question->hook == HOOK_route)
        decide_route(worker, question->now, verdict);
    else if (question->hook == HOOK_authenticate)
        decide_authenticate(worker, question, verdict);
    else if (question->hook == HOOK_authorize)
        decide_authorize(worker, question, verdict);
    else if (question->hook == HOOK_permission)
        decide_permission(question, asked, verdict);
}

void worker_settle(struct worker *worker, const struct policy *policy, const struct question *question, struct verdict *verdict)
{
    if (!worker->page && !worker->shadow) {
        settle(worker, policy, question, verdict);
        return;
    }
    struct verdict said = *verdict;
    settle(worker, policy, question, verdict);
    const struct verdict *other = worker->shadow ? shadow_ask(worker->shadow, question, &said) : NULL;
    if (worker->page)
        journal_note(worker->page, &(struct finding){policy, question, &said, verdict, other});
    crypto_wipe(said.keys, sizeof said.keys);
}

void worker_ask(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct worker *worker = ctx;
    const struct policy *asked = worker->policy && policy_hooks(worker->policy) & HOOK_BIT(question->hook) ? worker->policy : NULL;
    if (asked)
        policy_ask(worker->policy, question, verdict);
    if (verdict->kind != VERDICT_LATER)
        worker_settle(worker, asked, question, verdict);
}

int worker_unhash(void *ctx, const char *realm, struct view hash, char name[UNHASHED_MAX_LEN + 1])
{
    const struct credentials from = credentials_of(ctx);
    return credentials_unhash(&from, view_text(realm), hash, name);
}
