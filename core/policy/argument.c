/* argument.c: one row per field: its name and its value. */
#include "policy/argument.h"

#include "policy/reference.h"

#include "turn/allocation.h"
#include "wire/minted.h"

#include <string.h>

const char *argument_method(uint16_t method)
{
    static const struct {
        uint16_t method;
        const char *name;
    } names[] = {{METHOD_ALLOCATE, "allocate"},    {METHOD_REFRESH, "refresh"}, {METHOD_CREATE_PERMISSION, "permission"},
                 {METHOD_CHANNEL_BIND, "channel"}, {METHOD_CONNECT, "connect"}, {METHOD_CONNECTION_BIND, "bind"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].method == method)
            return names[i].name;
    return NULL;
}

static struct fact fact_hex(struct view bytes, char scratch[FACT_SCRATCH])
{
    if (bytes.len == 0 || bytes.len > CRYPTO_HASH_MAX)
        return fact_nil();
    crypto_hex(bytes, scratch);
    return fact_text(scratch);
}

static struct fact fact_attr(const struct message *message, enum attr_slot slot)
{
    return message ? fact_view(message_attr(message, slot)) : fact_nil();
}

static struct fact fact_method(uint16_t method)
{
    return fact_text(argument_method(method));
}

static struct fact fact_protocol(uint8_t protocol)
{
    if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP)
        return fact_text(protocol == PROTOCOL_UDP ? "udp" : "tcp");
    return fact_known(protocol);
}

static struct fact fact_listener(const struct flow *flow, char scratch[FACT_SCRATCH])
{
    char text[ADDR_TEXT_MAX];
    snprintf(scratch, FACT_SCRATCH, "%s:%s", transport_name(flow->transport), addr_format(&flow->server, text));
    return fact_text(scratch);
}

/* fact_minted: a part of the username of a minted credential that was verified: the text at `offset` of its struct. */
static struct fact fact_minted(const struct request *request, size_t offset, char scratch[FACT_SCRATCH])
{
    struct minted minted;
    if (!request->is_minted || minted_parse(request->username, &minted) != 0)
        return fact_nil();
    snprintf(scratch, FACT_SCRATCH, "%s", (const char *)&minted + offset);
    return fact_that(FACT_FOLLOWS, fact_text(scratch));
}

#define MINTED(part) fact_minted(r, offsetof(struct minted, part), scratch)

