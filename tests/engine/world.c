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

static int world_open(void *ctx, const struct addr *local, struct handle owner, int *sock)
{
    struct world *w = ctx;
    if (w->no_descriptors)
        return ERR_SYSTEM;
    if (local->port >= w->foreign_first && local->port <= w->foreign_last)
        return ERR_BUSY;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        CHECK(!w->sockets[i].is_open || !addr_equal(&w->sockets[i].local, local));
        if (w->sockets[i].is_open)
            continue;
        w->sockets[i] = (struct world_socket){true, *local, owner};
        *sock = i;
        if (++w->open_sockets > w->most_sockets)
            w->most_sockets = w->open_sockets;
        return 0;
    }
    return ERR_SYSTEM;
}

static void world_close(void *ctx, int sock)
{
    struct world *w = ctx;
    CHECK(sock >= 0 && sock < SOCKETS_MAX && w->sockets[sock].is_open);
    w->sockets[sock].is_open = false;
    w->open_sockets--;
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
}

/* ---- the world ---- */

static void world_configure(struct world *w)
{
    w->relays[0] = (struct relay_address){addr_of(RELAY_V4), addr_of(SHOWN_V4)};
    w->relays[1] = (struct relay_address){addr_of(RELAY_V6), addr_of(RELAY_V6)};
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
        .max_allocations = 4000,
        .max_parked = 16,
        .park_deadline_ms = 3000,
        .nonce_key = "the key of all nonces, 32 bytes",
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
    w->host = (struct host){.ctx = w, .relay_open = world_open, .relay_close = world_close, .ask = world_ask, .tell = world_tell};
    world_answer(w, HOOK_authenticate, world_key);
    if (change)
        change(&w->config, w);
    cidr_seal(&w->allowed);
    cidr_seal(&w->denied);
    w->shared.quota = quota_new(1024);
    w->shared.ports = ports_new(w->config.relay_count, FIRST_PORT, LAST_PORT);
    w->shared.tickets = tickets_new(64, w->shared.ports);
    w->engine = engine_new(&w->config, &w->shared, &w->host, 3);
    CHECK(w->crypto && w->shared.quota && w->shared.ports && w->shared.tickets && w->engine);
    engine_clock(w->engine, w->now, START_UNIX_MS);
}

uint32_t world_free_ports(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->config.relay_count; i++)
        count += ports_free_count(w->shared.ports, i);
    return count;
}

void world_check_books(struct world *w)
{
    CHECK_INT(quota_total(w->shared.quota), engine_allocations(w->engine));
    int sockets = 0;
    const struct allocation *a;
    for (uint32_t at = 0; (a = engine_allocation_at(w->engine, at)); at = a->self.index + 1)
        sockets += 1 + (a->other.sock >= 0);
    CHECK_INT(w->open_sockets, sockets);
}

void world_end(struct world *w)
{
    world_check_books(w);
    engine_free(w->engine);
    CHECK_INT(quota_total(w->shared.quota), 0);
    CHECK_INT(w->open_sockets, 0);
    tickets_sweep(w->shared.tickets, w->now + TICKET_LIFETIME_MS + 1);
    CHECK_INT(world_free_ports(w), w->config.relay_count * (LAST_PORT - FIRST_PORT + 1));
    tickets_free(w->shared.tickets);
    ports_free(w->shared.ports);
    quota_free(w->shared.quota);
    crypto_free(w->crypto);
    cidr_close(&w->allowed);
    cidr_close(&w->denied);
}

void world_skip(struct world *w, msec_t ms)
{
    w->now += ms;
}

void world_pass(struct world *w, msec_t ms)
{
    for (; ms > 1000; ms -= 1000) {
        w->now += 1000;
        engine_sweep(w->engine, w->now);
    }
    w->now += ms;
    engine_sweep(w->engine, w->now);
}

/* ---- a client ---- */

struct client client_over(struct world *w, enum transport transport, const char *address, const char *server, const char *user)
{
    struct client c = {.world = w};
    c.flow = (struct flow){
        .client = addr_of(address), .server = addr_of(server), .transport = (uint8_t)transport, .link = 7, .sni = "", .alpn = ""};
    snprintf(c.username, sizeof c.username, "%s", user);
    snprintf(c.password, sizeof c.password, "secret of %s", user);
    return c;
}

struct client client_at(struct world *w, const char *address, const char *user)
{
    return client_over(w, TRANSPORT_UDP, address, SERVER_V4, user);
}

void client_begin(struct client *c, uint16_t method)
{
    crypto_random(c->tid, sizeof c->tid);
    build_begin(&c->build, slab_over(c->request, sizeof c->request), method, STUN_REQUEST, c->tid);
}

