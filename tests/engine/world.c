/* world.c: the world around an engine in a test. */
#include "world.h"

#include "base/err.h"
#include "turn/state.h"

#include <stdlib.h>

struct addr addr_of(const char *text)
{
    struct addr addr;
    CHECK_INT(addr_parse(view_text(text), &addr), 0);
    return addr;
}

/* ---- the host ---- */

int world_socket(struct world *w, const struct world_socket *wanted, int *sock)
{
    const struct addr *local = &wanted->local;
    if (w->no_descriptors)
        return ERR_SYSTEM;
    if (local->port >= w->foreign_first && local->port <= w->foreign_last)
        return ERR_BUSY;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        CHECK(!w->sockets[i].is_open || w->sockets[i].is_listener != wanted->is_listener || !addr_equal(&w->sockets[i].local, local));
        if (w->sockets[i].is_open)
            continue;
        w->sockets[i] = *wanted;
        w->sockets[i].is_open = true;
        *sock = i;
        if (++w->open_sockets > w->most_sockets)
            w->most_sockets = w->open_sockets;
        return 0;
    }
    return ERR_SYSTEM;
}

static int world_open(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    return world_socket(ctx, &(struct world_socket){.local = *local, .owner = owner}, sock);
}

void world_close(void *ctx, int sock)
{
    struct world *w = ctx;
    CHECK(sock >= 0 && sock < SOCKETS_MAX && w->sockets[sock].is_open);
    w->sockets[sock].is_open = false;
    w->open_sockets--;
}

static void world_forget(void *ctx, struct ticket ticket)
{
    struct world *w = ctx;
    w->forgotten += ticket.parked.generation != 0;
}

static void world_ask(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct world *w = ctx;
    w->asked[question->hook]++;
    if (question->ticket.parked.generation)
        w->ticket = question->ticket;
    CHECK(w->on[question->hook] != NULL);
    w->on[question->hook](w, question, verdict);
}

static void world_hold(void *ctx, const struct flow *flow, bool holds)
{
    struct world *w = ctx;
    CHECK(flow->client.family != ADDR_NONE);
    w->held += holds ? 1 : -1;
}

static void world_tell(void *ctx, const struct event *event)
{
    struct world *w = ctx;
    struct told *told = &w->told[event->type];
    CHECK(event->reason && event->by && event->tenant && event->user && event->realm && event->flow);
    CHECK(event->decision != 0 && (int64_t)event->decision > 0);
    told->count++;
    told->code = event->code;
    told->decision = event->decision;
    view_copy(view_text(event->reason), told->reason, sizeof told->reason);
    view_copy(view_text(event->by), told->by, sizeof told->by);
    view_copy(view_text(event->tenant), told->tenant, sizeof told->tenant);
    view_copy(view_text(event->user), told->user, sizeof told->user);
    view_copy(view_text(event->realm), told->realm, sizeof told->realm);
    told->delta = event->delta;
    told->peer = event->peer ? *event->peer : (struct addr){0};
}

void world_says(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)question;
    *verdict = w->verdict;
}

void world_later(struct world *w, const struct question *question, struct verdict *verdict)
{
    (void)w;
    (void)question;
    verdict->kind = VERDICT_LATER;
}

struct verdict verdict_key(struct world *w, const char *user, const char *password)
{
    struct verdict verdict = {.kind = VERDICT_KEY, .key_count = 1};
    view_copy(view_text(user), verdict.user, sizeof verdict.user);
    verdict.keys[0].len = INTEGRITY_KEY_LEN;
    CHECK_INT(integrity_key(w->crypto, view_text(user), view_text(REALM), view_text(password), verdict.keys[0].bytes), 0);
    return verdict;
}

struct verdict verdict_deny(int code, const char *reason)
{
    struct verdict verdict = {.kind = VERDICT_DENY, .code = code, .by = "test.lua:7"};
    view_copy(view_text(reason), verdict.reason, sizeof verdict.reason);
    return verdict;
}

void world_key(struct world *w, const struct question *question, struct verdict *verdict)
{
    static const char *const users[] = {"ann", "bob", "cleo"};
    char password[64];
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        if (!view_equal(question->request->username, view_text(users[i])))
            continue;
        snprintf(password, sizeof password, "secret of %s", users[i]);
        *verdict = verdict_key(w, users[i], password);
        return;
    }
}

void world_answer(struct world *w, enum hook hook, world_hook_fn *fn)
{
    w->on[hook] = fn;
    w->host.hooks = fn ? w->host.hooks | HOOK_BIT(hook) : w->host.hooks & ~HOOK_BIT(hook);
    if (w->engine)
        engine_hooks(w->engine, w->host.hooks);
    if (w->second)
        engine_hooks(w->second, w->host.hooks);
}

/* ---- the world ---- */

static void world_configure(struct world *w)
{
    w->relays[0] = (struct relay_address){addr_of(RELAY_V4), addr_of(SHOWN_V4), NULL};
    w->relays[1] = (struct relay_address){addr_of(RELAY_V6), addr_of(RELAY_V6), NULL};
    w->listeners[0] = addr_of("0.0.0.0:3478");
    w->listeners[1] = addr_of("[::]:3478");
    w->config = (struct engine_config){
        .realm = REALM,
        .software = "",
        .relaying = true,
        .nonce_lifetime_s = 600,
        .max_lifetime_s = 3600,
        .permission_lifetime_s = 300,
        .channel_lifetime_s = 600,
        .max_permissions = 100,
        .max_channels = 100,
        .max_tcp_peers_each = 10,
        .max_tcp_peers = 100,
        .max_allocations = 4000,
        .max_parked = 16,
        .park_deadline_ms = 3000,
        .nonce_key = "the key of all nonces, 32 bytes",
        .mobility_key = "the key of all tickets, 32 byte",
        .hash_key = {0x1234567890abcdef, 0xfedcba0987654321},
        .relays = w->relays,
        .relay_count = 2,
        .listeners = w->listeners,
        .listener_count = 2,
        .allowed_peers = &w->allowed,
        .denied_peers = &w->denied,
    };
}

