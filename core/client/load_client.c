/* load_client.c: a client's requests: sent again as RFC 8489 section 6.2.1 has it, signed once the server has said how. */
#include "client/load_state.h"

#include "base/err.h"
#include "wire/attr.h"
#include "wire/channel.h"
#include "wire/frame.h"

#include <string.h>

#define RTO_MS 500
#define SENDINGS 7       /* Rc */
#define LAST_MS 8000     /* Rm times the RTO */
#define ALL_MS 39500     /* Ti: all of that, over a stream */
#define CONNECT_MS 10000
#define CHALLENGES_MAX 3 /* of one request */
#define LOOK_MS 20
#define PORTS_MAX 8 /* that are tried for one Allocate */
#define REQUEST_MAX 1536
#define UDP_TRANSPORT (UINT32_C(17) << 24)

void client_leave(struct load *load, struct client *client)
{
    line_close(load, client);
    client->nonce_len = 0;
}

/* ---- asking ---- */

static const struct addr *peer_of(const struct load *load, const struct client *client)
{
    if (load->config->kind == LOAD_RELAY && load->config->direction == LOAD_PAIR)
        return &load->clients[load_index(load, client) ^ 1].relayed;
    return &load->peer_at;
}

static void put_attributes(const struct load *load, const struct client *client, struct build *build)
{
    switch (client->method) {
        case METHOD_ALLOCATE:
            build_attr_u32(build, ATTR_REQUESTED_TRANSPORT, UDP_TRANSPORT);
            break;
        case METHOD_REFRESH:
            if (load_gives_back(load))
                build_attr_u32(build, ATTR_LIFETIME, 0);
            break;
        case METHOD_CHANNEL_BIND:
            build_attr_u32(build, ATTR_CHANNEL_NUMBER, (uint32_t)LOAD_CHANNEL << 16);
            build_xor_addr(build, ATTR_XOR_PEER_ADDRESS, peer_of(load, client));
            break;
        case METHOD_CREATE_PERMISSION:
            build_xor_addr(build, ATTR_XOR_PEER_ADDRESS, peer_of(load, client));
            break;
        default:
            break;
    }
}

/* put_request: the same bytes each time that it is sent again. */
static void put_request(struct load *load, struct client *client)
{
    struct build build;
    build_begin(&build, slab_over(io_room(load, client, NULL), REQUEST_MAX), client->method, STUN_REQUEST, client->tid);
    put_attributes(load, client, &build);
    if (client->nonce_len) {
        build_attr_text(&build, ATTR_USERNAME, load->config->user);
        build_attr(&build, ATTR_REALM, view_of(load->realm, load->realm_len));
        build_attr(&build, ATTR_NONCE, view_of(client->nonce, client->nonce_len));
        build_integrity(&build, load->config->crypto, view_of(load->key, sizeof load->key));
    }
    io_put(load, build_end(&build));
    io_flush(load);
    client->tries++;
}

/* begin: a request that is new. Over a stream it is sent once, and waited for as long. */
static void begin(struct load *load, struct client *client)
{
    const bool is_stream = client->dial && dial_is_stream(client->dial);
    memcpy(client->tid, load->tid_seed, sizeof load->tid_seed);
    put_u32(client->tid + sizeof load->tid_seed, ++load->tid_count);
    client->tries = is_stream ? SENDINGS - 1 : 0;
    client->again_ms = clock_monotonic_ms() + (is_stream ? ALL_MS : RTO_MS);
    put_request(load, client);
}

/* start: begin, once there is a connection. */
static void start(struct load *load, struct client *client)
{
    if (client->fd < 0) {
        client->again_ms = clock_monotonic_ms() + CONNECT_MS;
        if (line_open(load, client) != 0)
            return;
    }
    if (!client->is_connecting)
        begin(load, client);
}

void client_connected(struct load *load, struct client *client)
{
    if (client->is_asking)
        begin(load, client);
}

void client_ask(struct load *load, struct client *client, uint16_t method)
{
    client->method = method;
    client->challenges = client->ports = 0;
    client->is_asking = true;
    client->asking_at = load->asking_count;
    load->asking[load->asking_count++] = load_index(load, client);
    client->asked_ns = load_now();
    start(load, client);
}

static void stop_asking(struct load *load, struct client *client)
{
    const uint32_t last = load->asking[--load->asking_count];
    load->asking[client->asking_at] = last;
    load->clients[last].asking_at = client->asking_at;
    client->is_asking = false;
}

void client_lost(struct load *load, struct client *client)
{
    if (!client->is_asking)
        return;
    stop_asking(load, client);
    load->answered(load, client, LOAD_SILENCE, NULL);
}

