/* world.c: the host of the engine and the world of the policies. */
#include "spec/world.h"

#include "spec/client.h"
#include "spec/record.h"
#include "spec/waiting.h"

#include "base/err.h"
#include "policy/state.h"
#include "turn/password.h"
#include "wire/integrity.h"
#include "wire/minted.h"

#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000     /* a worker sweeps once a second */
#define IDLE_MS 60000    /* with nothing to expire and no timers, a minute goes by at once */
#define RETIRED_MS 10000 /* as core/server/worker_policy.c */

/* struct usage_mark: what the usage hook was told of an allocation. */
struct usage_mark {
    uint64_t id;
    struct usage told;
};

int64_t world_unix_ms(const struct world *w)
{
    return w->now + w->unix_offset_ms;
}

/* ---- users ---- */

const struct user *world_user(const struct world *w, const char *tenant, struct view name)
{
    for (size_t i = 0; i < w->user_count; i++)
        if (strcmp(w->users[i].tenant, tenant) == 0 && view_equal(view_text(w->users[i].name), name))
            return &w->users[i];
    return NULL;
}

static int user_key(const struct world *w, const struct user *user, struct view username, const char *realm, struct long_term_key *out)
{
    out->len = INTEGRITY_KEY_LEN;
    if (user->password)
        return integrity_key(w->crypto, username, view_text(realm), view_text(user->password), out->bytes);
    memcpy(out->bytes, user->key, sizeof user->key);
    return 0;
}

/* decide_minted: false: the name is of another form. */
static bool decide_minted(const struct world *w, const struct request *request, struct verdict *verdict)
{
    struct minted minted;
    char key[MINTED_KEY_LEN + 1], password[MINTED_PASSWORD_LEN + 1];
    if (!w->mint_secret || minted_parse(request->username, &minted) != 0)
        return false;
    *verdict = (struct verdict){.kind = VERDICT_DENY, .code = STUN_UNAUTHENTICATED, .reason = "credential_expired", .by = "core"};
    if (minted.expires_unix_s * 1000 <= world_unix_ms(w))
        return true;
    *verdict = (struct verdict){.kind = VERDICT_KEY, .by = "core", .is_minted = true, .expires_unix_s = minted.expires_unix_s};
    view_copy(view_text(minted.tenant), verdict->tenant, sizeof verdict->tenant);
    view_copy(view_text(minted_user(&minted)), verdict->user, sizeof verdict->user);
    const struct login login = password_login(request, "");
    if (minted_key(w->crypto, w->mint_secret, minted.tenant, minted.kid, key) != 0 ||
        minted_password(w->crypto, view_text(key), request->username, password) != 0 ||
        password_offer(w->crypto, &login, view_text(password), verdict) != 0)
        verdict->kind = VERDICT_FAIL;
    return true;
}

/* decide_key: the users of the spec, when a policy says relay.lookup or nothing. */
static void decide_key(const struct world *w, const struct request *request, struct verdict *verdict)
{
    const bool lookup = verdict->kind == VERDICT_LOOKUP;
    struct verdict found = {.kind = VERDICT_DENY, .code = STUN_UNAUTHENTICATED, .reason = "unknown_user", .by = "core"};
    const struct view name = lookup ? view_text(verdict->user) : request->username;
    const struct user *user = world_user(w, lookup ? verdict->tenant : request->tenant, name);
    if (user) {
        found = (struct verdict){.kind = VERDICT_KEY, .key_count = 1, .by = "core"};
        view_copy(view_text(user->tenant), found.tenant, sizeof found.tenant);
        view_copy(view_text(user->name), found.user, sizeof found.user);
        if (user_key(w, user, request->username, request->realm, &found.keys[0]) != 0)
            found.kind = VERDICT_FAIL;
    }
    *verdict = found;
}

static void decide_known(const struct world *w, const struct request *request, struct verdict *verdict)
{
    if (verdict->kind != VERDICT_SILENT || !decide_minted(w, request, verdict))
        decide_key(w, request, verdict);
}

/* own_hooks: asked although no policy has them. */
static uint32_t own_hooks(const struct world *w)
{
    return HOOK_BIT(HOOK_authenticate) | (w->mint_secret ? HOOK_BIT(HOOK_authorize) : 0);
}

/* ---- the host ---- */

static int world_unhash(void *ctx, const char *realm, struct view hash, char name[UNHASHED_MAX_LEN + 1])
{
    const struct world *w = ctx;
    for (size_t i = 0; i < w->user_count; i++)
        if (integrity_is_userhash(w->crypto, view_text(w->users[i].name), view_text(realm), hash)) {
            view_copy(view_text(w->users[i].name), name, UNHASHED_MAX_LEN + 1);
            return 0;
        }
    return ERR_NOT_FOUND;
}