static struct long_term_key client_key(const struct client *c)
{
    struct long_term_key key = {.len = INTEGRITY_KEY_LEN};
    CHECK_INT(integrity_key(c->world->crypto, view_text(c->username), view_text(c->realm), view_text(c->password), key.bytes), 0);
    return key;
}

static void client_sign(struct client *c)
{
    const struct long_term_key key = client_key(c);
    build_attr_text(&c->build, ATTR_USERNAME, c->username);
    build_attr_text(&c->build, ATTR_REALM, c->realm);
    build_attr_text(&c->build, ATTR_NONCE, c->nonce);
    CHECK_INT(build_integrity(&c->build, c->world->crypto, view_of(key.bytes, key.len)), 0);
}

/* Padding is zero wherever it is: CVE-2020-4067. */
static void client_check_padding(const struct client *c)
{
    for (size_t at = STUN_HEADER_LEN; at + 4 <= c->answer_len;) {
        const size_t len = get_u16(c->answer + at + 2), whole = (len + 3) & ~(size_t)3;
        for (size_t i = len; i < whole; i++)
            CHECK_INT(c->answer[at + 4 + i], 0);
        at += 4 + whole;
    }
}

static void client_learn(struct client *c, int code)
{
    if (code == STUN_UNAUTHENTICATED || code == STUN_STALE_NONCE) {
        view_copy(message_attr(&c->reply, SLOT_REALM), c->realm, sizeof c->realm);
        view_copy(message_attr(&c->reply, SLOT_NONCE), c->nonce, sizeof c->nonce);
    }
    attr_u32(&c->reply, SLOT_LIFETIME, &c->lifetime_s);
    attr_xor_addr(&c->reply, SLOT_XOR_MAPPED_ADDRESS, &c->mapped);
    attr_xor_addr(&c->reply, SLOT_XOR_RELAYED_ADDRESS, &c->relayed);
    c->token = 0;
    attr_u64(&c->reply, SLOT_RESERVATION_TOKEN, &c->token);
}

int client_take(struct client *c, struct send send)
{
    struct view reason;
    int code = 0;
    c->answer_len = 0;
    if (send.to == SEND_NOTHING)
        return NO_ANSWER;
    CHECK_INT(send.to, SEND_TO_CLIENT);
    CHECK(memcmp(send.flow, &c->flow, FLOW_KEY_LEN) == 0 && send.flow->link == c->flow.link);
    CHECK(send.bytes.len <= sizeof c->answer);
    memcpy(c->answer, send.bytes.at, send.bytes.len);
    c->answer_len = send.bytes.len;
    CHECK_INT(message_open(&c->reply, view_of(c->answer, c->answer_len)), 0);
    CHECK_BYTES(c->reply.tid, c->tid, STUN_TID_LEN);
    CHECK(c->reply.class == STUN_SUCCESS || c->reply.class == STUN_ERROR);
    client_check_padding(c);
    if (c->reply.class == STUN_ERROR)
        CHECK_INT(attr_error(&c->reply, &code, &reason), 0);
    c->was_signed = message_has(&c->reply, SLOT_MESSAGE_INTEGRITY);
    if (c->was_signed) {
        const struct long_term_key key = client_key(c);
        CHECK_INT(integrity_check(c->world->crypto, &c->reply, view_of(key.bytes, key.len)), 0);
    }
    client_learn(c, code);
    return code;
}

int client_send_bytes(struct client *c, const void *bytes, size_t len)
{
    uint8_t *guarded = test_guarded(bytes, len);
    const int code = client_take(c, engine_from_client(c->world->engine, &c->flow, view_of(guarded, len), c->world->now));
    test_unguard(guarded, len);
    return code;
}

int client_resend(struct client *c)
{
    return client_send_bytes(c, c->request, c->request_len);
}

int client_send(struct client *c)
{
    if (c->nonce[0])
        client_sign(c);
    if (c->fingerprint)
        build_fingerprint(&c->build);
    const struct view whole = build_end(&c->build);
    CHECK(whole.len > 0);
    c->request_len = whole.len;
    const int code = client_resend(c);
    if (c->answer_len)
        CHECK_INT(c->reply.method, stun_type_method(get_u16(c->request)));
    return code;
}