/* ask_again: with another wait behind it, twice as long each time. */
static void ask_again(struct load *load, struct client *client, msec_t now)
{
    if (client->tries == SENDINGS) {
        stop_asking(load, client);
        load->answered(load, client, LOAD_SILENCE, NULL);
        return;
    }
    load->report->retransmissions++;
    put_request(load, client);
    client->again_ms = now + (client->tries == SENDINGS ? LAST_MS : RTO_MS << (client->tries - 1));
}

static void go_on(struct load *load, struct client *client, msec_t now)
{
    char text[ADDR_TEXT_MAX];
    if (now < client->again_ms)
        line_go_on(load, client);
    else
        load_fail(load, "client %u: %s does not answer the connection", load_index(load, client) + 1, addr_format(&load->server, text));
}

void client_ask_again(struct load *load, msec_t now)
{
    if (now < load->looked_ms + LOOK_MS)
        return;
    load->looked_ms = now;
    for (uint32_t i = load->asking_count; i-- > 0;) {
        struct client *client = &load->clients[load->asking[i < load->asking_count ? i : load->asking_count - 1]];
        if (client->is_connecting)
            go_on(load, client, now);
        else if (now >= client->again_ms)
            ask_again(load, client, now);
        if (!load->asking_count)
            break;
    }
}

/* ---- answers ---- */

/* learn: realm and nonce of the challenge. The key is made once for all clients. */
static bool learn(struct load *load, struct client *client, const struct message *message)
{
    const struct view realm = message_attr(message, SLOT_REALM), nonce = message_attr(message, SLOT_NONCE);
    if (!load->config->user || !nonce.len || nonce.len > sizeof client->nonce || realm.len > sizeof load->realm)
        return false;
    memcpy(client->nonce, nonce.at, client->nonce_len = (uint16_t)nonce.len);
    if (!realm.at || view_equal(realm, view_of(load->realm, load->realm_len)))
        return true;
    memcpy(load->realm, realm.at, load->realm_len = realm.len);
    return integrity_key(load->config->crypto, view_text(load->config->user), realm, view_text(load->config->password), load->key) == 0;
}

/* is_challenge: what is refused now is granted when it is signed with the nonce that came with the refusal. */
static bool is_challenge(struct load *load, struct client *client, int code, const struct message *message)
{
    const bool may_be = code == STUN_STALE_NONCE || (code == STUN_UNAUTHENTICATED && !client->nonce_len);
    return may_be && client->challenges++ < CHALLENGES_MAX && learn(load, client, message);
}

/* is_taken: the server still keeps what another client had at the address and port that this one got: a server may for a while after it was given back. */
static bool is_taken(struct load *load, struct client *client, int code)
{
    if (code != STUN_MISMATCH || client->method != METHOD_ALLOCATE || ++client->ports == PORTS_MAX)
        return false;
    client_leave(load, client);
    return true;
}

void client_answer(struct load *load, struct client *client, const struct message *message)
{
    struct view reason;
    int code = 0;
    if (!client->is_asking || memcmp(message->tid, client->tid, STUN_TID_LEN) != 0)
        return;
    if (message->class == STUN_ERROR && attr_error(message, &code, &reason) != 0)
        code = STUN_BAD_REQUEST;
    if (is_challenge(load, client, code, message)) {
        load->report->challenges++;
        begin(load, client);
        return;
    }
    if (is_taken(load, client, code)) {
        load->report->ports_taken++;
        start(load, client);
        return;
    }
    if (code == 0 && client->method == METHOD_ALLOCATE)
        client->is_allocated = attr_xor_addr(message, SLOT_XOR_RELAYED_ADDRESS, &client->relayed) == 0;
    if (client->method == METHOD_REFRESH && load_gives_back(load))
        client->is_allocated = false;
    stop_asking(load, client);
    load->answered(load, client, code, message);
}

void client_frame(struct load *load, struct client *client, struct view frame)
{
    struct message message;
    struct view data;
    uint16_t number;
    if (frame_kind_of(frame) == FRAME_CHANNEL) {
        if (channel_open(frame, &number, &data) == 0 && number == LOAD_CHANNEL)
            traffic_frame(load, client, &data);
        return;
    }
    if (message_open(&message, frame) != 0 || message.class == STUN_REQUEST)
        return;
    if (message.method == METHOD_DATA) {
        data = message_attr(&message, SLOT_DATA);
        traffic_frame(load, client, &data);
    } else if (message.method == METHOD_BINDING && message.class == STUN_SUCCESS && !client->is_asking) {
        traffic_binding(load, client, message.tid);
    } else if (message.class != STUN_INDICATION) {
        client_answer(load, client, &message);
    }
}