static int world_relay_open(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    struct world *w = ctx;
    (void)local;
    (void)owner;
    *sock = w->sockets++;
    return 0;
}

static void world_relay_close(void *ctx, int sock)
{
    (void)ctx;
    (void)sock;
}

/* ---- TCP: connections are there at once ---- */

static int world_listen(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    return world_relay_open(ctx, local, owner, sock);
}

static int world_connect(void *ctx, int sock, const struct addr *to, struct handle peer, int *conn)
{
    struct world *w = ctx;
    (void)sock;
    (void)to;
    w->connecting = peer;
    *conn = w->sockets++;
    return 0;
}

static bool world_splice(void *ctx, int conn, uint64_t link, struct handle peer)
{
    (void)ctx;
    (void)conn;
    (void)link;
    (void)peer;
    return true;
}

static const struct tcp_host world_tcp = {
    .listen = world_listen, .close = world_relay_close, .connect = world_connect, .drop = world_relay_close, .splice = world_splice};

/* decide: what is built in, to what the policies said. */
static void decide(const struct world *w, const struct question *question, struct verdict *verdict)
{
    if (question->hook == HOOK_authenticate && (verdict->kind == VERDICT_SILENT || verdict->kind == VERDICT_LOOKUP))
        decide_known(w, question->request, verdict);
    if (question->hook == HOOK_authorize)
        policy_meter_admit(verdict, question->now, question->unix_ms);
    if (question->hook == HOOK_authorize && (verdict->kind == VERDICT_SILENT || verdict->kind == VERDICT_ALLOW)) {
        verdict->kind = VERDICT_ALLOW;
        verdict_take_minted(verdict, question->request);
    }
}

static void take_usage_verdict(struct world *w, const struct question *question, const struct verdict *verdict)
{
    if (question->closing)
        return;
    if (verdict->kind == VERDICT_CLOSE)
        engine_close(w->engine, question->allocation->self, verdict, w->now);
    else if (verdict->limits.max_bps) /* also if another policy of the chain failed */
        engine_limit(w->engine, question->allocation->self, verdict->limits.max_bps, w->now);
}

static void world_answer(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct world *w = ctx;
    if (question->hook == HOOK_usage) {
        take_usage_verdict(w, question, verdict);
        return;
    }
    decide(w, question, verdict);
    const struct send send = engine_resume(w->engine, question->ticket, verdict, w->now);
    if (send.to == SEND_NOTHING || send.bytes.len > sizeof w->late_bytes)
        return;
    w->late = send;
    memcpy(w->late_bytes, send.bytes.at, send.bytes.len);
    w->late.bytes = view_of(w->late_bytes, send.bytes.len);
}

static void world_forget(void *ctx, struct ticket ticket)
{
    const struct world *w = ctx;
    policy_forget(w->policy, ticket);
}

static void world_ask(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct world *w = ctx;
    if (policy_hooks(w->policy) & HOOK_BIT(question->hook))
        policy_ask(w->policy, question, verdict);
    decide(w, question, verdict);
    if (verdict->kind == VERDICT_REAUTH)
        w->reauth = *verdict;
}

static struct usage_mark *mark_of(struct world *w, const struct allocation *a)
{
    const size_t index = a->self.index;
    if (index >= w->mark_count) {
        const size_t count = index * 2 + 64;
        struct usage_mark *marks = realloc(w->marks, count * sizeof *marks);
        if (!marks)
            world_lacks_memory(w);
        memset(marks + w->mark_count, 0, (count - w->mark_count) * sizeof *marks);
        w->marks = marks;
        w->mark_count = count;
    }
    if (w->marks[index].id != a->id)
        w->marks[index] = (struct usage_mark){.id = a->id};
    return &w->marks[index];
}

static void ask_usage(struct world *w, const struct allocation *a, bool closing)
{
    struct usage_mark *mark = mark_of(w, a);
    struct verdict verdict = {0};
    const struct usage delta = {
        .bytes_in = a->usage.bytes_in - mark->told.bytes_in,
        .bytes_out = a->usage.bytes_out - mark->told.bytes_out,
        .packets_in = a->usage.packets_in - mark->told.packets_in,
        .packets_out = a->usage.packets_out - mark->told.packets_out,
    };
    const struct question question = {
        .hook = HOOK_usage, .now = w->now, .unix_ms = world_unix_ms(w), .allocation = a, .delta = &delta, .closing = closing};
    mark->told = a->usage;
    policy_ask(w->policy, &question, &verdict);
    take_usage_verdict(w, &question, &verdict);
}

