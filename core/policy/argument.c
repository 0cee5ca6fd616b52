/* argument.c: one row per field: its name and how it is pushed. */
#include "policy/argument.h"

#include "policy/reference.h"

#include "turn/allocation.h"

#include <string.h>

static void push_text(lua_State *L, const char *text)
{
    if (text && *text)
        lua_pushstring(L, text);
    else
        lua_pushnil(L);
}

static void push_view(lua_State *L, struct view view)
{
    if (view.at)
        lua_pushlstring(L, (const char *)view.at, view.len);
    else
        lua_pushnil(L);
}

static void push_hex(lua_State *L, struct view bytes)
{
    char hex[2 * CRYPTO_HASH_MAX + 1];
    if (bytes.len == 0 || bytes.len > CRYPTO_HASH_MAX) {
        lua_pushnil(L);
        return;
    }
    crypto_hex(bytes, hex);
    lua_pushstring(L, hex);
}

static void push_attr(lua_State *L, const struct message *message, enum attr_slot slot)
{
    push_view(L, message ? message_attr(message, slot) : (struct view){0});
}

static void push_count(lua_State *L, uint64_t count)
{
    lua_pushinteger(L, (lua_Integer)count);
}

static void push_known(lua_State *L, uint64_t count) /* nil: not said */
{
    if (count)
        push_count(L, count);
    else
        lua_pushnil(L);
}

static void push_method(lua_State *L, uint16_t method)
{
    static const struct {
        uint16_t method;
        const char *name;
    } names[] = {{METHOD_ALLOCATE, "allocate"},    {METHOD_REFRESH, "refresh"}, {METHOD_CREATE_PERMISSION, "permission"},
                 {METHOD_CHANNEL_BIND, "channel"}, {METHOD_CONNECT, "connect"}, {METHOD_CONNECTION_BIND, "bind"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].method == method) {
            lua_pushstring(L, names[i].name);
            return;
        }
    lua_pushnil(L);
}

static void push_protocol(lua_State *L, uint8_t protocol)
{
    if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP)
        lua_pushstring(L, protocol == PROTOCOL_UDP ? "udp" : "tcp");
    else
        push_known(L, protocol);
}

static void push_listener(lua_State *L, const struct flow *flow)
{
    char text[ADDR_TEXT_MAX];
    lua_pushfstring(L, "%s:%s", transport_name(flow->transport), addr_format(&flow->server, text));
}

static const struct question *question_of(lua_State *L)
{
    return policy_of(L)->question;
}

static const struct request *request_of(lua_State *L)
{
    const struct question *question = question_of(L);
    if (!question || !question->request)
        state_raise(L, "the request is used after the hook returned");
    return question->request;
}

static const struct request *request_self(lua_State *L)
{
    if (lua_touserdata(L, 1) != policy_of(L)->arguments[OBJECT_REQUEST])
        state_raise(L, "the request expected, got %s", luaL_typename(L, 1));
    return request_of(L);
}

static int request_attr(lua_State *L)
{
    const struct request *request = request_self(L);
    const lua_Integer type = luaL_checkinteger(L, 2);
    size_t cursor = 0;
    struct view value = {0};
    if (request->message && type >= 0 && type <= UINT16_MAX && !message_next(request->message, (uint16_t)type, &cursor, &value))
        value = (struct view){0};
    push_view(L, value);
    return 1;
}

static int request_count(lua_State *L)
{
    static const char *const kinds[] = {"user", "realm", "total", NULL};
    const struct request *request = request_self(L);
    const struct policy_world *world = &policy_of(L)->world;
    const char *kind = luaL_checkstring(L, 2);
    for (size_t i = 0; kinds[i]; i++)
        if (strcmp(kind, kinds[i]) == 0) {
            lua_pushinteger(L, world->count ? world->count(world->ctx, kind, request->tenant, request->user) : 0);
            return 1;
        }
    return luaL_error(L, "count: '%s' is not 'total', 'realm' or 'user'", kind);
}

