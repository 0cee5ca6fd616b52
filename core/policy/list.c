/* list.c: the table library of scripts: Lua's own, bounded in elements and charged to the budget. A __len that lies cannot keep it busy. */
#include "policy/sandbox.h"
#include "policy/state.h"

#include <lualib.h>

/* list_length: #t, at most LIST_MAX. */
static lua_Integer list_length(lua_State *L, const char *function)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const lua_Integer length = luaL_len(L, 1);
    if (length > LIST_MAX)
        state_raise(L, "%s: more than %d elements", function, LIST_MAX);
    return length;
}

/* charge_span: last - first + 1 elements, at most LIST_MAX; charged. */
static void charge_span(lua_State *L, const char *function, lua_Integer first, lua_Integer last)
{
    if (last < first)
        return;
    const lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
    if (count >= LIST_MAX)
        state_raise(L, "%s: more than %d elements", function, LIST_MAX);
    budget_charge(L, count / 4);
}

static int list_insert(lua_State *L)
{
    const lua_Integer end = list_length(L, "table.insert") + 1;
    lua_Integer at = end;
    if (lua_gettop(L) != 2) {
        if (lua_gettop(L) != 3)
            return luaL_error(L, "wrong number of arguments to 'insert'");
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
        charge_span(L, "table.insert", at, end);
        for (lua_Integer i = end; i > at; i--) {
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
    }
    lua_seti(L, 1, at);
    return 0;
}

static int list_remove(lua_State *L)
{
    const lua_Integer length = list_length(L, "table.remove");
    lua_Integer at = luaL_optinteger(L, 2, length);
    if (at != length) /* the last one, also of an empty list, is always fine */
        luaL_argcheck(L, at >= 1 && at <= length + 1, 2, "position out of bounds");
    charge_span(L, "table.remove", at, length);
    lua_geti(L, 1, at);
    for (; at < length; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int list_concat(lua_State *L)
{
    size_t separator_len, len;
    const lua_Integer length = list_length(L, "table.concat");
    const char *separator = luaL_optlstring(L, 2, "", &separator_len);
    const lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, length);
    charge_span(L, "table.concat", first, last);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (lua_Integer i = first; first <= last; i++) {
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1), (LUAI_UACINT)i);
        lua_tolstring(L, -1, &len);
        luaL_addvalue(&out);
        budget_charge(L, 1 + (len + separator_len) / BYTES_PER_INSTRUCTION);
        if (i == last)
            break;
        luaL_addlstring(&out, separator, separator_len);
    }
    luaL_pushresult(&out);
    return 1;
}

/* own: calls Lua's function in upvalue 1 with the arguments as they are. */
static int own(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int list_move(lua_State *L)
{
    charge_span(L, "table.move", luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return own(L);
}

static int list_unpack(lua_State *L)
{
    const lua_Integer first = luaL_optinteger(L, 2, 1);
    const lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
    charge_span(L, "table.unpack", first, last);
    lua_settop(L, 1);
    lua_pushinteger(L, first);
    lua_pushinteger(L, last);
    return own(L);
}

/* n log2 n comparisons, of which a comparator of the script pays for itself. Lua's own asks for the length again: no __len here. */
static int list_sort(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
        return luaL_error(L, "table.sort: a table without __len expected");
    lua_Unsigned cost = 0;
    for (lua_Unsigned n = lua_rawlen(L, 1), left = n; left > 1; left /= 2)
        cost += n;
    budget_charge(L, cost / 4);
    return own(L);
}

void sandbox_tables(lua_State *L)
{
    static const luaL_Reg ours[] = {{"insert", list_insert}, {"remove", list_remove}, {"concat", list_concat}, {NULL, NULL}};
    static const luaL_Reg around[] = {{"move", list_move}, {"unpack", list_unpack}, {"sort", list_sort}};
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
    luaL_setfuncs(L, ours, 0);
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        lua_getfield(L, -1, around[i].name);
        lua_pushcclosure(L, around[i].func, 1);
        lua_setfield(L, -2, around[i].name);
    }
}