static void world_hold(void *ctx, const struct flow *flow, bool holds)
{
    (void)ctx, (void)flow, (void)holds;
}

static void world_tell(void *ctx, const struct event *event)
{
    struct world *w = ctx;
    if (event->type == EVENT_CLOSED)
        policy_meter_add(allocation_metering(event->allocation), event->delta.bytes_in + event->delta.bytes_out, event->now,
                         event->unix_ms);
    if (event->type == EVENT_CLOSED && policy_hooks(w->policy) & HOOK_BIT(HOOK_usage))
        ask_usage(w, event->allocation, true);
    if (event->type == EVENT_DENIED || event->type == EVENT_AUTH_FAILED || event->type == EVENT_POLICY_ERROR) {
        w->refusal.code = event->code;
        view_copy(view_text(event->reason), w->refusal.reason, sizeof w->refusal.reason);
        view_copy(view_text(event->by), w->refusal.by, sizeof w->refusal.by);
    }
    record_event(w, event);
    if (policy_hooks(w->policy) & HOOK_BIT(HOOK_log))
        policy_tell(w->policy, event);
}

/* ---- time ---- */

static void usage_round(struct world *w)
{
    uint32_t from = 0;
    for (const struct allocation *a; (a = engine_allocation_at(w->engine, from)); from++) {
        from = a->self.index;
        const msec_t age = w->now - a->created;
        if (age >= w->usage_interval_ms && age % w->usage_interval_ms < TICK_MS)
            ask_usage(w, a, false);
    }
}

/* meter: as core/server/metering.c. */
static void meter(void *ctx, const struct allocation *a, const struct usage *delta)
{
    struct world *w = ctx;
    const struct metering *metering = allocation_metering(a);
    if (!policy_meter_add(metering, delta->bytes_in + delta->bytes_out, w->now, world_unix_ms(w)))
        return;
    if (metering->on_cap == ON_CAP_THROTTLE)
        engine_limit(w->engine, a->self, THROTTLE_BPS, w->now);
    else if (metering->on_cap == ON_CAP_CLOSE)
        w->capped = a->self; /* one a second will do */
}

static void meter_all(struct world *w)
{
    static const struct verdict cap = {.kind = VERDICT_CLOSE, .reason = "meter_cap", .by = "core"};
    engine_usage(w->engine, meter, w, w->now);
    engine_close(w->engine, w->capped, &cap, w->now);
    w->capped = (struct handle){0};
}

static void tick(struct world *w)
{
    waiting_turn(w);
    engine_clock(w->engine, w->now, world_unix_ms(w));
    engine_sweep(w->engine, w->now);
    meter_all(w);
    if (w->now % TICK_MS == 0 && policy_hooks(w->policy) & HOOK_BIT(HOOK_usage))
        usage_round(w);
    policy_idle(w->policy, w->now, world_unix_ms(w));
}

void world_advance(struct world *w, msec_t ms)
{
    const msec_t end = w->now + ms;
    while (w->now < end) {
        const bool idle = engine_allocations(w->engine) == 0 && !w->policy->timers;
        const msec_t next = w->now - w->now % TICK_MS + (idle ? IDLE_MS : TICK_MS), due = waiting_due(w);
        w->now = next < end ? next : end;
        if (due < w->now)
            w->now = due;
        tick(w);
    }
}

struct send world_wait(struct world *w)
{
    w->late = (struct send){0};
    for (msec_t due; w->late.to == SEND_NOTHING && (due = waiting_due(w)) != POLICY_NEVER;)
        world_advance(w, due > w->now ? due - w->now : 1);
    return w->late;
}

void world_stop(struct world *w)
{
    engine_close_all(w->engine, "shutdown", w->now);
    policy_shutdown(w->policy, w->now, world_unix_ms(w));
}

/* ---- the life of a world ---- */

uint32_t world_held(const struct world *w, const char *scope, const char *tenant, const char *user)
{
    if (strcmp(scope, "user") == 0)
        return quota_user(w->shared.quota, view_text(tenant), view_text(user));
    if (strcmp(scope, "realm") == 0)
        return quota_realm(w->shared.quota, view_text(tenant));
    return quota_total(w->shared.quota);
}

static uint32_t world_count(void *ctx, const char *kind, const char *tenant, const char *user)
{
    return world_held(ctx, kind, tenant, user);
}

static struct policy_world policies_see(struct world *w)
{
    struct policy_world world = {
        .ctx = w, .log = w->log, .crypto = w->crypto, .count = world_count, .audit = record_audit, .answer = world_answer};
    waiting_open(&world);
    return world;
}

