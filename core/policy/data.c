/* data.c: relay.data: a JSON file as a read-only tree, one copy for all workers; and JSON as text for relay.audit. */
#include "policy/library.h"
#include "policy/sandbox.h"
#include "policy/shared.h"

#include <string.h>

#define PATH_CAP 1024

static json_t *node_self(lua_State *L)
{
    return *(json_t **)object_check(L, 1, OBJECT_DATA, "a relay.data");
}

static int push_node(lua_State *L, json_t *node)
{
    switch (node ? json_typeof(node) : JSON_NULL) {
        case JSON_OBJECT:
        case JSON_ARRAY:
            *(json_t **)object_new(L, OBJECT_DATA, sizeof node) = node;
            break;
        case JSON_STRING:
            lua_pushlstring(L, json_string_value(node), json_string_length(node));
            break;
        case JSON_INTEGER:
            lua_pushinteger(L, json_integer_value(node));
            break;
        case JSON_REAL:
            lua_pushnumber(L, json_real_value(node));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            lua_pushboolean(L, json_is_true(node));
            break;
        default:
            lua_pushnil(L);
    }
    return 1;
}

static json_t *child(lua_State *L, const json_t *node, int at)
{
    size_t len;
    if (json_is_array(node) && lua_isinteger(L, at))
        return lua_tointeger(L, at) > 0 ? json_array_get(node, (size_t)lua_tointeger(L, at) - 1) : NULL;
    const char *name = lua_type(L, at) == LUA_TSTRING ? lua_tolstring(L, at, &len) : NULL;
    return name && json_is_object(node) ? json_object_getn(node, name, len) : NULL;
}

static int node_index(lua_State *L)
{
    return push_node(L, child(L, node_self(L), 2));
}

static int node_length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)json_array_size(node_self(L)));
    return 1;
}

/* the iterator of pairs: (node, the last key) -> key, value */
static int node_next(lua_State *L)
{
    json_t *node = node_self(L);
    if (json_is_array(node)) {
        const lua_Integer at = luaL_optinteger(L, 2, 0) + 1;
        lua_pushinteger(L, at);
        return at >= 1 && (lua_Unsigned)at <= json_array_size(node) ? 1 + push_node(L, json_array_get(node, (size_t)at - 1)) : 0;
    }
    void *at =
        lua_isnoneornil(L, 2) ? json_object_iter(node) : json_object_iter_next(node, json_object_iter_at(node, luaL_checkstring(L, 2)));
    if (!at)
        return 0;
    lua_pushlstring(L, json_object_iter_key(at), json_object_iter_key_len(at));
    return 1 + push_node(L, json_object_iter_value(at));
}

static int node_pairs(lua_State *L)
{
    node_self(L);
    lua_pushcfunction(L, node_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int make_data(struct policy_shared *shared, struct shared_object *object, void *ctx, char *error, size_t error_cap)
{
    const char *path = ctx;
    json_error_t why;
    (void)shared;
    object->as.data = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (object->as.data)
        return 0;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(error, error_cap, "%s:%d: %s", name, why.line > 0 ? why.line : 1, why.text);
    return -1;
}

int relay_data(lua_State *L)
{
    char path[PATH_CAP], error[256];
    state_loading(L, "relay.data");
    const struct policy *policy = policy_of(L);
    const char *file = argument_text(L, 1, "relay.data", NAME_MAX_LEN, NULL);
    if (*file == '/' || strstr(file, ".."))
        state_raise(L, "relay.data: the name of a file of the policy directory expected");
    snprintf(path, sizeof path, "%s%s", policy->script->directory, file);
    struct shared_object *object =
        shared_object(policy->shared, SHARED_DATA, path, &(struct shared_options){0}, make_data, path, error, sizeof error);
    if (!object)
        state_raise(L, "relay.data: %s", error);
    return push_node(L, object->as.data);
}

void data_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__index", node_index}, {"__len", node_length}, {"__pairs", node_pairs}, {NULL, NULL}};
    object_define(L, OBJECT_DATA, "data", NULL, meta);
}
