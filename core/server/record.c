/* record.c: what is written down of an event: a log line, the log hook; and twice a second what was used. */
#include "server/worker_state.h"

#include <stdio.h>
#include <string.h>

#define USAGE_HOOK_MS 60000
#define QUOTED_MAX 160

const char *record_tenant_of(const char *tenant, const char *realm)
{
    return tenant[0] ? tenant : realm;
}

/* Sessions are in the database and in debug lines; a refusal is worth a line of its own. */
static enum log_level level_of(enum event_type type)
{
    switch (type) {
        case EVENT_POLICY_ERROR:
            return LOG_WARNING;
        case EVENT_DENIED:
        case EVENT_AUTH_FAILED:
            return LOG_INFO;
        default:
            return LOG_DEBUG;
    }
}

static const char *revision_of(const struct worker *worker)
{
    return worker->policy ? policy_revision(worker->policy) : "-";
}

static void say(struct worker *worker, const struct event *event)
{
    struct log *log = worker->service->log;
    const enum log_level level = level_of(event->type);
    char client[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX] = "-", tenant[QUOTED_MAX], username[QUOTED_MAX], user[QUOTED_MAX], reason[QUOTED_MAX];
    if (!log_wants(log, level))
        return;
    if (event->peer)
        addr_format(event->peer, peer);
    log_say(log, level, event_name(event->type),
            "decision=%llu id=%lld client=%s transport=%s method=%s code=%d reason=%s by=%s tenant=%s user=%s username=%s peer=%s policy_rev=%s",
            (unsigned long long)event->decision, event->allocation ? (long long)event->allocation->id : 0LL, addr_format(&event->flow->client, client),
            transport_name(event->flow->transport), event->method ? stun_method_name(event->method) : "-", event->code, log_quote(view_text(event->reason), reason, sizeof reason),
            event->by, log_quote(view_text(record_tenant_of(event->tenant, event->realm)), tenant, sizeof tenant), log_quote(view_text(event->user), user, sizeof user),
            log_quote(event->username, username, sizeof username), peer, revision_of(worker));
}

const char *record_tenant(const struct allocation *allocation)
{
    return record_tenant_of(allocation->tenant, allocation->realm);
}

const char *record_transport(const struct allocation *allocation)
{
    if (allocation->protocol == PROTOCOL_UDP)
        return transport_name(allocation->flow.transport);
    return allocation->flow.transport == TRANSPORT_TLS ? "tls/tcp" : "tcp/tcp";
}

/* The allocation may be gone: its handle says so. */
void worker_take_usage_verdict(struct worker *worker, const struct question *question, const struct verdict *verdict, msec_t now)
{
    const struct handle of = question->allocation->self;
    if (question->closing)
        return;
    if (verdict->kind == VERDICT_CLOSE) {
        struct verdict closing = *verdict;
        closing.decision = question->decision;
        engine_close(worker->engine, of, &closing, now);
    } else if (verdict->limits.max_bps) /* also if another policy of the chain failed */
        engine_limit(worker->engine, of, verdict->limits.max_bps, now);
}

static void ask_usage(struct worker *worker, const struct allocation *allocation, msec_t now, bool closing)
{
    struct usage_told *told = record_told(worker, allocation);
    struct verdict verdict = {0};
    if (!told)
        return;
    const struct usage *total = &allocation->usage;
    const struct usage delta = {
        .bytes_in = total->bytes_in - told->usage.bytes_in,
        .bytes_out = total->bytes_out - told->usage.bytes_out,
        .packets_in = total->packets_in - told->usage.packets_in,
        .packets_out = total->packets_out - told->usage.packets_out,
    };
    const struct question question = {
        .hook = HOOK_usage,
        .decision = engine_id(worker->engine, now),
        .now = now,
        .unix_ms = now + worker->unix_offset_ms,
        .allocation = allocation,
        .delta = &delta,
        .closing = closing,
    };
    told->usage = *total;
    const bool is_asked = policy_hooks(worker->policy) & HOOK_BIT(HOOK_usage);
    policy_ask(worker->policy, &question, &verdict);
    if (verdict.kind != VERDICT_LATER)
        worker_settle(worker, is_asked ? worker->policy : NULL, &question, &verdict);
    worker_take_usage_verdict(worker, &question, &verdict, now);
}

