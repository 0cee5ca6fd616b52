/* library.c: the rows of the table `relay`, and the small functions that have no subject of their own. */
#include "policy/library.h"

#include "policy/address.h"
#include "policy/decision.h"
#include "policy/meter.h"
#include "policy/sandbox.h"
#include "policy/shared.h"

#include "base/err.h"
#include "base/opaque.h"
#include "wire/integrity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAP 1024

/* relay.split(text, separator): what is before the first separator and what is behind it; the text and nil without one. */
static int split(lua_State *L)
{
    size_t len, separator_len;
    const char *text = luaL_checklstring(L, 1, &len), *separator = luaL_checklstring(L, 2, &separator_len);
    const char *at = separator_len ? memmem(text, len, separator, separator_len) : NULL;
    lua_settop(L, 2);
    if (!at) {
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        return 2;
    }
    lua_pushlstring(L, text, (size_t)(at - text));
    lua_pushlstring(L, at + separator_len, len - (size_t)(at - text) - separator_len);
    return 2;
}

static int prefix(lua_State *L)
{
    size_t len, prefix_len;
    const char *text = luaL_checklstring(L, 1, &len), *start = luaL_checklstring(L, 2, &prefix_len);
    lua_pushboolean(L, len >= prefix_len && memcmp(text, start, prefix_len) == 0);
    return 1;
}

/* relay.userhash(name, realm): what a client that hides its name says in its place, as req.userhash shows it. RFC 8489 section 14.4. */
static int userhash(lua_State *L)
{
    char prepared[2][OPAQUE_MAX_LEN + 1], hex[2 * CRYPTO_HASH_MAX + 1];
    uint8_t hash[CRYPTO_HASH_MAX];
    struct view parts[2];
    for (int i = 0; i < 2; i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i + 1, &len);
        parts[i] = opaque_prepared(view_of(text, len), prepared[i]);
        if (parts[i].len == 0)
            state_raise(L, "relay.userhash: %s expected", i ? "a realm" : "a name");
    }
    if (integrity_userhash(policy_of(L)->world.crypto, parts[0], parts[1], hash) != 0)
        state_raise(L, "relay.userhash: libcrypto failed");
    crypto_hex(view_of(hash, INTEGRITY_USERHASH_LEN), hex);
    lua_pushstring(L, hex);
    return 1;
}

/* relay.set(list): a table whose members are true. */
static int set(lua_State *L)
{
    luaL_argexpected(L, lua_istable(L, 1) || object_test(L, 1, OBJECT_DATA), 1, "list");
    const lua_Integer count = luaL_len(L, 1);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count && i <= LIST_MAX; i++) {
        lua_geti(L, 1, i);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    strict_proxy(L, "set");
    return 1;
}

/* relay.timer.every(seconds, function, {on = "one" | "all"}) */
static int every(lua_State *L)
{
    static const char *const names[] = {"on"};
    struct policy *policy = policy_of(L);
    state_loading(L, "relay.timer.every");
    lua_settop(L, 3);
    const lua_Number seconds = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : 0;
    if (!(seconds > 0 && seconds < 1e9))
        state_raise(L, "relay.timer.every: seconds above 0 expected");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    const char *on = "one";
    if (!lua_isnil(L, 3)) {
        strict_only(L, 3, "relay.timer.every", names, 1);
        if (lua_getfield(L, 3, "on") != LUA_TNIL)
            on = argument_text(L, -1, "relay.timer.every: on", 8, NULL);
    }
    const bool everywhere = strcmp(on, "all") == 0;
    if (!everywhere && strcmp(on, "one") != 0)
        state_raise(L, "relay.timer.every: on: 'one' or 'all' expected");
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        state_raise(L, "not enough memory");
    timer->next = policy->timers;
    policy->timers = timer;
    timer->function = LUA_NOREF;
    timer->everywhere = everywhere;
    timer->interval_ms = (msec_t)ceil(seconds * 1000);
    timer->due = policy->now + timer->interval_ms;
    lua_pushvalue(L, 2);
    timer->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* relay.users:get(tenant, user): a table with both names, or nil if there is no such user. */
static int users_get(lua_State *L)
{
    const struct policy_world *world = &policy_of(L)->world;
    struct long_term_key key;
    const char *tenant = lua_isnoneornil(L, 2) ? "" : argument_text(L, 2, "relay.users:get: tenant", NAME_MAX_LEN, NULL);
    const char *user = argument_text(L, 3, "relay.users:get: user", USERNAME_MAX_LEN, NULL);
    const int status = world->user_key ? world->user_key(world->ctx, tenant, user, &key) : ERR_NOT_FOUND;
    crypto_wipe(&key, sizeof key);
    if (status && status != ERR_NOT_FOUND)
        state_raise(L, "relay.users: the users cannot be read");
    if (status) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 2);
    lua_pushstring(L, tenant);
    lua_setfield(L, -2, "tenant");
    lua_pushstring(L, user);
    lua_setfield(L, -2, "user");
    return 1;
}

