/* allowance.c: the limits of relay.allow. */
#include "policy/allowance.h"

#include "policy/meter.h"
#include "policy/state.h"

#include <string.h>

#define TAG_COUNT_MAX 32

/* tag_names: the names of the tags in the table on the top, sorted. */
static size_t tag_names(lua_State *L, const char *names[TAG_COUNT_MAX])
{
    size_t count = 0, len;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
        if (!name || count == TAG_COUNT_MAX || len == 0 || strcspn(name, "=,") != len)
            state_raise(L, "relay.allow: tags: at most %d names without ',' and '=' expected", TAG_COUNT_MAX);
        size_t at = count++;
        for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)
            names[at] = names[at - 1];
        names[at] = name;
    }
    return count;
}

/* tags_field: the table on the top as "k=v,k=v". */
static void tags_field(lua_State *L, struct allowance *out)
{
    struct labels *labels = &out->labels;
    const char *names[TAG_COUNT_MAX];
    if (!lua_istable(L, -1))
        state_raise(L, "relay.allow: tags: a table expected, got %s", luaL_typename(L, -1));
    struct slab text = slab_over(labels->tags, TAGS_GIVEN_MAX - 1);
    const size_t count = tag_names(L, names);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const bool plain = lua_getfield(L, -1, names[i]) != LUA_TTABLE;
        const char *value = luaL_tolstring(L, -1, &len);
        if (!plain || strcspn(value, ",") != len)
            state_raise(L, "relay.allow: tags: plain values without ',' expected");
        if (i)
            slab_put_u8(&text, ',');
        slab_put_text(&text, names[i]);
        slab_put_u8(&text, '=');
        slab_put(&text, view_of(value, len));
        lua_pop(L, 2);
    }
    if (text.overflow)
        state_raise(L, "relay.allow: tags: longer than %d bytes", TAGS_GIVEN_MAX - 1);
    labels->tags[text.len] = 0;
}

/* name_field: the name on the top. */
static void name_field(lua_State *L, const char *label, char out[NAME_MAX_LEN + 1])
{
    size_t len;
    const char *name = argument_text(L, -1, label, NAME_MAX_LEN, &len);
    if (len == 0)
        state_raise(L, "%s: a name expected, got an empty one", label);
    view_copy(view_of(name, len), out, NAME_MAX_LEN + 1);
}

static void group_field(lua_State *L, struct allowance *out)
{
    name_field(L, "relay.allow: group", out->labels.group);
}

static void pool_field(lua_State *L, struct allowance *out)
{
    name_field(L, "relay.allow: pool", out->labels.pool);
}

static void acl_field(lua_State *L, struct allowance *out)
{
    out->limits.acl = *(struct cidr_set **)object_check(L, -1, OBJECT_CIDR, "relay.allow: permission_acl: a relay.cidr");
}

static void metering_field(lua_State *L, struct allowance *out)
{
    out->metering = meter_field(L, -1);
}

/* X(name, type, about, how the value on the top is read): what is no number */
#define PARTS(X)                                                                                                                           \
    X(permission_acl, "cidr?",                                                                                                             \
      "peers in it are granted without asking `permission`; others are asked, or refused if no policy has that hook", acl_field)           \
    X(meter, "relay.allow.meter?", "counts what is relayed, about twice a second. One policy alone may name a meter", metering_field)      \
    X(tags, "table<string, string|number|boolean>?",                                                                                       \
      "values without `,`, names without `,` and `=`; 32, together at most 127 bytes as `k=v,k=v`", tags_field)                            \
    X(group, "string?",                                                                                                                    \
      "it exchanges packets only with relayed addresses of this server that allocations of the same group of the same tenant hold "        \
      "at that moment; every other peer is 403 `not_in_group`, and no option opens it. At most 128 bytes; several policies must name the " \
      "same",                                                                                                                              \
      group_field)                                                                                                                         \
    X(pool, "string?",                                                                                                                     \
      "it relays from an address of this relay-pool of the configuration, and from no other; without it from those of no pool. One that "  \
      "there is not is 500 `unknown_pool`; several policies must name the same",                                                           \
      pool_field)