void world_start(struct world *w, void (*change)(struct engine_config *, struct world *))
{
    memset(w, 0, sizeof *w);
    w->now = START_MS;
    cidr_init(&w->allowed);
    cidr_init(&w->denied);
    world_configure(w);
    w->crypto = crypto_new();
    w->host = (struct host){.ctx = w,
                            .relay_open = world_open,
                            .relay_close = world_close,
                            .tcp = &world_tcp,
                            .hold = world_hold,
                            .ask = world_ask,
                            .forget = world_forget,
                            .tell = world_tell};
    world_answer(w, HOOK_authenticate, world_key);
    if (change)
        change(&w->config, w);
    cidr_seal(&w->allowed);
    cidr_seal(&w->denied);
    w->shared.quota = quota_new(1024);
    w->shared.tenants = tenants_new(16);
    w->shared.ports = ports_new(w->config.relay_count, FIRST_PORT, LAST_PORT);
    w->shared.tcp_ports = ports_new(w->config.relay_count, FIRST_PORT, LAST_PORT);
    w->shared.tickets = tickets_new(64, w->shared.ports);
    w->shared.connections = connections_new(64);
    w->engine = engine_new(&w->config, &w->shared, &w->host, FIRST_WORKER);
    CHECK(w->crypto && w->shared.quota && w->shared.tenants && w->shared.ports && w->shared.tcp_ports && w->shared.tickets && w->shared.connections &&
          w->engine);
    engine_clock(w->engine, w->now, START_UNIX_MS);
}

void world_second(struct world *w)
{
    w->second = engine_new(&w->config, &w->shared, &w->host, FIRST_WORKER + 1);
    CHECK(w->second);
    engine_clock(w->second, w->now, START_UNIX_MS + w->now - START_MS);
}

uint32_t world_free_ports(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->config.relay_count; i++)
        count += ports_free_count(w->shared.ports, i);
    return count;
}

static int world_sockets(const struct engine *engine)
{
    int sockets = 0;
    const struct allocation *a;
    for (uint32_t at = 0; engine && (a = engine_allocation_at(engine, at)); at = a->self.index + 1)
        sockets += 1 + (a->rare && a->rare->other.sock >= 0);
    return sockets;
}

/* world_flows: how many 5-tuples lead to an allocation. */
static int world_flows(const struct engine *engine)
{
    int flows = 0;
    const struct allocation *a;
    for (uint32_t at = 0; engine && (a = engine_allocation_at(engine, at)); at = a->self.index + 1)
        flows += !a->is_adrift + (a->next != NULL);
    if (engine)
        CHECK_INT(engine->by_flow.count, flows);
    return flows;
}

void world_check_books(struct world *w)
{
    CHECK_INT(quota_total(w->shared.quota), engine_allocations(w->engine) + (w->second ? engine_allocations(w->second) : 0));
    uint32_t held = 0;
    for (uint32_t i = 0; i < tenants_used(w->shared.tenants); i++)
        held += tenants_at(w->shared.tenants, i)->held;
    CHECK_INT(held, quota_total(w->shared.quota));
    CHECK_INT(w->open_sockets, world_sockets(w->engine) + world_sockets(w->second));
    CHECK_INT(w->held, world_flows(w->engine) + world_flows(w->second));
}

void world_end(struct world *w)
{
    world_check_books(w);
    engine_free(w->engine);
    engine_free(w->second);
    CHECK_INT(quota_total(w->shared.quota), 0);
    CHECK_INT(w->open_sockets, 0);
    CHECK_INT(w->open_conns, 0);
    CHECK_INT(connections_count(w->shared.connections), 0);
    tickets_sweep(w->shared.tickets, w->now + TICKET_LIFETIME_MS + 1);
    CHECK_INT(world_free_ports(w), w->config.relay_count * (LAST_PORT - FIRST_PORT + 1));
    for (uint32_t i = 0; i < w->config.relay_count; i++)
        CHECK_INT(ports_free_count(w->shared.tcp_ports, i), LAST_PORT - FIRST_PORT + 1);
    connections_free(w->shared.connections);
    ports_free(w->shared.tcp_ports);
    tickets_free(w->shared.tickets);
    ports_free(w->shared.ports);
    quota_free(w->shared.quota);
    tenants_free(w->shared.tenants);
    crypto_free(w->crypto);
    cidr_close(&w->allowed);
    cidr_close(&w->denied);
}

void world_skip(struct world *w, msec_t ms)
{
    w->now += ms;
}

static void world_step(struct world *w, msec_t ms)
{
    w->now += ms;
    engine_sweep(w->engine, w->now);
    if (w->second)
        engine_sweep(w->second, w->now);
}

void world_pass(struct world *w, msec_t ms)
{
    for (; ms > 1000; ms -= 1000)
        world_step(w, 1000);
    world_step(w, ms);
}