struct source *library_file(lua_State *L, const char *label, const struct source_kind *kind)
{
    char path[PATH_CAP], error[256];
    state_loading(L, label);
    const struct policy *policy = policy_of(L);
    const char *file = argument_text(L, 1, label, NAME_MAX_LEN, NULL);
    if (*file == '/' || strstr(file, ".."))
        state_raise(L, "%s: the name of a file of the policy directory expected", label);
    snprintf(path, sizeof path, "%s%s", policy->script->directory, file);
    struct source *source = source_open(shared_sources(policy->shared), kind, path, error, sizeof error);
    if (!source)
        state_raise(L, "%s: %s", label, error);
    return source;
}

static void push_library(lua_State *L, const char *label, const luaL_Reg *functions)
{
    char missing[64];
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    snprintf(missing, sizeof missing, "%s has no field '%%s'%%s", label);
    strict_table(L, missing);
    strict_proxy(L, label);
}

void library_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"all", relay_all},
                                         {"audit", relay_audit},
                                         {"cidr", relay_cidr},
                                         {"data", relay_data},
                                         {"hash", relay_hash},
                                         {"hex", relay_hex},
                                         {"hmac", relay_hmac},
                                         {"meter", relay_meter},
                                         {"mmdb", relay_mmdb},
                                         {"params", relay_params},
                                         {"prefix", prefix},
                                         {"random", relay_random},
                                         {"ratelimit", relay_ratelimit},
                                         {"secret", relay_secret},
                                         {"set", set},
                                         {"shared", relay_shared},
                                         {"sleep", relay_sleep},
                                         {"split", split},
                                         {"userhash", userhash},
                                         {NULL, NULL}};
    static const luaL_Reg logs[] = {
        {"debug", relay_log_debug}, {"info", relay_log_info}, {"warn", relay_log_warn}, {"error", relay_log_error}, {NULL, NULL}};
    static const luaL_Reg metric[] = {{"counter", relay_counter}, {NULL, NULL}}, timer[] = {{"every", every}, {NULL, NULL}};
    static const luaL_Reg base64[] = {{"encode", relay_base64_encode}, {"decode", relay_base64_decode}, {NULL, NULL}};
    static const luaL_Reg jwt[] = {{"keys", relay_jwt_keys}, {"verify", relay_jwt_verify}, {NULL, NULL}};
    static const luaL_Reg users[] = {{"get", users_get}, {NULL, NULL}}, http[] = {{"get", relay_http_get}, {"post", relay_http_post}, {NULL, NULL}};
    static const luaL_Reg json[] = {{"decode", relay_json_decode}, {"encode", relay_json_encode}, {NULL, NULL}};
    static const struct {
        const char *name, *label;
        const luaL_Reg *functions;
    } parts[] = {
        {"base64", "relay.base64", base64}, {"http", "relay.http", http},    {"json", "relay.json", json},
        {"jwt", "relay.jwt", jwt},          {"log", "relay.log", logs},
        {"metric", "relay.metric", metric}, {"timer", "relay.timer", timer}, {"users", "relay.users", users}};
    share_open(L);
    data_open(L);
    secret_open(L);
    jwt_open(L);
    mmdb_open(L);
    meter_open(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    decision_open(L);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        push_library(L, parts[i].label, parts[i].functions);
        lua_setfield(L, -2, parts[i].name);
    }
    strict_table(L, "relay has no field '%s'%s");
}