/* X(name, type, what it says, how it is pushed); r: the request */
#define REQUEST_FIELDS(X)                                                                                                                  \
    X(id, "integer", "of this decision, as in the log", push_count(L, r->id))                                                              \
    X(method, "string?", "`\"allocate\"` `\"refresh\"` `\"permission\"` `\"channel\"` `\"connect\"` `\"bind\"`",                           \
      push_method(L, r->message ? r->message->method : 0))                                                                                 \
    X(now, "integer", "unix seconds", lua_pushinteger(L, question_of(L)->unix_ms / 1000))                                                  \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", lua_pushstring(L, transport_name(r->flow->transport)))              \
    X(src, "address", "the client", address_push(L, ADDRESS_SRC, &r->flow->client))                                                        \
    X(dst, "address", "the server's own end", address_push(L, ADDRESS_DST, &r->flow->server))                                              \
    X(listener, "string", "`\"tls:192.0.2.1:5349\"`", push_listener(L, r->flow))                                                           \
    X(sni, "string?", "server name of the handshake", push_text(L, r->flow->sni))                                                          \
    X(alpn, "string?", "protocol of the handshake", push_text(L, r->flow->alpn))                                                           \
    X(origin, "string?", "ORIGIN, as sent", push_attr(L, r->message, SLOT_ORIGIN))                                                         \
    X(username, "string?", "USERNAME as sent, or the name that USERHASH stands for; nobody has vouched for it before `authorize`",         \
      push_view(L, r->username))                                                                                                           \
    X(userhash, "string?",                                                                                                                 \
      "USERHASH, 64 hexadecimal digits. Where `offer-userhash` is on, `authenticate` is also asked about hashes that no user of the "      \
      "server has: then `username` is nil, and `user` of `relay.key` must be the name itself",                                             \
      push_hex(L, r->userhash))                                                                                                            \
    X(realm, "string?", "what `route` chose; until then the default realm", push_text(L, r->realm))                                        \
    X(tenant, "string?", "what `route` chose; until then nil", push_text(L, r->tenant))                                                    \
    X(user, "string?", "whom quotas count, within the tenant; known from `authorize` on", push_text(L, r->user))                           \
    X(software, "string?", "SOFTWARE, as sent", push_attr(L, r->message, SLOT_SOFTWARE))                                                   \
    X(lifetime, "integer?", "seconds asked for", push_known(L, r->lifetime_s))                                                             \
    X(requested_transport, "string|integer?", "`\"udp\"`, `\"tcp\"`, or the protocol's number", push_protocol(L, r->protocol))             \
    X(requested_family, "integer?", "4 or 6", push_known(L, r->family))                                                                    \
    X(even_port, "boolean", "EVEN-PORT is there", lua_pushboolean(L, r->even_port))                                                        \
    X(reservation, "boolean", "RESERVATION-TOKEN is there", lua_pushboolean(L, r->has_reservation))                                        \
    X(access_token, "string?",                                                                                                             \
      "the bytes of ACCESS-TOKEN, where `oauth` is on; the client signs with a key that its issuer put in there, and `username` says "     \
      "which of the issuer's keys sealed it",                                                                                              \
      push_view(L, r->access_token))                                                                                                       \
    X(attr, "fun(type: integer): string?", "`req:attr(type)`: the bytes of the first attribute of that number",                            \
      lua_pushcfunction(L, request_attr))                                                                                                  \
    X(count, "fun(kind: string): integer",                                                                                                 \
      "`req:count(kind)`: live allocations of the `\"user\"`, the `\"realm\"` (its tenant) or in `\"total\"`: advice; quotas are "         \
      "reserved after `authorize`",                                                                                                        \
      lua_pushcfunction(L, request_count))

/* a: the allocation, q: the question */
#define ALLOCATION_FIELDS(X)                                                                                                               \
    X(id, "integer", "as in the log and the table `sessions`", push_count(L, a->id))                                                       \
    X(user, "string?", "whom quotas count", push_text(L, a->user))                                                                         \
    X(tenant, "string?", "whose user that is", push_text(L, a->tenant))                                                                    \
    X(realm, "string?", "with which the client signs", push_text(L, a->realm))                                                             \
    X(src, "address", "the client", address_push(L, ADDRESS_ALLOCATION, &a->flow.client))                                                  \
    X(relay, "address", "the relayed address, as clients see it", address_push(L, ADDRESS_RELAY, &a->relayed_shown))                       \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", lua_pushstring(L, transport_name(a->flow.transport)))               \
    X(relay_transport, "string", "`\"udp\"`, or `\"tcp\"` for a TCP allocation", push_protocol(L, a->protocol))                            \
    X(created, "integer", "unix seconds", lua_pushinteger(L, a->created_unix_ms / 1000))                                                   \
    X(expires, "integer", "unix seconds", lua_pushinteger(L, (q->unix_ms + a->expires - q->now) / 1000))                                   \
    X(bytes_in, "integer", "from the client, since it began", push_count(L, a->usage.bytes_in))                                            \
    X(bytes_out, "integer", "to the client, since it began", push_count(L, a->usage.bytes_out))                                            \
    X(packets_in, "integer", "from the client, since it began", push_count(L, a->usage.packets_in))                                        \
    X(packets_out, "integer", "to the client, since it began", push_count(L, a->usage.packets_out))                                        \
    X(permissions, "integer", "live now", push_count(L, a->permissions))                                                                   \
    X(channels, "integer", "live now", push_count(L, a->channels))                                                                         \
    X(connections, "integer", "with peers of a TCP allocation, live now", push_count(L, a->tcp_peers))                                     \
    X(tags, "tags", "`tags.plan`: a string or nil, for any name; `tostring`: `\"k=v,k=v\"`", argument_push(L, OBJECT_TAGS))