/* let_waits_end: in the old policy, or never. */
static void let_waits_end(struct world *w)
{
    const msec_t ends = w->now + RETIRED_MS;
    while (policy_waits(w->policy) && w->now < ends) {
        const msec_t due = waiting_due(w);
        world_advance(w, due > w->now && due < ends ? due - w->now : ends - w->now);
    }
}

const char *world_reload(struct world *w, char *error, size_t error_cap)
{
    const struct policy_world world = policies_see(w);
    let_waits_end(w);
    policy_shared_begin(w->policy_shared);
    struct policy_birth birth = {
        .config = &w->policies, .shared = w->policy_shared, .world = &world, .old = w->policy, .now = w->now, .unix_ms = world_unix_ms(w)};
    birth.edition = policy_edition_new(&w->policies, error, error_cap);
    struct policy *policy = birth.edition ? policy_make(&birth, error, error_cap) : NULL;
    policy_edition_free(birth.edition);
    if (policy) {
        policy_free(w->policy);
        w->policy = policy;
        engine_hooks(w->engine, policy_hooks(policy) | own_hooks(w));
    }
    policy_shared_end(w->policy_shared, policy != NULL);
    policy_shared_sweep(w->policy_shared);
    return policy ? NULL : error;
}

static void start_policies(struct world *w)
{
    char error[1024] = "";
    const struct policy_world world = policies_see(w);
    w->policy_shared = policy_shared_new(&w->policies);
    if (w->policy_shared)
        w->policy = policy_new(&w->policies, w->policy_shared, &world, 0, w->now, world_unix_ms(w), error, sizeof error);
    if (w->policy)
        return;
    lua_pushstring(w->lua, error);
    lua_error(w->lua);
}

void world_start(struct world *w)
{
    w->crypto = crypto_new();
    w->log = log_catch(record_line, w);
    w->host = (struct host){.ctx = w,
                            .relay_open = world_relay_open,
                            .relay_close = world_relay_close,
                            .tcp = &world_tcp,
                            .ask = world_ask,
                            .forget = world_forget,
                            .tell = world_tell,
                            .unhash = world_unhash,
                            .hold = world_hold};
    if (!w->crypto || !w->log || !w->shared.quota || !w->shared.tenants || !w->shared.ports || !w->shared.tickets || !w->shared.tcp_ports ||
        !w->shared.connections)
        world_lacks_memory(w);
    start_policies(w);
    w->host.hooks = policy_hooks(w->policy) | own_hooks(w);
    w->engine = engine_new(&w->config, &w->shared, &w->host, 0);
    if (!w->engine)
        world_lacks_memory(w);
    engine_clock(w->engine, w->now, world_unix_ms(w));
    w->is_open = true;
}

void world_close(struct world *w)
{
    engine_free(w->engine);
    policy_free(w->policy);
    waiting_close(w);
    policy_shared_free(w->policy_shared);
    connections_free(w->shared.connections);
    ports_free(w->shared.tcp_ports);
    tickets_free(w->shared.tickets);
    ports_free(w->shared.ports);
    quota_free(w->shared.quota);
    tenants_free(w->shared.tenants);
    if (w->directory)
        world_remove_directory(w->directory);
    cidr_close(&w->allowed);
    cidr_close(&w->denied);
    crypto_free(w->crypto);
    log_free(w->log);
    for (size_t i = 0; i < w->client_count; i++)
        free(w->clients[i]);
    for (size_t i = 0; i < w->owned_count; i++)
        free(w->owned[i]);
    free(w->clients);
    free(w->owned);
    free(w->marks);
    luaL_unref(w->lua, LUA_REGISTRYINDEX, w->lists);
    for (size_t i = 0; i < STUB_COUNT; i++)
        luaL_unref(w->lua, LUA_REGISTRYINDEX, w->stubs[i]);
    *w = (struct world){.lua = w->lua, .lists = LUA_NOREF, .stubs = {LUA_NOREF, LUA_NOREF, LUA_NOREF}};
}

void world_lacks_memory(struct world *w)
{
    luaL_error(w->lua, "not enough memory");
    abort();
}

void *world_own(struct world *w, void *at)
{
    void **owned = at ? realloc(w->owned, (w->owned_count + 1) * sizeof *owned) : NULL;
    if (!owned) {
        free(at);
        world_lacks_memory(w);
    }
    w->owned = owned;
    return w->owned[w->owned_count++] = at;
}

const char *world_text(struct world *w)
{
    const char *text = lua_tostring(w->lua, -1);
    char *copy = text ? world_own(w, strdup(text)) : NULL;
    lua_pop(w->lua, 1);
    return copy;
}
