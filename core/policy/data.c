/* data.c: relay.data: a JSON file as a read-only tree, one copy for all workers.
 *
 * What a script holds of the tree is a place: the file, and the way there from the place that it was reached from. When the file's content
 * is another than at the last use, the way is gone again: a part that a script keeps follows its file.
 */
#include "policy/library.h"
#include "policy/sandbox.h"
#include "policy/shared.h"
#include "policy/tree.h"

#include <string.h>

/* struct node: a place. User values: the place above it (nil: this is the root) and the key there. */
struct node {
    const struct source *source;
    uint64_t serial; /* of the content that `at` is of */
    json_t *at;      /* NULL: nothing is there now */
};

#define NODE_ABOVE 1
#define NODE_KEY 2
#define SERIAL_NONE UINT64_MAX

static json_t *child(lua_State *L, const json_t *node, int at)
{
    size_t len;
    if (json_is_array(node) && lua_isinteger(L, at))
        return lua_tointeger(L, at) > 0 ? json_array_get(node, (size_t)lua_tointeger(L, at) - 1) : NULL;
    const char *name = lua_type(L, at) == LUA_TSTRING ? lua_tolstring(L, at, &len) : NULL;
    return name && json_is_object(node) ? json_object_getn(node, name, len) : NULL;
}

/* resolve: what stands now at the place that is at `at` of the stack. */
static json_t *resolve(lua_State *L, int at)
{
    uint64_t serial;
    struct node *node = object_check(L, at, OBJECT_DATA, "a relay.data");
    const void *root = source_content(node->source, &policy_of(L)->reader, &serial);
    if (node->serial == serial)
        return node->at;
    luaL_checkstack(L, 2, "relay.data");
    if (lua_getiuservalue(L, at, NODE_ABOVE) == LUA_TNIL) {
        node->at = (json_t *)(uintptr_t)root;
        lua_pop(L, 1);
    } else {
        const json_t *above = resolve(L, lua_gettop(L));
        lua_getiuservalue(L, at, NODE_KEY);
        node->at = child(L, above, -1);
        lua_pop(L, 2);
    }
    node->serial = serial;
    return node->at;
}

static json_t *node_self(lua_State *L)
{
    return resolve(L, 1);
}

/* push_place: `json`, which is in the place at 1 under the key at `key`. */
static void push_place(lua_State *L, json_t *json, int key)
{
    const struct node *above = lua_touserdata(L, 1);
    struct node *node = object_new_holding(L, OBJECT_DATA, sizeof *node, 2);
    *node = (struct node){.source = above->source, .serial = above->serial, .at = json};
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, NODE_ABOVE);
    lua_pushvalue(L, key);
    lua_setiuservalue(L, -2, NODE_KEY);
}

static int push_child(lua_State *L, json_t *json, int key)
{
    if (json_is_object(json) || json_is_array(json))
        push_place(L, json, key);
    else
        tree_push_plain(L, json);
    return 1;
}

static int node_index(lua_State *L)
{
    return push_child(L, child(L, node_self(L), 2), 2);
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
    lua_settop(L, 2);
    if (json_is_array(node)) {
        const lua_Integer at = luaL_optinteger(L, 2, 0) + 1;
        lua_pushinteger(L, at);
        return at >= 1 && (lua_Unsigned)at <= json_array_size(node) ? 1 + push_child(L, json_array_get(node, (size_t)at - 1), 3) : 0;
    }
    void *at = lua_isnil(L, 2) ? json_object_iter(node) : json_object_iter_next(node, json_object_iter_at(node, luaL_checkstring(L, 2)));
    if (!at)
        return 0;
    lua_pushlstring(L, json_object_iter_key(at), json_object_iter_key_len(at));
    return 1 + push_child(L, json_object_iter_value(at), 3);
}

static int node_pairs(lua_State *L)
{
    node_self(L);
    lua_pushcfunction(L, node_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static void *read_tree(const char *path, char *error, size_t error_cap)
{
    json_error_t why;
    json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!tree)
        snprintf(error, error_cap, "%s:%d: %s", name, why.line > 0 ? why.line : 1, why.text);
    return tree;
}

static void free_tree(void *content)
{
    json_decref(content);
}

static const struct source_kind tree_kind = {read_tree, free_tree};

int relay_data(lua_State *L)
{
    struct source *source = library_file(L, "relay.data", &tree_kind);
    struct node *node = object_new_holding(L, OBJECT_DATA, sizeof *node, 2);
    *node = (struct node){.source = source, .serial = SERIAL_NONE};
    return 1;
}

static const struct member data_members[] = {
    FIELD("[any]", "any", "string, number, boolean, a part of the tree; what is missing is nil"),
};
const struct shown data_shown = SHOWN(ROLE_RETURNED, "data", "A part of a tree: index, `#`, `pairs`, `ipairs`; read-only.", data_members);

void data_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__index", node_index}, {"__len", node_length}, {"__pairs", node_pairs}, {NULL, NULL}};
    object_define(L, OBJECT_DATA, "data", NULL, meta);
}
