/* show.c: a table is one line where it fits, else a line for each field. */
#include "policy/show.h"

#include "base/bytes.h"
#include "base/utf8.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define LINE_BYTES 120
#define NAMES_MAX 10000

struct show {
    FILE *out; /* NULL: it is only tried */
    size_t left;
    bool is_cut; /* and it is said */
};

/* struct name: of a field: a string, or a number. */
struct name {
    const char *text; /* NULL: a number */
    lua_Number number;
    lua_Integer integer;
    bool is_integer;
};

static void put(struct show *show, const char *text, size_t len)
{
    const bool has_room = len <= show->left;
    if (show->out && !show->is_cut)
        fwrite(has_room ? text : "...", 1, has_room ? len : 3, show->out);
    show->left -= has_room ? len : show->left;
    show->is_cut |= !has_room;
}

static void put_text(struct show *show, const char *text)
{
    put(show, text, strlen(text));
}

/* put_string: quoted; or as it is, with its lines, but for what a terminal would obey. */
static void put_string(struct show *show, struct view in, bool quoted)
{
    char hex[8];
    if (quoted)
        put_text(show, "\"");
    while (in.len && !show->is_cut) {
        const size_t len = utf8_len(in);
        const uint8_t c = *in.at;
        const bool is_control = len == 0 || c < ' ' || c == 0x7f || (len == 2 && c == 0xc2 && in.at[1] < 0xa0);
        snprintf(hex, sizeof hex, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\x%02x", c);
        if (is_control && !(!quoted && (c == '\n' || c == '\t')))
            put_text(show, hex);
        else if (quoted && (c == '"' || c == '\\'))
            put_text(show, c == '"' ? "\\\"" : "\\\\");
        else
            put(show, (const char *)in.at, len);
        in = view_from(in, is_control ? 1 : len);
    }
    if (quoted)
        put_text(show, "\"");
}

static int compare(const void *a, const void *b)
{
    const struct name *one = a, *two = b;
    if (!one->text != !two->text)
        return one->text ? 1 : -1;
    if (one->text)
        return strcmp(one->text, two->text);
    return one->number < two->number ? -1 : one->number > two->number;
}

/* is_name: the key at -2 is none of the list 1 to `list`, and a string or a number. */
static bool is_name(lua_State *L, lua_Integer list)
{
    if (lua_type(L, -2) != LUA_TNUMBER)
        return lua_type(L, -2) == LUA_TSTRING;
    return !lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > list;
}

static struct name name_at(lua_State *L, int at)
{
    if (lua_type(L, at) == LUA_TSTRING)
        return (struct name){.text = lua_tostring(L, at)};
    return (struct name){.number = lua_tonumber(L, at), .integer = lua_tointeger(L, at), .is_integer = lua_isinteger(L, at)};
}

/* names_of: of the fields of the table at `at` beside the list, sorted, in a userdata that is pushed; at most NAMES_MAX. */
static struct name *names_of(lua_State *L, int at, lua_Integer list, size_t *count)
{
    size_t room = 0;
    for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1))
        room += is_name(L, list);
    room = room < NAMES_MAX ? room : NAMES_MAX;
    struct name *names = lua_newuserdatauv(L, (room + 1) * sizeof *names, 0);
    const int top = lua_gettop(L);
    *count = 0;
    lua_pushnil(L);
    while (*count < room && lua_next(L, at)) {
        if (is_name(L, list))
            names[(*count)++] = name_at(L, -2);
        lua_pop(L, 1);
    }
    lua_settop(L, top); /* without the name that the walk stopped at */
    qsort(names, *count, sizeof *names, compare);
    return names;
}

static void push_field(lua_State *L, int at, const struct name *name)
{
    if (name->text)
        lua_pushstring(L, name->text);
    else if (name->is_integer)
        lua_pushinteger(L, name->integer);
    else
        lua_pushnumber(L, name->number);
    lua_rawget(L, at);
}

static bool is_word(const char *text)
{
    return *text && !(*text >= '0' && *text <= '9') &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(text);
}

static void put_name(struct show *show, const struct name *name)
{
    char number[64];
    if (name->text && is_word(name->text)) {
        put_text(show, name->text);
    } else if (name->text) {
        put_text(show, "[");
        put_string(show, view_text(name->text), true);
        put_text(show, "]");
    } else {
        snprintf(number, sizeof number, name->is_integer ? "[%.0f]" : "[%.14g]", name->is_integer ? (double)name->integer : name->number);
        put_text(show, number);
    }
    put_text(show, " = ");
}

static void put_value(lua_State *L, int at, struct show *show, int depth, bool is_inline);

static void begin_line(struct show *show, int depth)
{
    put_text(show, "\n");
    for (int i = 0; i < depth; i++)
        put_text(show, "  ");
}

static void put_table(lua_State *L, int at, struct show *show, int depth, bool is_inline)
{
    const lua_Integer list = (lua_Integer)lua_rawlen(L, at);
    size_t count;
    luaL_checkstack(L, LUA_MINSTACK, "too deep");
    if (depth == DEPTH_MAX) {
        put_text(show, "{...}");
        return;
    }
    const struct name *names = names_of(L, at, list, &count);
    put_text(show, "{");
    for (lua_Integer i = 1; i <= list + (lua_Integer)count && !show->is_cut; i++) {
        if (!is_inline)
            begin_line(show, depth + 1);
        else if (i > 1)
            put_text(show, " ");
        if (i > list) {
            put_name(show, &names[i - list - 1]);
            push_field(L, at, &names[i - list - 1]);
        } else {
            lua_rawgeti(L, at, i);
        }
        put_value(L, lua_gettop(L), show, depth + 1, is_inline);
        lua_pop(L, 1);
        if (!is_inline || i < list + (lua_Integer)count)
            put_text(show, ",");
    }
    if (!is_inline)
        begin_line(show, depth);
    put_text(show, "}");
    lua_pop(L, 1);
}

/* fits: on one line. */
static bool fits(lua_State *L, int at, int depth)
{
    struct show line = {.left = LINE_BYTES};
    put_table(L, at, &line, depth, true);
    return !line.is_cut;
}

static void put_value(lua_State *L, int at, struct show *show, int depth, bool is_inline)
{
    size_t len;
    switch (lua_type(L, at)) {
        case LUA_TTABLE:
            put_table(L, at, show, depth, is_inline || fits(L, at, depth));
            break;
        case LUA_TSTRING: {
            const char *text = lua_tolstring(L, at, &len);
            put_string(show, view_of(text, len), depth > 0);
            break;
        }
        case LUA_TNUMBER:
            lua_pushvalue(L, at);
            put_text(show, lua_tostring(L, -1));
            lua_pop(L, 1);
            break;
        case LUA_TBOOLEAN:
            put_text(show, lua_toboolean(L, at) ? "true" : "false");
            break;
        default:
            put_text(show, lua_type(L, at) == LUA_TNIL ? "nil" : luaL_typename(L, at));
    }
}

void show_value(lua_State *L, int at, FILE *out)
{
    struct show show = {.out = out, .left = SHOW_MAX};
    put_value(L, lua_absindex(L, at), &show, 0, false);
    fputc('\n', out);
}