static struct fact fact_if(const void *there, uint64_t count)
{
    return there ? fact_count(count) : fact_nil();
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
    if (value.at)
        lua_pushlstring(L, (const char *)value.at, value.len);
    else
        lua_pushnil(L);
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

/* X(name, type, what it says, its value); r: the request, q: the question, scratch: room for a text */
#define REQUEST_FIELDS(X)                                                                                                                  \
    X(id, "integer", "of this decision, as in the log", fact_count(r->id))                                                                 \
    X(method, "string?", "`\"allocate\"` `\"refresh\"` `\"permission\"` `\"channel\"` `\"connect\"` `\"bind\"`",                           \
      fact_method(r->message ? r->message->method : 0))                                                                                    \
    X(now, "integer", "unix seconds", fact_integer(q->unix_ms / 1000))                                                                     \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", fact_text(transport_name(r->flow->transport)))                      \
    X(src, "address", "the client", fact_address(ADDRESS_SRC, &r->flow->client))                                                           \
    X(dst, "address", "the server's own end", fact_address(ADDRESS_DST, &r->flow->server))                                                 \
    X(listener, "string", "`\"tls:192.0.2.1:5349\"`", fact_that(FACT_FOLLOWS, fact_listener(r->flow, scratch)))                            \
    X(sni, "string?", "server name of the handshake", fact_text(r->flow->sni))                                                             \
    X(alpn, "string?", "protocol of the handshake", fact_text(r->flow->alpn))                                                              \
    X(origin, "string?", "ORIGIN, as sent", fact_attr(r->message, SLOT_ORIGIN))                                                            \
    X(username, "string?", "USERNAME as sent, or the name that USERHASH stands for; nobody has vouched for it before `authorize`",         \
      fact_that(FACT_NAME, fact_view(r->username)))                                                                                        \
    X(userhash, "string?",                                                                                                                 \
      "USERHASH, 64 hexadecimal digits. Where `offer-userhash` is on, `authenticate` is also asked about hashes that no user of the "      \
      "server has: then `username` is nil, and `user` of `relay.key` must be the name itself",                                             \
      fact_that(FACT_NAME, fact_hex(r->userhash, scratch)))                                                                                \
    X(realm, "string?", "what `route` chose; until then the default realm", fact_text(r->realm))                                           \
    X(tenant, "string?", "what `route` chose; until then nil", fact_text(r->tenant))                                                       \
    X(user, "string?", "whom quotas count, within the tenant; known from `authorize` on", fact_that(FACT_NAME, fact_text(r->user)))        \
    X(software, "string?", "SOFTWARE, as sent", fact_attr(r->message, SLOT_SOFTWARE))                                                      \
    X(lifetime, "integer?", "seconds asked for", fact_known(r->lifetime_s))                                                                \
    X(requested_transport, "string|integer?", "`\"udp\"`, `\"tcp\"`, or the protocol's number", fact_protocol(r->protocol))                \
    X(requested_family, "integer?", "4 or 6", fact_known(r->family))                                                                       \
    X(even_port, "boolean", "EVEN-PORT is there", fact_boolean(r->even_port))                                                              \
    X(reservation, "boolean", "RESERVATION-TOKEN is there", fact_boolean(r->has_reservation))                                              \
    X(minted, "boolean", "from `authorize` on: the server itself verified the credential, which was minted: what its name says is true",   \
      fact_boolean(r->is_minted))                                                                                                          \
    X(tag, "string?", "of a minted credential: the player; as is the tag of that name", MINTED(tag))                                       \
    X(room, "string?", "of a minted credential: the match; as is the tag of that name", MINTED(room))                                      \
    X(credential, "string?", "of a minted credential: its id; as is the tag of that name", MINTED(cid))                                    \
    X(key, "string?", "of a minted credential: the id of the key that minted it; as is the tag of that name", MINTED(kid))                 \
    X(access_token, "string?",                                                                                                             \
      "the bytes of ACCESS-TOKEN, where `oauth` is on; the client signs with a key that its issuer put in there, and `username` says "     \
      "which of the issuer's keys sealed it",                                                                                              \
      fact_that(FACT_SECRET, fact_view(r->access_token)))                                                                                  \
    X(attr, "fun(type: integer): string?", "the bytes of the first attribute of that number", fact_function(request_attr))                 \
    X(count, "fun(kind: \"user\"|\"realm\"|\"total\"): integer",                                                                           \
      "live allocations of the `\"user\"`, the `\"realm\"` (its tenant) or in `\"total\"`: advice; quotas are "                            \
      "reserved after `authorize`",                                                                                                        \
      fact_function(request_count))

/* a: the allocation, q: the question */
#define ALLOCATION_FIELDS(X)                                                                                                               \
    X(id, "integer", "as in the log and the table `sessions`", fact_count(a->id))                                                          \
    X(user, "string?", "whom quotas count", fact_that(FACT_NAME, fact_text(a->user)))                                                      \
    X(tenant, "string?", "whose user that is", fact_text(a->tenant))                                                                       \
    X(realm, "string?", "with which the client signs", fact_text(a->realm))                                                                \
    X(src, "address", "the client", fact_address(ADDRESS_ALLOCATION, &a->flow.client))                                                     \
    X(relay, "address", "the relayed address, as clients see it", fact_address(ADDRESS_RELAY, &a->relayed_shown))                          \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", fact_text(transport_name(a->flow.transport)))                       \
    X(relay_transport, "string", "`\"udp\"`, or `\"tcp\"` for a TCP allocation", fact_protocol(a->protocol))                               \
    X(created, "integer", "unix seconds", fact_integer(a->created_unix_ms / 1000))                                                         \
    X(expires, "integer", "unix seconds", fact_integer((q->unix_ms + a->expires - q->now) / 1000))                                         \
    X(bytes_in, "integer", "from the client, since it began", fact_count(a->usage.bytes_in))                                               \
    X(bytes_out, "integer", "to the client, since it began", fact_count(a->usage.bytes_out))                                               \
    X(packets_in, "integer", "from the client, since it began", fact_count(a->usage.packets_in))                                           \
    X(packets_out, "integer", "to the client, since it began", fact_count(a->usage.packets_out))                                           \
    X(permissions, "integer", "live now", fact_count(a->permissions))                                                                      \
    X(channels, "integer", "live now", fact_count(a->channels))                                                                            \
    X(connections, "integer", "with peers of a TCP allocation, live now", fact_count(a->tcp_peers))                                        \
    X(group, "string?", "of `relay.allow`: it has no peers but those in it", fact_text(a->group_name))                                     \
    X(tags, "tags", "of `relay.allow`", fact_tags(a->tags))

/* q: the question */
#define USAGE_FIELDS(X)                                                                                                                    \
    X(bytes_in, "integer", "from the client, since `usage` was last asked", fact_count(q->delta->bytes_in))                                \
    X(bytes_out, "integer", "to the client, since then", fact_count(q->delta->bytes_out))                                                  \
    X(packets_in, "integer", "from the client, since then", fact_count(q->delta->packets_in))                                              \
    X(packets_out, "integer", "to the client, since then", fact_count(q->delta->packets_out))                                              \
    X(closing, "boolean", "the allocation has ended; the answer changes nothing", fact_boolean(q->closing))

/* e: the event, s: the sight, a: its allocation or NULL, u: its usage or NULL */
#define EVENT_FIELDS(X)                                                                                                                    \
    X(type, "string", "`\"allocated\"` `\"denied\"` `\"refreshed\"` `\"permission\"` `\"closed\"` `\"auth_failed\"` `\"policy_error\"`",   \
      fact_text(event_name(e->type)))                                                                                                      \
    X(code, "integer", "the error that was answered; 0: none", fact_integer(e->code))                                                      \
    X(reason, "string?", "`\"user_quota\"`, `\"released\"`, or what a policy said", fact_text(e->reason))                                  \
    X(by, "string", "who decided: `\"core\"`, or file and line of the policy", fact_text(e->by))                                           \
    X(decision_id, "integer", "as `req.id`", fact_count(e->decision))                                                                      \
    X(policy_rev, "string", "12 digits that change with the files of the policies, and what they require while they load",                 \
      fact_that(FACT_FOLLOWS, fact_text(s->revision)))                                                                                     \
    X(method, "string?", "as in `req`", fact_method(e->method))                                                                            \
    X(user, "string?", "whom quotas count", fact_that(FACT_NAME, fact_text(e->user)))                                                      \
    X(tenant, "string?", "whose user that is", fact_text(e->tenant))                                                                       \
    X(realm, "string?", "with which the client signs", fact_text(e->realm))                                                                \
    X(username, "string?", "as sent", fact_that(FACT_NAME, fact_view(e->username)))                                                        \
    X(src, "address", "the client", fact_address(ADDRESS_EVENT, &e->flow->client))                                                         \
    X(transport, "string", "`\"udp\"` `\"tcp\"` `\"tls\"` `\"dtls\"`", fact_text(transport_name(e->flow->transport)))                      \
    X(peer, "address?", "of a permission, channel or connection", e->peer ? fact_address(ADDRESS_EVENT_PEER, e->peer) : fact_nil())        \
    X(allocation, "integer?", "its id; without one what follows is nil", fact_known(a ? a->id : 0))                                        \
    X(bytes, "integer?", "in both directions, since it began", fact_that(FACT_FOLLOWS, fact_if(u, u ? u->bytes_in + u->bytes_out : 0)))                             \
    X(bytes_in, "integer?", "from the client", fact_if(u, u ? u->bytes_in : 0))                                                            \
    X(bytes_out, "integer?", "to the client", fact_if(u, u ? u->bytes_out : 0))                                                            \
    X(packets_in, "integer?", "from the client", fact_if(u, u ? u->packets_in : 0))                                                        \
    X(packets_out, "integer?", "to the client", fact_if(u, u ? u->packets_out : 0))                                                        \
    X(seconds, "integer?", "its age", fact_if(a, a ? (uint64_t)(e->now - a->created) / 1000 : 0))                                          \
    X(group, "string?", "as in `alloc`", a ? fact_text(a->group_name) : fact_nil())                                                        \
    X(tags, "tags?", "as in `alloc`", a ? fact_tags(a->tags) : fact_nil())

#define NUMBER(name, type, about, value) FIELD_##name,
#define CASE(name, type, about, value)                                                                                                     \
    case FIELD_##name:                                                                                                                     \
        return value;

static struct fact request_fact(const struct sight *s, int field, char scratch[FACT_SCRATCH])
{
    enum { REQUEST_FIELDS(NUMBER) };
    const struct question *q = s->question;
    const struct request *r = q->request;
    switch (field) {
        REQUEST_FIELDS(CASE)
    }
    return fact_nil();
}

static struct fact allocation_fact(const struct sight *s, int field, char scratch[FACT_SCRATCH])
{
    enum { ALLOCATION_FIELDS(NUMBER) };
    const struct question *q = s->question;
    const struct allocation *a = q->allocation;
    (void)scratch;
    switch (field) {
        ALLOCATION_FIELDS(CASE)
    }
    return fact_nil();
}

static struct fact usage_fact(const struct sight *s, int field, char scratch[FACT_SCRATCH])
{
    enum { USAGE_FIELDS(NUMBER) };
    const struct question *q = s->question;
    (void)scratch;
    switch (field) {
        USAGE_FIELDS(CASE)
    }
    return fact_nil();
}

static struct fact event_fact(const struct sight *s, int field, char scratch[FACT_SCRATCH])
{
    enum { EVENT_FIELDS(NUMBER) };
    const struct event *e = s->event;
    const struct allocation *a = e->allocation;
    const struct usage *u = a ? &a->usage : NULL;
    (void)scratch;
    switch (field) {
        EVENT_FIELDS(CASE)
    }
    return fact_nil();
}

static void push_fact(lua_State *L, const struct fact *fact)
{
    switch ((enum fact_kind)fact->kind) {
        case FACT_NIL:
            lua_pushnil(L);
            break;
        case FACT_BOOLEAN:
            lua_pushboolean(L, fact->integer != 0);
            break;
        case FACT_INTEGER:
            lua_pushinteger(L, fact->integer);
            break;
        case FACT_TEXT:
            lua_pushlstring(L, (const char *)fact->text.at, fact->text.len);
            break;
        case FACT_ADDRESS:
            address_push(L, (enum address_role)fact->role, fact->address);
            break;
        case FACT_TAGS:
            argument_push(L, OBJECT_TAGS);
            break;
        case FACT_FUNCTION:
            lua_pushcfunction(L, fact->function);
            break;
    }
}

/* push_field: the one that is named at 2; raises, with the nearest name. */
static int push_field(lua_State *L, enum object object)
{
    const struct policy *policy = policy_of(L);
    const struct field_map *map = &policy->fields[object];
    const struct sight sight = {policy->question, policy->event, policy->revision};
    char scratch[FACT_SCRATCH];
    const int field = field_find(map, L, 2);
    if (field == FIELD_NONE) {
        const char *name = luaL_tolstring(L, 2, NULL);
        return luaL_error(L, "%s has no field '%s'%s", map->shown->label, name, strict_hint_in(L, name, map->shown));
    }
    const struct fact fact = argument_fact(map->shown->letter, &sight, field, scratch);
    push_fact(L, &fact);
    return 1;
}

static int request_index(lua_State *L)
{
    request_of(L);
    return push_field(L, OBJECT_REQUEST);
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
    allocation_of(L);
    if (!question_of(L))
        return luaL_error(L, "the allocation is used after the hook returned");
    return push_field(L, OBJECT_ALLOCATION);
}

static int usage_index(lua_State *L)
{
    const struct question *q = question_of(L);
    if (!q || !q->delta)
        return luaL_error(L, "the usage is used after the hook returned");
    return push_field(L, OBJECT_USAGE);
}

static int event_index(lua_State *L)
{
    if (!policy_of(L)->event)
        return luaL_error(L, "the event is used after the hook returned");
    return push_field(L, OBJECT_EVENT);
}

/* tags are "k=v,k=v"; a name without a tag is nil */
static int tags_index(lua_State *L)
{
    size_t len;
    const char *tags = allocation_of(L)->tags, *name = luaL_checklstring(L, 2, &len);
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
    lua_pushstring(L, allocation_of(L)->tags);
    return 1;
}

#define ARGUMENT(letter, name, called, FIELDS)                                                                                             \
    static const struct member name##_members[] = {FIELDS(MEMBER_ROW)};                                                                    \
    const struct shown name##_shown = {ROLE_ARGUMENT, letter, called, #name, "", MEMBERS(name##_members)};

ARGUMENT('r', request, "req", REQUEST_FIELDS)
ARGUMENT('a', allocation, "alloc", ALLOCATION_FIELDS)
ARGUMENT('u', usage, "used", USAGE_FIELDS)
ARGUMENT('e', event, "ev", EVENT_FIELDS)

struct fact argument_fact(char letter, const struct sight *sight, int field, char scratch[FACT_SCRATCH])
{
    switch (letter) {
        case 'r':
            return request_fact(sight, field, scratch);
        case 'a':
            return allocation_fact(sight, field, scratch);
        case 'u':
            return usage_fact(sight, field, scratch);
        default:
            return event_fact(sight, field, scratch);
    }
}

static const struct member tags_members[] = {
    FIELD("[string]", "string?", "`tags.plan`: a string or nil, for any name; `tostring`: `\"k=v,k=v\"`"),
};
const struct shown tags_shown = SHOWN(ROLE_RETURNED, "tags", "", tags_members);

static const struct {
    enum object object;
    lua_CFunction index;
    const struct shown *shown;
} rows[] = {
    {OBJECT_REQUEST, request_index, &request_shown}, {OBJECT_ALLOCATION, allocation_index, &allocation_shown},
    {OBJECT_USAGE, usage_index, &usage_shown},       {OBJECT_EVENT, event_index, &event_shown},
    {OBJECT_TAGS, tags_index, &tags_shown},
};

void argument_open(lua_State *L)
{
    struct policy *policy = policy_of(L);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const luaL_Reg meta[] = {
            {"__index", rows[i].index}, {rows[i].object == OBJECT_TAGS ? "__tostring" : NULL, tags_text}, {NULL, NULL}};
        object_define(L, rows[i].object, rows[i].shown->label, NULL, meta);
        policy->arguments[rows[i].object] = object_new(L, rows[i].object, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &policy->arguments[rows[i].object]);
        field_map_init(L, &policy->fields[rows[i].object], rows[i].shown);
    }
    address_open(L);
}

void argument_push(lua_State *L, enum object object)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &policy_of(L)->arguments[object]);
}