#define PART_ROW(name, type, about, read) {#name, read},

static const struct {
    const char *name;
    void (*read)(lua_State *, struct allowance *);
} part_rows[] = {PARTS(PART_ROW)};
#define PART_ROWS (sizeof part_rows / sizeof *part_rows)

/* X(name, type, about, field of struct limits, enum limit) */
#define LIMITS(X)                                                                                                                          \
    X(total_quota, "integer?", "allocations at a time in all; over it 486", total_quota, LIMIT_OTHER)                                      \
    X(realm_quota, "integer?", "of the tenant; over it 486", realm_quota, LIMIT_OTHER)                                                     \
    X(user_quota, "integer?", "of the tenant's user; over it 486", user_quota, LIMIT_OTHER)                                                \
    X(max_lifetime, "integer?", "seconds that an Allocate or Refresh may ask for", max_lifetime_s, LIMIT_MAX_LIFETIME)                     \
    X(max_permissions, "integer?", "of this allocation; over it 508", max_permissions, LIMIT_OTHER)                                        \
    X(max_channels, "integer?", "of this allocation; over it 508", max_channels, LIMIT_OTHER)                                              \
    X(max_bps, "integer?", "bits a second, in each direction", max_bps, LIMIT_MAX_BPS)                                                     \
    X(max_pps, "integer?", "packets a second, in each direction", max_pps, LIMIT_OTHER)                                                    \
    X(max_user_bps, "integer?",                                                                                                            \
      "bits a second, in each direction, of all allocations of the tenant's user together; the last one says how many", max_user_bps,      \
      LIMIT_OTHER)                                                                                                                         \
    X(max_new_peers, "integer?",                                                                                                           \
      "peer addresses a second that it has no permission for, of a TCP allocation connections a second; over it 508", max_new_peers,       \
      LIMIT_OTHER)

#define LIMIT_ROW(name, type, about, field, flag) {#name, offsetof(struct limits, field), sizeof((struct limits){0}.field), flag},

static const struct {
    const char *name;
    size_t offset, size;
    enum limit flag;
} limit_rows[] = {LIMITS(LIMIT_ROW)};
#define LIMIT_ROWS (sizeof limit_rows / sizeof *limit_rows)

/* limit_field: the value on the top. */
static void limit_field(lua_State *L, struct limits *limits, size_t row)
{
    const lua_Integer most = limit_rows[row].size == sizeof(uint32_t) ? UINT32_MAX : LUA_MAXINTEGER;
    const lua_Integer value = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (value < 1 || value > most)
        state_raise(L, "relay.allow: %s: an integer from 1 to %I expected, got %s", limit_rows[row].name, (LUAI_UACINT)most,
                    luaL_tolstring(L, -1, NULL));
    char *at = (char *)limits + limit_rows[row].offset;
    if (limit_rows[row].size == sizeof(uint32_t))
        memcpy(at, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    else
        memcpy(at, &(uint64_t){(uint64_t)value}, sizeof(uint64_t));
}

static const struct member allow_members[] = {LIMITS(MEMBER_ROW) PARTS(MEMBER_ROW)};
const struct shown allow_given = SHOWN(ROLE_GIVEN, "relay.allow",
                                       "Numbers are from 1. A limit that is left out is not set here; the configuration's and the tenant's "
                                       "hold in any case. The strictest of several policies counts.",
                                       allow_members);

uint8_t allowance_read(lua_State *L, int at, struct allowance *out)
{
    unsigned given = 0;
    at = lua_absindex(L, at);
    strict_only(L, at, "relay.allow", &allow_given);
    for (size_t i = 0; i < LIMIT_ROWS; i++) {
        if (lua_getfield(L, at, limit_rows[i].name) != LUA_TNIL) {
            limit_field(L, &out->limits, i);
            given |= limit_rows[i].flag;
        }
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < PART_ROWS; i++) {
        if (lua_getfield(L, at, part_rows[i].name) != LUA_TNIL) {
            part_rows[i].read(L, out);
            given |= LIMIT_OTHER;
        }
        lua_pop(L, 1);
    }
    return (uint8_t)given;
}