/* q: the question */
#define USAGE_FIELDS(X)                                                                                                                    \
    X(bytes_in, "integer", "from the client, since `usage` was last asked", push_count(L, q->delta->bytes_in))                             \
    X(bytes_out, "integer", "to the client, since then", push_count(L, q->delta->bytes_out))                                               \
    X(packets_in, "integer", "from the client, since then", push_count(L, q->delta->packets_in))                                           \
    X(packets_out, "integer", "to the client, since then", push_count(L, q->delta->packets_out))                                           \
    X(closing, "boolean", "the allocation has ended; the answer changes nothing", lua_pushboolean(L, q->closing))

/* e: the event, a: its allocation or NULL, u: its usage or NULL */
#define EVENT_FIELDS(X)                                                                                                                    \
    X(type, "string", "`\"allocated\"` `\"denied\"` `\"refreshed\"` `\"permission\"` `\"closed\"` `\"auth_failed\"` `\"policy_error\"`",   \
      lua_pushstring(L, event_name(e->type)))                                                                                              \
    X(code, "integer", "the error that was answered; 0: none", lua_pushinteger(L, e->code))                                                \
    X(reason, "string?", "`\"user_quota\"`, `\"released\"`, or what a policy said", push_text(L, e->reason))                               \
    X(by, "string", "who decided: `\"core\"`, or file and line of the policy", push_text(L, e->by))                                        \
    X(decision_id, "integer", "as `req.id`", push_count(L, e->decision))                                                                   \
    X(policy_rev, "string", "12 digits that change with the files of the policies", lua_pushstring(L, policy_of(L)->revision))             \
    X(method, "string?", "as in `req`", push_method(L, e->method))                                                                         \
    X(user, "string?", "whom quotas count", push_text(L, e->user))                                                                         \
    X(tenant, "string?", "whose user that is", push_text(L, e->tenant))                                                                    \
    X(realm, "string?", "with which the client signs", push_text(L, e->realm))                                                             \
    X(username, "string?", "as sent", push_view(L, e->username))                                                                           \
    X(src, "address", "the client", address_push(L, ADDRESS_EVENT, &e->flow->client))                                                      \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", lua_pushstring(L, transport_name(e->flow->transport)))              \
    X(peer, "address?", "of a permission, channel or connection", push_peer(L, e))                                                         \
    X(allocation, "integer?", "its id; without one what follows is nil", push_known(L, a ? a->id : 0))                                     \
    X(bytes, "integer?", "in both directions, since it began", push_if(L, u, u ? u->bytes_in + u->bytes_out : 0))                          \
    X(bytes_in, "integer?", "from the client", push_if(L, u, u ? u->bytes_in : 0))                                                         \
    X(bytes_out, "integer?", "to the client", push_if(L, u, u ? u->bytes_out : 0))                                                         \
    X(packets_in, "integer?", "from the client", push_if(L, u, u ? u->packets_in : 0))                                                     \
    X(packets_out, "integer?", "to the client", push_if(L, u, u ? u->packets_out : 0))                                                     \
    X(seconds, "integer?", "its age", push_if(L, a, a ? (uint64_t)(e->now - a->created) / 1000 : 0))                                       \
    X(tags, "tags?", "as in `alloc`", push_tags(L, a))

static void push_if(lua_State *L, const void *there, uint64_t count)
{
    if (there)
        push_count(L, count);
    else
        lua_pushnil(L);
}

static void push_peer(lua_State *L, const struct event *event)
{
    if (event->peer)
        address_push(L, ADDRESS_EVENT_PEER, event->peer);
    else
        lua_pushnil(L);
}

static void push_tags(lua_State *L, const struct allocation *allocation)
{
    if (allocation)
        argument_push(L, OBJECT_TAGS);
    else
        lua_pushnil(L);
}

#define NUMBER(name, type, about, push) FIELD_##name,
#define CASE(name, type, about, push)                                                                                                      \
    case FIELD_##name:                                                                                                                     \
        push;                                                                                                                              \
        break;

/* field_or_raise: the number of the field at 2; raises, with the nearest name. */
static int field_or_raise(lua_State *L, enum object object, const char *label)
{
    const struct field_map *map = &policy_of(L)->fields[object];
    const int field = field_find(map, L, 2);
    if (field != FIELD_NONE)
        return field;
    const char *name = luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "%s has no field '%s'%s", label, name, strict_hint_of(L, name, map->names, (size_t)map->count));
}