static bool wants(const struct worker *worker, enum hook hook)
{
    const uint32_t hooks = worker->policy ? policy_hooks(worker->policy) : 0;
    return (worker->shadow ? hooks | shadow_hooks(worker->shadow) : hooks) & HOOK_BIT(hook);
}

static bool is_put_out(const char *reason)
{
    static const char *const reasons[] = {"meter_cap", "kicked", "revoked", "credential_expired"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i], reason) == 0)
            return true;
    return false;
}

/* is_denial: of a failed policy that refuses by itself: others are followed by the refusal; of what was ended: not by its client, nor by time. */
static bool is_denial(const struct event *event)
{
    switch (event->type) {
        case EVENT_DENIED:
        case EVENT_AUTH_FAILED:
            return true;
        case EVENT_POLICY_ERROR:
            return event->hook == HOOK_route || event->hook == HOOK_authenticate;
        case EVENT_CLOSED:
            return strcmp(event->by, "core") != 0 || is_put_out(event->reason);
        default:
            return false;
    }
}

static void remember(struct worker *worker, const struct event *event)
{
    const bool is_peer = event->peer && strcmp(event->reason, "peer_not_allowed") == 0;
    denials_put(worker->denials, event, is_peer ? engine_peer_kind(worker->engine, event->peer) : NULL, revision_of(worker));
}

void worker_remark(void *ctx, const struct event *event)
{
    struct worker *worker = ctx;
    if (worker->denials)
        remember(worker, event);
}

void worker_tell(void *ctx, const struct event *event)
{
    struct worker *worker = ctx;
    say(worker, event);
    if (worker->page)
        journal_tell(worker->page, event, revision_of(worker));
    if (worker->denials && is_denial(event))
        remember(worker, event);
    if (event->type == EVENT_CLOSED && wants(worker, HOOK_usage))
        ask_usage(worker, event->allocation, event->now, true);
    if (event->type == EVENT_CLOSED)
        meter_usage(worker, event->allocation, &event->delta, event->now);
    worker_tenant_event(worker, event);
    if (worker->tally)
        metric_event(worker, event);
    if (worker->service->news)
        worker_news(worker, event);
    if (worker->service->store)
        record_rows(worker, event);
    if (worker->policy)
        policy_tell(worker->policy, event);
    if (worker->shadow)
        shadow_tell(worker->shadow, event);
}

void worker_audit(void *ctx, const char *type, const char *detail_json)
{
    struct worker *worker = ((struct tenure *)ctx)->worker;
    char quoted[LOG_LINE_MAX];
    if (worker->service->store)
        store_audit(worker->service->store, clock_unix_ms(), "policy", type, detail_json);
    else
        log_say(worker->service->log, LOG_INFO, "audit", "type=%s detail=%s", type, log_quote(view_text(detail_json), quoted, sizeof quoted));
}

static void take_usage(void *ctx, const struct allocation *allocation, const struct usage *delta)
{
    struct worker *worker = ctx;
    const msec_t now = loop_now(worker->loop);
    worker_tenant_usage(worker, allocation, delta, now + worker->unix_offset_ms);
    if (worker->service->store)
        record_usage(worker, allocation, delta, now);
    if (worker->tally)
        metric_usage(worker, allocation, delta);
    meter_usage(worker, allocation, delta, now);
}

/* The usage hook is asked when another whole USAGE_HOOK_MS of the allocation's life has passed since the last round. */
static void ask_all_usage(struct worker *worker, msec_t now)
{
    uint32_t from = 0;
    for (const struct allocation *each; (each = engine_allocation_at(worker->engine, from)); from++) {
        from = each->self.index;
        const msec_t before = worker->usage_asked > each->created ? worker->usage_asked - each->created : 0;
        if (before / USAGE_HOOK_MS != (now - each->created) / USAGE_HOOK_MS)
            ask_usage(worker, each, now, false);
    }
    worker->usage_asked = now;
}

void worker_record_usage(struct worker *worker, msec_t now)
{
    engine_usage(worker->engine, take_usage, worker, now);
    if (worker->service->store)
        record_lives(worker, now);
    meter_close_capped(worker, now);
    if (wants(worker, HOOK_usage))
        ask_all_usage(worker, now);
    marks_trim(worker);
}
