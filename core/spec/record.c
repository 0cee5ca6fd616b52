/* record.c: events, audit rows and log lines as Lua rows. */
#include "spec/record.h"

#include "policy/state.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

void world_row(struct world *w, const char *list)
{
    lua_State *L = w->lua;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->lists);
    lua_getfield(L, -1, list);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void row_text(lua_State *L, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

void row_number(lua_State *L, const char *name, uint64_t number)
{
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, name);
}

/* tags are "k=v,k=v" */
void row_tags(lua_State *L, const struct allocation *allocation)
{
    lua_newtable(L);
    for (const char *at = allocation->tags; *at;) {
        const size_t pair = strcspn(at, ","), name = strcspn(at, "=");
        lua_pushlstring(L, at, name);
        lua_pushlstring(L, at + name + 1, pair - name - 1);
        lua_rawset(L, -3);
        at += pair + (at[pair] == ',');
    }
    lua_setfield(L, -2, "tags");
}

/* ---- events ---- */

static void event_names(lua_State *L, const struct event *event)
{
    char username[USERNAME_MAX_LEN + 1];
    row_text(L, "user", event->user);
    row_text(L, "tenant", event->tenant);
    row_text(L, "realm", event->realm);
    row_text(L, "username", view_copy(event->username, username, sizeof username));
}

static void event_allocation(lua_State *L, const struct event *event)
{
    const struct allocation *a = event->allocation;
    row_number(L, "allocation", a->id);
    row_number(L, "bytes", a->usage.bytes_in + a->usage.bytes_out);
    row_number(L, "bytes_in", a->usage.bytes_in);
    row_number(L, "bytes_out", a->usage.bytes_out);
    row_number(L, "packets_in", a->usage.packets_in);
    row_number(L, "packets_out", a->usage.packets_out);
    row_number(L, "seconds", (uint64_t)(event->now - a->created) / 1000);
    row_text(L, "group", a->group_name);
    row_tags(L, a);
}

/* an address without a port is shown without it */
static void row_address(lua_State *L, const char *name, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    row_text(L, name, addr->port ? addr_format(addr, text) : addr_format_ip(addr, text));
}

static const char *method_name(uint16_t method)
{
    switch (method) {
        case METHOD_ALLOCATE:
            return "allocate";
        case METHOD_REFRESH:
            return "refresh";
        case METHOD_CREATE_PERMISSION:
            return "permission";
        case METHOD_CHANNEL_BIND:
            return "channel";
        case METHOD_CONNECT:
            return "connect";
        default:
            return NULL;
    }
}

void record_event(struct world *w, const struct event *event)
{
    lua_State *L = w->lua;
    world_row(w, "events");
    row_text(L, "type", event_name(event->type));
    row_number(L, "code", (uint64_t)event->code);
    row_text(L, "reason", event->reason);
    row_text(L, "by", event->by);
    row_number(L, "decision_id", event->decision);
    row_text(L, "policy_rev", w->policy->revision);
    row_text(L, "method", method_name(event->method));
    row_text(L, "transport", transport_name(event->flow->transport));
    row_address(L, "src", &event->flow->client);
    event_names(L, event);
    if (event->peer)
        row_address(L, "peer", event->peer);
    if (event->allocation)
        event_allocation(L, event);
    lua_pop(L, 1);
}

/* ---- audit ---- */

void record_audit(void *ctx, const char *type, const char *detail_json)
{
    struct world *w = ctx;
    lua_State *L = w->lua;
    (void)type; /* a field of the row */
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->lists);
    lua_getfield(L, -1, "audit");
    lua_getglobal(L, "require");
    lua_pushliteral(L, "relay.json");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "decode");
    lua_pushstring(L, detail_json);
    lua_call(L, 1, 1);
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
    lua_pop(L, 3);
}

/* ---- the log ---- */

/* quoted: the text behind an opening quote, as log_quote wrote it, is pushed; returns what follows the closing quote, or NULL. */
static const char *quoted(lua_State *L, const char *at)
{
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (; *at && *at != '"'; at++) {
        uint8_t byte;
        if (at[0] == '\\' && at[1] == 'x' && crypto_hex_decode(view_cut(view_text(at + 2), 2), &byte, 1) == 0) {
            luaL_addchar(&out, (char)byte);
            at += 3;
        } else {
            luaL_addchar(&out, *at);
        }
    }
    luaL_pushresult(&out);
    return *at == '"' ? at + 1 : NULL;
}

/* put_pair: `name="value"` into the table at the top; a number is one again. Returns what follows, or NULL if this is no pair. */
static const char *put_pair(lua_State *L, const char *name)
{
    const char *at = name;
    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    if (at == name || at[0] != '=' || at[1] != '"')
        return NULL;
    lua_pushlstring(L, name, (size_t)(at - name));
    at = quoted(L, at + 2);
    const char *value = lua_tostring(L, -1);
    if (strspn(value, "-0123456789") == strlen(value) && lua_stringtonumber(L, value))
        lua_remove(L, -2);
    lua_rawset(L, -3);
    return at;
}

/* pairs: ` name="value"` to the end of the line: they become a table on the stack; else false and nothing. */
static bool pairs(lua_State *L, const char *at)
{
    lua_newtable(L);
    while (at && *at == ' ')
        at = put_pair(L, at + 1);
    if (at && !*at)
        return true;
    lua_pop(L, 1);
    return false;
}

static void script_line(struct world *w, enum log_level level, const char *line)
{
    static const char *const levels[] = {[LOG_ERROR] = "error", [LOG_WARNING] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    lua_State *L = w->lua;
    const char *end = line;
    while (!pairs(L, end))
        end += 1 + strcspn(end + 1, " ");
    world_row(w, "log");
    row_text(L, "level", levels[level]);
    lua_pushlstring(L, line, (size_t)(end - line));
    lua_setfield(L, -2, "message");
    lua_insert(L, -2);
    lua_setfield(L, -2, "fields");
    lua_pop(L, 1);
}

static const char *kind_of(const char *reason, const char *by)
{
    if (strstr(reason, "killed") || strstr(reason, "instructions") || strstr(reason, "wall"))
        return "budget";
    if (strstr(reason, "waited too long"))
        return "late";
    if (strstr(reason, "not enough memory"))
        return "memory";
    if (strstr(reason, "not a decision") || strstr(reason, "may not "))
        return "type";
    return strncmp(reason, by, strlen(by)) == 0 ? "error" : "fail";
}

/* hook=H by=B reason="R" */
static void error_line(struct world *w, const char *line)
{
    lua_State *L = w->lua;
    char hook[32] = "", by[128] = "";
    const char *reason = strstr(line, " reason=\"");
    sscanf(line, "hook=%31s by=%127s", hook, by);
    world_row(w, "errors");
    row_text(L, "hook", hook);
    row_text(L, "by", by);
    lua_pushlstring(L, by, strcspn(by, ":"));
    lua_setfield(L, -2, "policy");
    if (reason)
        quoted(L, reason + strlen(" reason=\""));
    else
        lua_pushstring(L, line);
    lua_pushstring(L, kind_of(lua_tostring(L, -1), by));
    lua_setfield(L, -3, "kind");
    lua_setfield(L, -2, "message");
    lua_pop(L, 1);
}

void record_line(void *ctx, enum log_level level, const char *event, const char *message)
{
    struct world *w = ctx;
    luaL_checkstack(w->lua, 20, NULL);
    if (strcmp(event, "policy_error") == 0)
        error_line(w, message);
    else if (strncmp(event, "policy:", 7) == 0)
        script_line(w, level, message);
}
