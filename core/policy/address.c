/* address.c: req.src and its kin, and relay.cidr. */
#include "policy/address.h"

#include "policy/argument.h"
#include "policy/reference.h"
#include "policy/shared.h"

#include <string.h>

static const struct addr *live(lua_State *L, const struct address *address)
{
    if (address->call != policy_of(L)->call)
        state_raise(L, "an address is used after the hook returned");
    return &address->addr;
}

const struct addr *address_read(lua_State *L, int at)
{
    const struct address *address = object_test(L, at, OBJECT_ADDRESS);
    return address ? live(L, address) : NULL;
}

static const struct addr *self(lua_State *L)
{
    return live(L, object_check(L, 1, OBJECT_ADDRESS, "an address"));
}

const struct addr *address_at(lua_State *L, int at, struct addr *parsed)
{
    const struct addr *addr = address_read(L, at);
    if (addr)
        return addr;
    size_t len;
    const char *text = lua_type(L, at) == LUA_TSTRING ? lua_tolstring(L, at, &len) : NULL;
    if (!text || addr_parse(view_of(text, len), parsed))
        state_raise(L, "an address expected, got %s", luaL_tolstring(L, at, NULL));
    return parsed;
}

static int within(lua_State *L)
{
    const struct addr addr = addr_canonical(self(L));
    struct cidr_set *const *set = object_test(L, 2, OBJECT_CIDR);
    struct cidr_range range;
    size_t len;
    if (set) {
        lua_pushboolean(L, cidr_has(*set, &addr));
        return 1;
    }
    const char *text = luaL_checklstring(L, 2, &len);
    if (cidr_parse(view_of(text, len), &range))
        return luaL_error(L, "'%s' is not an address range", text);
    lua_pushboolean(L, cidr_range_has(&range, &addr));
    return 1;
}

static int mask(lua_State *L)
{
    struct addr addr = *self(L);
    const lua_Integer bits = luaL_checkinteger(L, 2);
    const lua_Integer skip = addr.family == ADDR_IPV4 ? 96 : 0;
    if (bits < 0 || bits + skip > 128)
        return luaL_error(L, "prefix length out of range");
    for (lua_Integer i = 0; i < 16; i++) {
        const lua_Integer kept = bits + skip - 8 * i;
        addr.ip[i] &= (uint8_t)(kept >= 8 ? 0xff : kept <= 0 ? 0 : 0xff << (8 - kept));
    }
    char text[ADDR_TEXT_MAX];
    lua_pushfstring(L, "%s/%I", addr_format_ip(&addr, text), (LUAI_UACINT)bits);
    return 1;
}

static int push_ip(lua_State *L, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    lua_pushstring(L, addr_format_ip(addr, text));
    return 1;
}

static int push_port(lua_State *L, const struct addr *addr)
{
    lua_pushinteger(L, addr->port);
    return 1;
}

static int push_family(lua_State *L, const struct addr *addr)
{
    lua_pushinteger(L, addr->family);
    return 1;
}

static int push_within(lua_State *L, const struct addr *addr)
{
    (void)addr;
    lua_pushcfunction(L, within);
    return 1;
}

static int push_mask(lua_State *L, const struct addr *addr)
{
    (void)addr;
    lua_pushcfunction(L, mask);
    return 1;
}

#define ADDRESS_FIELDS(X)                                                                                                                  \
    X(ip, "string", "without the port")                                                                                                    \
    X(port, "integer", "0: there is none")                                                                                                 \
    X(family, "integer", "4 or 6")                                                                                                         \
    X(within, "fun(range: cidr|string): boolean", "`range`: a `relay.cidr`, or the text of one range")                                     \
    X(mask, "fun(bits: integer): string", "`\"198.51.100.0/24\"`: a key for a rate limit")

#define PUSH(name, type, about) push_##name,

static const struct member address_members[] = {ADDRESS_FIELDS(MEMBER_ROW)};
const struct shown address_shown = {ROLE_ARGUMENT,
                                    'p',
                                    "address",
                                    "address",
                                    "`tostring` gives `\"198.51.100.7:5000\"`, `\"[2001:db8::1]:5000\"`; two addresses compare with `==`. "
                                    "Ranges judge IPv6 forms that embed an IPv4 address "
                                    "(mapped, NAT64, 6to4, Teredo) by that address.",
                                    MEMBERS(address_members)};

