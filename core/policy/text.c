/* text.c: the string library of scripts: Lua's own, with our matcher behind find, match, gmatch and gsub, and a bound on string.rep. */
#include "policy/pattern.h"
#include "policy/sandbox.h"
#include "policy/state.h"

#include <lualib.h>
#include <string.h>

/* start_at: the optional position at `at` as an offset; more than the length: behind the end. */
static size_t start_at(lua_State *L, int at, size_t len)
{
    const lua_Integer position = luaL_optinteger(L, at, 1);
    if (position > 0)
        return (size_t)position - 1;
    if (position == 0 || position < -(lua_Integer)len)
        return 0;
    return len - (size_t)-position;
}

static int plain_find(lua_State *L, const char *text, size_t len, size_t from)
{
    size_t word_len;
    const char *word = luaL_checklstring(L, 2, &word_len);
    budget_charge(L, (len - from) / BYTES_PER_INSTRUCTION);
    const char *found = word_len ? memmem(text + from, len - from, word, word_len) : text + from;
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (lua_Integer)word_len);
    return 2;
}

static int search(lua_State *L, bool find)
{
    size_t len, pattern_len;
    const char *text = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
    const size_t from = start_at(L, 3, len);
    if (from > len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || strcspn(pattern, "^$*+?.([%-") == pattern_len))
        return plain_find(L, text, len, from);
    const bool anchored = pattern_len && *pattern == '^';
    struct match match;
    match_init(&match, L, text, len, pattern + pattern_len);
    for (const char *at = text + from; at <= text + len; at++) {
        const char *end = match_at(&match, at, pattern + anchored);
        if (end) {
            match_charge(&match);
            if (!find)
                return match_push_all(&match, at, end);
            lua_pushinteger(L, at - text + 1);
            lua_pushinteger(L, end - text);
            return match_push_all(&match, NULL, NULL) + 2;
        }
        if (anchored)
            break;
    }
    match_charge(&match);
    lua_pushnil(L);
    return 1;
}

static int text_find(lua_State *L)
{
    return search(L, true);
}

static int text_match(lua_State *L)
{
    return search(L, false);
}

/* struct walk: a gmatch; upvalues of the iterator: the subject, the pattern, this. */
struct walk {
    struct match match;
    const char *at, *pattern, *last; /* last: where the last match ended */
};

static int walk_next(lua_State *L)
{
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(3));
    walk->match.L = L;
    for (const char *at = walk->at; at <= walk->match.subject_end; at++) {
        const char *end = match_at(&walk->match, at, walk->pattern);
        if (end && end != walk->last) {
            walk->at = walk->last = end;
            match_charge(&walk->match);
            return match_push_all(&walk->match, at, end);
        }
    }
    walk->at = walk->match.subject_end + 1;
    match_charge(&walk->match);
    return 0;
}

static int text_gmatch(lua_State *L)
{
    size_t len, pattern_len;
    const char *text = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
    const size_t from = start_at(L, 3, len);
    lua_settop(L, 2);
    struct walk *walk = lua_newuserdatauv(L, sizeof *walk, 0);
    match_init(&walk->match, L, text, len, pattern + pattern_len);
    walk->at = from > len ? text + len + 1 : text + from;
    walk->pattern = pattern;
    walk->last = NULL;
    lua_pushcclosure(L, walk_next, 3);
    return 1;
}

/* add_template: a replacement string with %0..%9 and %%. */
static void add_template(struct match *match, luaL_Buffer *out, const char *from, const char *to)
{
    size_t len;
    lua_State *L = match->L;
    const char *text = lua_tolstring(L, 3, &len);
    budget_charge(L, len / BYTES_PER_INSTRUCTION);
    for (const char *end = text + len; text < end; text++) {
        if (*text != '%') {
            luaL_addchar(out, *text);
        } else if (++text < end && *text == '%') {
            luaL_addchar(out, '%');
        } else if (text < end && *text == '0') {
            luaL_addlstring(out, from, (size_t)(to - from));
        } else if (text < end && *text >= '1' && *text <= '9') {
            match_push(match, *text - '1', from, to);
            luaL_tolstring(L, -1, NULL);
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            state_raise(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* add_value: what replaces [from, to): by the table or function at 3; false and nil keep it. */
static void add_value(struct match *match, luaL_Buffer *out, const char *from, const char *to)
{
    lua_State *L = match->L;
    if (lua_type(L, 3) == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        const int captures = match_push_all(match, from, to);
        lua_call(L, captures, 1);
    } else {
        match_push(match, 0, from, to);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, from, (size_t)(to - from));
        return;
    }
    if (!lua_isstring(L, -1))
        state_raise(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(out);
}

static int text_gsub(lua_State *L)
{
    size_t len, pattern_len;
    const char *text = luaL_checklstring(L, 1, &len), *pattern = luaL_checklstring(L, 2, &pattern_len);
    const int kind = lua_type(L, 3);
    luaL_argexpected(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
                     "string/function/table");
    const lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1);
    const bool anchored = pattern_len && *pattern == '^', template = kind == LUA_TNUMBER || kind == LUA_TSTRING;
    const char *at = text, *last = NULL, *end = text + len;
    lua_Integer count = 0;
    luaL_Buffer out;
    struct match match;
    match_init(&match, L, text, len, pattern + pattern_len);
    luaL_buffinit(L, &out);
    while (count < most) {
        const char *to = match_at(&match, at, pattern + anchored);
        if (to && to != last) {
            count++;
            (template ? add_template : add_value)(&match, &out, at, to);
            at = last = to;
        } else if (at < end) {
            luaL_addchar(&out, *at++);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    match_charge(&match);
    luaL_addlstring(&out, at, (size_t)(end - at));
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

/* upvalue: Lua's own */
static int text_rep(lua_State *L)
{
    size_t len, separator_len = 0;
    luaL_checklstring(L, 1, &len);
    const lua_Integer count = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator_len);
    const size_t unit = len + separator_len > 0 ? len + separator_len : 1;
    if (count > 0 && (unit > TEXT_MAX || (lua_Unsigned)count > TEXT_MAX / unit))
        return luaL_error(L, "string.rep: more than %d bytes", (int)TEXT_MAX);
    if (count > 0)
        budget_charge(L, (size_t)count * unit / BYTES_PER_INSTRUCTION);
    lua_settop(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 3, 1);
    return 1;
}

void sandbox_strings(lua_State *L)
{
    static const luaL_Reg ours[] = {{"find", text_find}, {"match", text_match}, {"gmatch", text_gmatch}, {"gsub", text_gsub}, {NULL, NULL}};
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
    luaL_setfuncs(L, ours, 0);
    lua_getfield(L, -1, "rep");
    lua_pushcclosure(L, text_rep, 1);
    lua_setfield(L, -2, "rep");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}
