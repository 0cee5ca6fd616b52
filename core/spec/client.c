/* client.c: requests on the wire and what came back. */
#include "spec/client.h"

#include "wire/attr.h"
#include "wire/build.h"
#include "wire/integrity.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAMILY_UNKNOWN 0x7f
#define PEER_PORT 9 /* of a peer that is named without one */

static const struct kind {
    const char *name;
    uint16_t method;
} kinds[] = {
    {"allocate", METHOD_ALLOCATE},    {"refresh", METHOD_REFRESH}, {"close", METHOD_REFRESH}, {"permission", METHOD_CREATE_PERMISSION},
    {"channel", METHOD_CHANNEL_BIND}, {"connect", METHOD_CONNECT},
};

/* ---- fields ---- */

static bool has_field(lua_State *L, int at, const char *name)
{
    const bool there = lua_getfield(L, at, name) != LUA_TNIL;
    lua_pop(L, 1);
    return there;
}

/* The string belongs to the table of fields. */
static const char *text_of(lua_State *L, int at, const char *name)
{
    lua_getfield(L, at, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static lua_Integer number_of(lua_State *L, int at, const char *name, lua_Integer without)
{
    int is_integer;
    lua_getfield(L, at, name);
    const lua_Integer number = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
    return is_integer ? number : without;
}

/* ---- the 5-tuple ---- */

static struct addr address_field(lua_State *L, int at, const char *name)
{
    struct addr addr = {0};
    const char *text = text_of(L, at, name);
    if (!text || addr_parse(view_text(text), &addr) != 0)
        luaL_error(L, "not an address: %s %s", name, text ? text : "nil");
    return addr;
}

static uint8_t transport_field(lua_State *L, int at)
{
    const char *text = text_of(L, at, "transport");
    for (int transport = TRANSPORT_UDP; transport <= TRANSPORT_DTLS; transport++)
        if (text && strcmp(text, transport_name((uint8_t)transport)) == 0)
            return (uint8_t)transport;
    luaL_error(L, "not a transport: %s", text ? text : "nil");
    return 0;
}

/* listener_of: the number of the first client with this name: the same for the same listener. */
static uint16_t listener_of(const struct world *w, const struct client *c, size_t number)
{
    for (size_t i = 0; i < w->client_count; i++)
        if (w->clients[i] && strcmp(w->clients[i]->listener, c->listener) == 0)
            return (uint16_t)i;
    return (uint16_t)number;
}

static void name_listener(lua_State *L, int at, struct client *c)
{
    char server[ADDR_TEXT_MAX];
    const char *name = text_of(L, at, "listener");
    if (name)
        snprintf(c->listener, sizeof c->listener, "%s", name);
    else
        snprintf(c->listener, sizeof c->listener, "%s:%s", transport_name(c->flow.transport), addr_format(&c->flow.server, server));
}

static struct client *new_client(struct world *w, int at, size_t number)
{
    lua_State *L = w->lua;
    const struct flow flow = {
        .client = address_field(L, at, "src"), .server = address_field(L, at, "dst"), .transport = transport_field(L, at)};
    const char *sni = text_of(L, at, "sni"), *alpn = text_of(L, at, "alpn");
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        world_lacks_memory(w);
    c->flow = flow;
    c->flow.sni = view_copy(view_text(sni ? sni : ""), c->sni, sizeof c->sni);
    c->flow.alpn = view_copy(view_text(alpn ? alpn : ""), c->alpn, sizeof c->alpn);
    name_listener(L, at, c);
    c->flow.listener = listener_of(w, c, number);
    c->answer = LUA_NOREF;
    return c;
}

struct client *client_of(struct world *w, int at)
{
    const size_t number = (size_t)number_of(w->lua, at, "client", 0);
    if (number >= w->client_count) {
        struct client **clients = realloc(w->clients, (number + 1) * sizeof(struct client *));
        if (!clients)
            world_lacks_memory(w);
        for (size_t i = w->client_count; i <= number; i++)
            clients[i] = NULL;
        w->clients = clients;
        w->client_count = number + 1;
    }
    if (!w->clients[number])
        w->clients[number] = new_client(w, at, number);
    return w->clients[number];
}

const struct allocation *client_allocation(const struct world *w, const struct client *c)
{
    uint32_t from = 0;
    for (const struct allocation *a; (a = engine_allocation_at(w->engine, from)); from = a->self.index + 1)
        if (memcmp(&a->flow, &c->flow, FLOW_KEY_LEN) == 0)
            return a;
    return NULL;
}

/* ---- a request ---- */

static void put_lifetime(lua_State *L, struct build *build, int at)
{
    if (has_field(L, at, "lifetime"))
        build_attr_u32(build, ATTR_LIFETIME, (uint32_t)number_of(L, at, "lifetime", 0));
}

static void put_byte(struct build *build, uint16_t type, uint8_t byte)
{
    build_attr_u32(build, type, (uint32_t)byte << 24);
}

static void put_transport(lua_State *L, struct build *build, int at)
{
    const char *wanted = text_of(L, at, "requested_transport");
    const bool udp = !wanted || strcmp(wanted, "udp") == 0;
    put_byte(build, ATTR_REQUESTED_TRANSPORT,
             udp                          ? PROTOCOL_UDP
             : strcmp(wanted, "tcp") == 0 ? PROTOCOL_TCP
                                          : (uint8_t)number_of(L, at, "requested_transport", 0));
}

/* a token is 16 hexadecimal digits; any other text is a token that nobody issued */
static void put_token(lua_State *L, struct build *build, int at)
{
    uint8_t token[8] = {0};
    const char *text = text_of(L, at, "reservation");
    if (!text)
        return;
    if (strlen(text) != 16 || crypto_hex_decode(view_text(text), token, sizeof token) != 0)
        memset(token, 0xff, sizeof token);
    build_attr(build, ATTR_RESERVATION_TOKEN, view_of(token, sizeof token));
}

static bool is_true(lua_State *L, int at, const char *name)
{
    lua_getfield(L, at, name);
    const bool is = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

static void put_allocate(lua_State *L, struct build *build, int at)
{
    const lua_Integer family = number_of(L, at, "family", 0);
    put_transport(L, build, at);
    put_lifetime(L, build, at);
    if (has_field(L, at, "family"))
        put_byte(build, ATTR_REQUESTED_ADDRESS_FAMILY, family == 4 ? 1 : family == 6 ? 2 : FAMILY_UNKNOWN);
    if (is_true(L, at, "even_port") || is_true(L, at, "reserve_next")) {
        const uint8_t reserve = is_true(L, at, "reserve_next") ? 0x80 : 0;
        build_attr(build, ATTR_EVEN_PORT, view_of(&reserve, 1));
    }
    put_token(L, build, at);
}

static void put_peer(lua_State *L, struct build *build, int at, uint16_t default_port)
{
    struct addr peer;
    const char *text = text_of(L, at, "peer");
    if (text && addr_parse(view_text(text), &peer) == 0) {
        if (!peer.port)
            peer.port = default_port;
        build_xor_addr(build, ATTR_XOR_PEER_ADDRESS, &peer);
    }
}

static void put_channel(lua_State *L, struct build *build, int at)
{
    const lua_Integer number = number_of(L, at, "number", -1);
    if (number >= 0 && number <= UINT16_MAX)
        build_attr_u32(build, ATTR_CHANNEL_NUMBER, (uint32_t)number << 16);
    put_peer(L, build, at, PEER_PORT);
}

static void put_more(lua_State *L, struct build *build, int at)
{
    const char *software = text_of(L, at, "software"), *origin = text_of(L, at, "origin");
    if (lua_getfield(L, at, "attributes") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            size_t len;
            const char *value = luaL_checklstring(L, -1, &len);
            build_attr(build, (uint16_t)luaL_checkinteger(L, -2), view_of(value, len));
        }
    lua_pop(L, 1);
    if (software)
        build_attr_text(build, ATTR_SOFTWARE, software);
    if (origin)
        build_attr_text(build, ATTR_ORIGIN, origin);
}

/* sign_with: the field mac_key of a token, else the password. */
static void sign_with(struct world *w, struct client *c, int at)
{
    const char *username = text_of(w->lua, at, "username"), *password = text_of(w->lua, at, "password");
    const char *mac_key = text_of(w->lua, at, "mac_key");
    c->key_len = mac_key ? sizeof c->key : INTEGRITY_KEY_LEN;
    if (!mac_key)
        integrity_key(w->crypto, view_text(username), view_text(c->realm), view_text(password ? password : ""), c->key);
    else if (strlen(mac_key) != 2 * sizeof c->key || crypto_hex_decode(view_text(mac_key), c->key, sizeof c->key) != 0)
        luaL_error(w->lua, "mac_key: 40 hexadecimal digits expected");
}

static void put_credentials(struct world *w, struct client *c, struct build *build, int at)
{
    const char *username = text_of(w->lua, at, "username"), *token = text_of(w->lua, at, "access_token");
    uint8_t hash[INTEGRITY_USERHASH_LEN];
    integrity_userhash(w->crypto, view_text(username), view_text(c->realm), hash);
    if (token)
        build_attr_text(build, ATTR_ACCESS_TOKEN, token);
    if (has_field(w->lua, at, "hidden"))
        build_attr(build, ATTR_USERHASH, view_of(hash, sizeof hash));
    else
        build_attr_text(build, ATTR_USERNAME, username);
    build_attr_text(build, ATTR_REALM, c->realm);
    build_attr_text(build, ATTR_NONCE, c->nonce);
    sign_with(w, c, at);
    build_integrity(build, w->crypto, view_of(c->key, c->key_len));
}

static void make_request(struct world *w, struct client *c, const struct kind *kind, int at)
{
    lua_State *L = w->lua;
    struct build build;
    uint8_t tid[STUN_TID_LEN];
    crypto_random(tid, sizeof tid);
    build_begin(&build, slab_over(c->request, sizeof c->request), kind->method, STUN_REQUEST, tid);
    switch (kind->method) {
        case METHOD_ALLOCATE:
            put_allocate(L, &build, at);
            break;
        case METHOD_REFRESH:
            if (strcmp(kind->name, "close") == 0)
                build_attr_u32(&build, ATTR_LIFETIME, 0);
            else
                put_lifetime(L, &build, at);
            break;
        case METHOD_CREATE_PERMISSION:
            put_peer(L, &build, at, 0);
            break;
        case METHOD_CONNECT:
            put_peer(L, &build, at, PEER_PORT);
            break;
        default:
            put_channel(L, &build, at);
    }
    put_more(L, &build, at);
    if (c->has_key)
        put_credentials(w, c, &build, at);
    c->request_len = build_end(&build).len;
    if (!c->request_len)
        luaL_error(L, "the request does not fit into %d bytes", MESSAGE_MAX);
}

/* ---- the answer ---- */

/* send: the code of the answer; what no client would take raises. */
static int send_request(struct world *w, struct client *c)
{
    struct view reason;
    int code = 0;
    struct send send = engine_from_client(w->engine, &c->flow, (struct packet){c->request, c->request_len, 0}, w->now);
    if (send.to == SEND_NOTHING)
        send = world_wait(w);
    if (send.to == SEND_NOTHING) /* a Connect is answered when the connection is there */
        send = engine_peer_connected(w->engine, w->connecting, w->now);
    if (send.to != SEND_TO_CLIENT || send.bytes.len > sizeof c->reply)
        luaL_error(w->lua, "the core does not answer");
    memcpy(c->reply, send.bytes.at, send.bytes.len);
    c->reply_len = send.bytes.len;
    if (message_open(&c->message, view_of(c->reply, c->reply_len)) != 0 || memcmp(c->message.tid, c->request + 8, STUN_TID_LEN) != 0)
        luaL_error(w->lua, "the core's answer is malformed, or another request's");
    if (c->message.class != STUN_SUCCESS && attr_error(&c->message, &code, &reason) != 0)
        luaL_error(w->lua, "the core's answer has no code");
    if (message_has(&c->message, SLOT_MESSAGE_INTEGRITY) ? integrity_check(w->crypto, &c->message, view_of(c->key, c->key_len)) != 0
                                                         : !code)
        luaL_error(w->lua, "the core's answer is not signed with the key of the request");
    return code;
}

/* exchange: unsigned, then signed; a nonce that went stale is replaced once, unless a policy asks for it. */
static int exchange(struct world *w, struct client *c, const struct kind *kind, int at)
{
    int code = 0;
    w->reauth.kind = VERDICT_SILENT;
    for (int attempt = 0; attempt < 3; attempt++) {
        c->has_key = attempt > 0;
        make_request(w, c, kind, at);
        w->refusal = (struct refusal){0};
        code = send_request(w, c);
        const bool challenged =
            (attempt == 0 && code == STUN_UNAUTHENTICATED) || (code == STUN_STALE_NONCE && w->reauth.kind == VERDICT_SILENT);
        if (!challenged || !has_field(w->lua, at, "username"))
            break;
        view_copy(message_attr(&c->message, SLOT_REALM), c->realm, sizeof c->realm);
        view_copy(message_attr(&c->message, SLOT_NONCE), c->nonce, sizeof c->nonce);
    }
    return code;
}

static void remember_peer(lua_State *L, struct client *c, int at)
{
    struct addr peer;
    const char *text = text_of(L, at, "peer");
    if (text && addr_parse(view_text(text), &peer) == 0)
        c->peers[c->peer_count++ % PEERS_MAX] = peer;
}

static void push_answer(struct world *w, struct client *c, const struct kind *kind, int at)
{
    lua_State *L = w->lua;
    const struct allocation *a = client_allocation(w, c);
    lua_newtable(L);
    if (a)
        answer_put_allocation(w, a); /* of a Refresh that ends it too */
    const int code = exchange(w, c, kind, at);
    if (code) {
        lua_pop(L, 1);
        answer_push_refused(w, c, code);
    } else {
        a = client_allocation(w, c);
        if (a)
            answer_put_allocation(w, a);
        answer_put_message(L, &c->message);
        remember_peer(L, c, at);
    }
    row_number(L, "code", (uint64_t)code);
    lua_pushboolean(L, code == 0);
    lua_setfield(L, -2, "ok");
}

/* again: the same bytes: the same answer, with the same bytes. */
static void push_again(struct world *w, struct client *c)
{
    lua_State *L = w->lua;
    uint8_t before[MESSAGE_MAX];
    const size_t len = c->reply_len;
    memcpy(before, c->reply, len);
    send_request(w, c);
    if (message_has(&c->message, SLOT_MESSAGE_INTEGRITY) && (c->reply_len != len || memcmp(before, c->reply, len) != 0))
        luaL_error(L, "the core answers a retransmission otherwise than the request");
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->answer);
}

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

void client_request(struct world *w, struct client *c, const char *name, int at)
{
    lua_State *L = w->lua;
    const struct kind *kind = kind_named(name);
    const int64_t transaction = number_of(L, at, "transaction", 0);
    const bool traffic = strcmp(name, "traffic") == 0, again = transaction && c->transaction == transaction;
    if (!kind && !traffic)
        luaL_error(L, "no such request: %s", name);
    if (again && traffic) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, c->answer);
        return;
    }
    if (again) {
        push_again(w, c);
        return;
    }
    if (traffic)
        client_traffic(w, c, at);
    else
        push_answer(w, c, kind, at);
    luaL_unref(L, LUA_REGISTRYINDEX, c->answer);
    lua_pushvalue(L, -1);
    c->answer = luaL_ref(L, LUA_REGISTRYINDEX);
    c->transaction = transaction;
}