static int address_index(lua_State *L)
{
    static int (*const push[])(lua_State *, const struct addr *) = {ADDRESS_FIELDS(PUSH)};
    const struct addr *addr = self(L);
    const char *name = luaL_tolstring(L, 2, NULL);
    for (size_t i = 0; i < address_shown.count; i++)
        if (strcmp(name, address_members[i].name) == 0)
            return push[i](L, addr);
    return luaL_error(L, "an address has no field '%s'%s", name, strict_hint_in(L, name, &address_shown));
}

static int address_text(lua_State *L)
{
    char text[ADDR_TEXT_MAX];
    const struct addr *addr = self(L);
    lua_pushstring(L, addr->port ? addr_format(addr, text) : addr_format_ip(addr, text));
    return 1;
}

static int address_same(lua_State *L)
{
    const struct addr *a = address_read(L, 1), *b = address_read(L, 2);
    lua_pushboolean(L, a && b && addr_equal(a, b));
    return 1;
}

static int contains(lua_State *L)
{
    struct addr parsed;
    struct cidr_set *const *set = object_check(L, 1, OBJECT_CIDR, "a relay.cidr");
    const struct addr addr = addr_canonical(address_at(L, 2, &parsed));
    lua_pushboolean(L, cidr_has(*set, &addr));
    return 1;
}

static const struct member cidr_members[] = {
    CALL("contains", "fun(address: address|string): boolean", "an address, or its text", contains, 0),
};
const struct shown cidr_shown = SHOWN(ROLE_OBJECT, "cidr", "", cidr_members);

static int refuse_range(lua_State *L, struct cidr_set *set, int at)
{
    cidr_close(set);
    return luaL_error(L, "'%s' is not an address range", luaL_tolstring(L, at, NULL));
}

/* add_range: the text at `at`; 0, or an error. Raises nothing: `set` has an owner. */
static int add_range(lua_State *L, int at, struct cidr_set *set)
{
    size_t len;
    struct cidr_range range;
    if (lua_type(L, at) != LUA_TSTRING)
        return -1;
    const char *text = lua_tolstring(L, at, &len);
    return cidr_parse(view_of(text, len), &range) ? -1 : cidr_add(set, &range);
}

int relay_cidr(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING) {
        lua_createtable(L, 1, 0);
        lua_insert(L, 1);
        lua_rawseti(L, 1, 1);
    }
    luaL_argexpected(L, lua_istable(L, 1) || object_test(L, 1, OBJECT_DATA), 1, "list of address ranges");
    const lua_Integer count = luaL_len(L, 1);
    struct cidr_set **out = object_new(L, OBJECT_CIDR, sizeof *out);
    struct cidr_set set;
    cidr_init(&set);
    for (lua_Integer i = 1; i <= count && i <= LIST_MAX; i++) {
        lua_geti(L, 1, i);
        if (add_range(L, -1, &set))
            return refuse_range(L, &set, -1);
        lua_pop(L, 1);
    }
    *out = shared_acl(policy_of(L)->shared, &set);
    if (!*out)
        return luaL_error(L, "not enough memory");
    return 1;
}

static void new_address(lua_State *L, struct policy *policy, int role)
{
    struct address *address = object_new(L, OBJECT_ADDRESS, sizeof *address);
    *address = (struct address){0};
    lua_rawsetp(L, LUA_REGISTRYINDEX, &policy->addresses[role]);
    policy->addresses[role] = address;
}

void address_open(lua_State *L)
{
    static const luaL_Reg address_meta[] = {{"__index", address_index}, {"__tostring", address_text}, {"__eq", address_same}, {NULL, NULL}};
    struct policy *policy = policy_of(L);
    object_define(L, OBJECT_ADDRESS, "address", NULL, address_meta);
    object_define(L, OBJECT_CIDR, "cidr", &cidr_shown, NULL);
    for (int role = 0; role < ADDRESS_ROLES; role++)
        new_address(L, policy, role);
}

void address_keep(lua_State *L)
{
    struct policy *policy = policy_of(L);
    for (int role = 0; role < ADDRESS_ROLES; role++)
        if (policy->addresses[role]->call == policy->call)
            new_address(L, policy, role);
}

void address_push(lua_State *L, enum address_role role, const struct addr *addr)
{
    struct policy *policy = policy_of(L);
    *policy->addresses[role] = (struct address){.addr = *addr, .call = policy->call};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &policy->addresses[role]);
}