static int request_index(lua_State *L)
{
    enum { REQUEST_FIELDS(NUMBER) };
    const struct request *r = request_of(L);
    switch (field_or_raise(L, OBJECT_REQUEST, "request")) {
        REQUEST_FIELDS(CASE)
    }
    return 1;
}

static const struct allocation *allocation_of(lua_State *L)
{
    const struct policy *policy = policy_of(L);
    const struct allocation *allocation = policy->question ? policy->question->allocation
                                          : policy->event  ? policy->event->allocation
                                                           : NULL;
    if (!allocation)
        state_raise(L, "the allocation is used after the hook returned");
    return allocation;
}

static int allocation_index(lua_State *L)
{
    enum { ALLOCATION_FIELDS(NUMBER) };
    const struct allocation *a = allocation_of(L);
    const struct question *q = question_of(L);
    if (!q)
        return luaL_error(L, "the allocation is used after the hook returned");
    switch (field_or_raise(L, OBJECT_ALLOCATION, "allocation")) {
        ALLOCATION_FIELDS(CASE)
    }
    return 1;
}

static int usage_index(lua_State *L)
{
    enum { USAGE_FIELDS(NUMBER) };
    const struct question *q = question_of(L);
    if (!q || !q->delta)
        return luaL_error(L, "the usage is used after the hook returned");
    switch (field_or_raise(L, OBJECT_USAGE, "usage")) {
        USAGE_FIELDS(CASE)
    }
    return 1;
}

static int event_index(lua_State *L)
{
    enum { EVENT_FIELDS(NUMBER) };
    const struct event *e = policy_of(L)->event;
    if (!e)
        return luaL_error(L, "the event is used after the hook returned");
    const struct allocation *a = e->allocation;
    const struct usage *u = a ? &a->usage : NULL;
    switch (field_or_raise(L, OBJECT_EVENT, "event")) {
        EVENT_FIELDS(CASE)
    }
    return 1;
}

/* tags are "k=v,k=v"; a name without a tag is nil */
static int tags_index(lua_State *L)
{
    size_t len;
    const char *tags = allocation_of(L)->limits.tags, *name = luaL_checklstring(L, 2, &len);
    for (const char *at = tags; *at;) {
        const size_t pair = strcspn(at, ",");
        if (pair > len && at[len] == '=' && memcmp(at, name, len) == 0) {
            lua_pushlstring(L, at + len + 1, pair - len - 1);
            return 1;
        }
        at += pair + (at[pair] == ',');
    }
    lua_pushnil(L);
    return 1;
}

static int tags_text(lua_State *L)
{
    lua_pushstring(L, allocation_of(L)->limits.tags);
    return 1;
}

#define ARGUMENT(letter, name, called, FIELDS)                                                                                             \
    static const char *const name##_names[] = {FIELDS(MEMBER_NAME)};                                                                       \
    static const struct member name##_members[] = {FIELDS(MEMBER_ROW)};                                                                    \
    const struct shown name##_shown = {letter, called, #name, name##_members, sizeof name##_members / sizeof *name##_members};

ARGUMENT('r', request, "req", REQUEST_FIELDS)
ARGUMENT('a', allocation, "alloc", ALLOCATION_FIELDS)
ARGUMENT('u', usage, "used", USAGE_FIELDS)
ARGUMENT('e', event, "ev", EVENT_FIELDS)

static const struct {
    enum object object;
    const char *label;
    lua_CFunction index;
    const char *const *names;
    int count;
} rows[] = {
    {OBJECT_REQUEST, "request", request_index, request_names, sizeof request_names / sizeof *request_names},
    {OBJECT_ALLOCATION, "allocation", allocation_index, allocation_names, sizeof allocation_names / sizeof *allocation_names},
    {OBJECT_USAGE, "usage", usage_index, usage_names, sizeof usage_names / sizeof *usage_names},
    {OBJECT_EVENT, "event", event_index, event_names, sizeof event_names / sizeof *event_names},
    {OBJECT_TAGS, "tags", tags_index, NULL, 0},
};

void argument_open(lua_State *L)
{
    struct policy *policy = policy_of(L);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const luaL_Reg meta[] = {
            {"__index", rows[i].index}, {rows[i].object == OBJECT_TAGS ? "__tostring" : NULL, tags_text}, {NULL, NULL}};
        object_define(L, rows[i].object, rows[i].label, NULL, meta);
        policy->arguments[rows[i].object] = object_new(L, rows[i].object, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &policy->arguments[rows[i].object]);
        field_map_init(L, &policy->fields[rows[i].object], rows[i].names, rows[i].count);
    }
    address_open(L);
}

void argument_push(lua_State *L, enum object object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &policy_of(L)->arguments[object]);
}