/* client_again: the attributes of the last request, without its credentials, in a new transaction. */
static void client_again(struct client *c)
{
    uint8_t attrs[sizeof c->request];
    size_t len = STUN_HEADER_LEN;
    while (len < c->request_len && get_u16(c->request + len) != ATTR_USERNAME && get_u16(c->request + len) != ATTR_FINGERPRINT)
        len += 4 + ((get_u16(c->request + len + 2) + 3u) & ~3u);
    memcpy(attrs, c->request, len);
    client_begin(c, stun_type_method(get_u16(attrs)));
    for (size_t at = STUN_HEADER_LEN; at < len; at += 4 + ((get_u16(attrs + at + 2) + 3u) & ~3u)) {
        struct view value = view_of(attrs + at + 4, get_u16(attrs + at + 2));
        struct message old = {.bytes = view_of(attrs, len)};
        struct addr peer;
        if (get_u16(attrs + at) == ATTR_XOR_PEER_ADDRESS && attr_xor_addr_value(&old, value, &peer) == 0)
            build_xor_addr(&c->build, ATTR_XOR_PEER_ADDRESS, &peer);
        else
            build_attr(&c->build, get_u16(attrs + at), value);
    }
}

int client_call(struct client *c)
{
    const int code = client_send(c);
    if (code != STUN_STALE_NONCE && !(code == STUN_UNAUTHENTICATED && !memmem(c->request, c->request_len, c->nonce, strlen(c->nonce))))
        return code;
    client_again(c);
    return client_send(c);
}

void client_byte(struct client *c, uint16_t type, uint8_t first)
{
    const uint8_t value[4] = {first};
    build_attr(&c->build, type, view_of(value, sizeof value));
}

void client_wish_udp(struct client *c)
{
    client_byte(c, ATTR_REQUESTED_TRANSPORT, 17);
}

void client_peer(struct client *c, const char *text)
{
    const struct addr peer = addr_of(text);
    build_xor_addr(&c->build, ATTR_XOR_PEER_ADDRESS, &peer);
}

int client_challenge(struct client *c)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    return client_send(c);
}

int client_allocate(struct client *c)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    return client_call(c);
}

int client_allocate_even(struct client *c, bool reserve)
{
    const uint8_t bits = reserve ? 0x80 : 0;
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    build_attr(&c->build, ATTR_EVEN_PORT, view_of(&bits, 1));
    return client_call(c);
}

int client_allocate_token(struct client *c, uint64_t token)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    build_attr_u64(&c->build, ATTR_RESERVATION_TOKEN, token);
    return client_call(c);
}

int client_refresh(struct client *c, uint32_t lifetime_s)
{
    client_begin(c, METHOD_REFRESH);
    build_attr_u32(&c->build, ATTR_LIFETIME, lifetime_s);
    return client_call(c);
}

int client_permit(struct client *c, const char *peer)
{
    client_begin(c, METHOD_CREATE_PERMISSION);
    client_peer(c, peer);
    return client_call(c);
}

int client_bind(struct client *c, uint16_t number, const char *peer)
{
    client_begin(c, METHOD_CHANNEL_BIND);
    client_byte(c, ATTR_CHANNEL_NUMBER, 0);
    put_u16(c->build.out.at + c->build.out.len - 4, number);
    client_peer(c, peer);
    return client_call(c);
}

/* ---- data ---- */

struct send client_says_to(struct client *c, const char *peer, size_t len)
{
    static uint8_t buffer[70000], payload[65536];
    const struct addr to = addr_of(peer);
    uint8_t tid[STUN_TID_LEN] = "indication.";
    memset(payload, 'x', len);
    struct build build;
    build_begin(&build, slab_over(buffer, sizeof buffer), METHOD_SEND, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, &to);
    build_attr(&build, ATTR_DATA, view_of(payload, len));
    return engine_from_client(c->world->engine, &c->flow, build_end(&build), c->world->now);
}

struct send client_says_on(struct client *c, uint16_t channel, size_t len)
{
    static uint8_t buffer[70000];
    put_u16(buffer, channel);
    put_u16(buffer + 2, (uint16_t)len);
    memset(buffer + 4, 'x', len);
    return engine_from_client(c->world->engine, &c->flow, view_of(buffer, 4 + len), c->world->now);
}

struct send peer_says(struct client *c, const char *peer, size_t len)
{
    static uint8_t buffer[70000];
    const struct addr from = addr_of(peer);
    struct world *w = c->world;
    const struct allocation *a = allocation_find(w->engine, &c->flow);
    const struct handle owner = a ? a->self : (struct handle){0};
    memset(buffer, '!', sizeof buffer);
    memset(buffer + ENGINE_HEADROOM, 'x', len);
    return engine_from_peer(w->engine, owner, &from, (struct packet){buffer + ENGINE_HEADROOM, len}, w->now);
}
