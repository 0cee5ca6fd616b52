/* world_client.c: clients and peers of an engine in a test. */
#include "turn/state.h"
#include "world.h"


struct client client_over(struct world *w, enum transport transport, const char *address, const char *server, const char *user)
{
    struct client c = {.world = w, .engine = w->engine};
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
    if (message_has(&c->reply, SLOT_MOBILITY_TICKET))
        view_copy(message_attr(&c->reply, SLOT_MOBILITY_TICKET), c->ticket, sizeof c->ticket);
    c->token = 0;
    attr_u64(&c->reply, SLOT_RESERVATION_TOKEN, &c->token);
    attr_u32(&c->reply, SLOT_CONNECTION_ID, &c->connection_id);
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

/* What workers do with SEND_TO_WORKER: a datagram is passed on, a connection is handed over. */
static struct send client_crosses(struct client *c, struct send send, struct view in)
{
    struct world *w = c->world;
    struct engine *from = c->engine, *to = from == w->engine ? w->second : w->engine;
    CHECK(to && to->worker == send.worker);
    CHECK(view_equal(send.bytes, in) && memcmp(send.flow, &c->flow, FLOW_KEY_LEN) == 0);
    if (flow_is_stream(&c->flow)) {
        engine_flow_closed(from, &c->flow, w->now);
        c->engine = to;
        c->flow.link++;
    }
    return engine_from_client(to, &c->flow, packet_of(in), w->now);
}

int client_send_bytes(struct client *c, const void *bytes, size_t len)
{
    uint8_t *guarded = test_guarded(bytes, len);
    struct send send = engine_from_client(c->engine, &c->flow, packet_of(view_of(guarded, len)), c->world->now);
    if (send.to == SEND_TO_WORKER)
        send = client_crosses(c, send, view_of(guarded, len));
    const int code = client_take(c, send);
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

struct packet packet_of(struct view bytes)
{
    return (struct packet){(uint8_t *)(uintptr_t)bytes.at, bytes.len, 0};
}

struct send client_says_to(struct client *c, const char *peer, size_t len)
{
    static uint8_t buffer[70000], payload[65536];
    const struct addr to = addr_of(peer);
    uint8_t tid[STUN_TID_LEN] = "indication.";
    memset(payload, 'x', len);
    struct build build;
    build_begin(&build, slab_over(buffer + ENGINE_HEADROOM, sizeof buffer - ENGINE_HEADROOM - ENGINE_TAILROOM), METHOD_SEND, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, &to);
    build_attr(&build, ATTR_DATA, view_of(payload, len));
    return engine_from_client(c->engine, &c->flow, packet_of(build_end(&build)), c->world->now);
}

struct send client_says_on(struct client *c, uint16_t channel, size_t len)
{
    static uint8_t buffer[70000];
    uint8_t *at = buffer + ENGINE_HEADROOM;
    put_u16(at, channel);
    put_u16(at + 2, (uint16_t)len);
    memset(at + 4, 'x', len);
    return engine_from_client(c->engine, &c->flow, packet_of(view_of(at, 4 + len)), c->world->now);
}

struct send peer_says(struct client *c, const char *peer, size_t len)
{
    static uint8_t buffer[70000];
    const struct addr from = addr_of(peer);
    struct world *w = c->world;
    const struct allocation *a = allocation_find(c->engine, &c->flow);
    const struct handle owner = a ? a->self : (struct handle){0};
    memset(buffer, '!', sizeof buffer);
    memset(buffer + ENGINE_HEADROOM, 'x', len);
    return engine_from_peer(c->engine, owner, &from, (struct packet){.at = buffer + ENGINE_HEADROOM, .len = len}, w->now);
}

/* ---- from client to client ---- */

/* arrive: the payload comes to an allocation as from a socket, or as from another worker. */
static struct send arrive(const struct client *to, struct handle owner, const struct send *sent, const struct addr *from)
{
    static uint8_t buffer[ENGINE_HEADROOM + 65536 + ENGINE_TAILROOM];
    uint8_t *at = buffer + ENGINE_HEADROOM;
    memmove(at, sent->bytes.at, sent->bytes.len);
    return engine_from_peer(to->engine, owner, from, (struct packet){at, sent->bytes.len, sent->mark}, to->world->now);
}

struct send client_takes_over(const struct client *to, const struct send *sent)
{
    CHECK_INT(sent->to, SEND_TO_HOLDER);
    CHECK_INT(sent->holder.worker, to->engine->worker);
    return arrive(to, sent->holder.allocation, sent, &sent->peer);
}

#define COUNTS (sizeof(struct engine_counts) / sizeof(uint64_t))

/* struct outcome: what a client got, and what was counted on the way. */
struct outcome {
    struct send send;
    uint8_t bytes[2048];
    struct engine_counts counts[2];
};

static struct outcome outcome_of(const struct client *to, const struct send *send, const struct engine_counts before[2])
{
    const struct world *w = to->world;
    struct outcome outcome = {.send = *send, .counts = {*engine_counts(w->engine)}};
    if (w->second)
        outcome.counts[1] = *engine_counts(w->second);
    for (size_t i = 0; i < 2 * COUNTS; i++)
        ((uint64_t *)outcome.counts)[i] -= ((const uint64_t *)before)[i];
    for (size_t i = 0; i < 2; i++)
        memset(outcome.counts[i].handed_over, 0, sizeof outcome.counts[i].handed_over);
    CHECK(send->bytes.len <= sizeof outcome.bytes);
    if (send->bytes.len)
        memcpy(outcome.bytes, send->bytes.at, send->bytes.len);
    return outcome;
}

static void counts_now(const struct world *w, struct engine_counts counts[2])
{
    memset(counts, 0, 2 * sizeof *counts);
    counts[0] = *engine_counts(w->engine);
    if (w->second)
        counts[1] = *engine_counts(w->second);
}

/* by_sockets: what a client gets of what another one's engine wants sent, from socket to socket. */
static struct send by_sockets(const struct client *from, const struct client *to, const struct send *sent)
{
    const struct allocation *a = allocation_find(from->engine, &from->flow), *b = allocation_find(to->engine, &to->flow);
    if (sent->to == SEND_NOTHING)
        return *sent;
    CHECK_INT(sent->to, SEND_TO_PEER);
    CHECK(relayed_is_own(b, &sent->peer));
    const struct addr *source = sent->peer.family == a->relayed.family ? &a->relayed : &a->rare->other.local;
    CHECK_INT(sent->sock, sent->peer.family == a->relayed.family ? a->sock : a->rare->other.sock);
    return arrive(to, b->self, sent, source);
}

static struct send say(struct client *c, const struct said *said)
{
    return said->peer ? client_says_to(c, said->peer, said->len) : client_says_on(c, said->channel, said->len);
}

struct send client_reaches(struct client *from, const struct client *to, struct said said)
{
    static struct outcome outside, inside;
    struct world *w = from->world;
    struct engine_counts before[2];
    const uint64_t indications = to->engine->indications;
    w->config.no_local_handover = true;
    counts_now(w, before);
    const struct send sent = say(from, &said), got = by_sockets(from, to, &sent);
    outside = outcome_of(to, &got, before);
    w->config.no_local_handover = false;
    to->engine->indications = indications; /* the same transaction id */
    counts_now(w, before);
    struct send send = say(from, &said);
    if (send.to == SEND_TO_HOLDER)
        send = client_takes_over(to, &send);
    inside = outcome_of(to, &send, before);
    CHECK_INT(inside.send.to, outside.send.to);
    CHECK_INT(inside.send.mark, outside.send.mark);
    CHECK(inside.send.flow == outside.send.flow && inside.send.bytes.len == outside.send.bytes.len);
    CHECK(memcmp(inside.bytes, outside.bytes, send.bytes.len) == 0);
    CHECK(memcmp(inside.counts, outside.counts, sizeof inside.counts) == 0);
    return send;
}
