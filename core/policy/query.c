/* query.c: relay.db and relay.users: what is asked of the database, and answered by threads that may wait for it. */
#include "base/query.h"

#include "policy/flight.h"
#include "policy/library.h"

#include "base/err.h"

#define TIMEOUT_MS 2000
#define DATA_PER_INSTRUCTION 4

void policy_queried(struct policy *policy, struct handle handle, const struct rows *rows, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    flight_land(policy, handle, rows);
}

static int begin(struct policy *policy, struct handle handle, const void *wish, void **errand)
{
    return policy->world.query ? policy->world.query(policy->world.ctx, policy, handle, wish, errand) : ERR_NOT_FOUND;
}

/* ask: 0: it is under way, and the script waits no longer than the timeout. */
static int ask(lua_State *L, const char *function, const struct query *query)
{
    struct policy *policy = policy_of(L);
    struct handle waiter;
    wait_begin(L, function, &waiter);
    const int err = flight_join(policy, waiter, &(struct flight_plan){.begin = begin, .wish = query});
    return err ? err : wait_at(policy, policy->now + TIMEOUT_MS, waiter);
}

static int push_error(lua_State *L, const char *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

/* ---- rows, as a script sees them ---- */

/* What is NULL is not there: nil. upvalue: the columns. */
static int missing(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
        state_raise(L, "the row has no column '%s'%s", name, strict_hint(L, lua_upvalueindex(1), name));
    lua_pushnil(L);
    return 1;
}

/* push_meta: of all rows of an answer. */
static void push_meta(lua_State *L, const struct rows *rows)
{
    lua_createtable(L, 0, 2);
    lua_createtable(L, 0, (int)rows->column_count);
    for (size_t i = 0; i < rows->column_count; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, rows->names[i]);
    }
    lua_pushcclosure(L, missing, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "row");
    lua_setfield(L, -2, "__metatable");
}

void library_push_datum(lua_State *L, const struct datum *datum)
{
    switch (datum->kind) {
        case DATUM_NULL:
            lua_pushnil(L);
            break;
        case DATUM_INTEGER:
            lua_pushinteger(L, datum->integer);
            break;
        case DATUM_REAL:
            lua_pushnumber(L, datum->real);
            break;
        case DATUM_TEXT:
            lua_pushlstring(L, (const char *)datum->text.at, datum->text.len);
            break;
    }
}

static int push_rows(lua_State *L, const struct rows *rows)
{
    budget_charge(L, rows->row_count * (1 + rows->column_count) / DATA_PER_INSTRUCTION);
    push_meta(L, rows);
    lua_createtable(L, (int)rows->row_count, 0);
    for (size_t i = 0; i < rows->row_count; i++) {
        lua_createtable(L, 0, (int)rows->column_count);
        for (size_t column = 0; column < rows->column_count; column++) {
            const struct datum *datum = &rows->data[i * rows->column_count + column];
            budget_charge(L, datum->kind == DATUM_TEXT ? datum->text.len / BYTES_PER_INSTRUCTION : 0);
            library_push_datum(L, datum);
            lua_setfield(L, -2, rows->names[column]);
        }
        lua_pushvalue(L, -3);
        lua_setmetatable(L, -2);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int queried(lua_State *L, int status, lua_KContext context)
{
    const struct rows *rows = policy_of(L)->arrived;
    (void)status, (void)context;
    if (!rows)
        return push_error(L, "timeout");
    if (rows->is_wrong)
        state_raise(L, "relay.db: %s", rows->error);
    return rows->error ? push_error(L, rows->error) : push_rows(L, rows);
}

/* ---- relay.db:query(sql, ...) ---- */

/* read_datum: the parameter at `at`; a text lies on the stack. */
static struct datum read_datum(lua_State *L, int at)
{
    struct datum datum = {.kind = DATUM_TEXT};
    if (object_test(L, at, OBJECT_ADDRESS)) {
        luaL_tolstring(L, at, NULL);
        lua_replace(L, at);
    }
    switch (lua_type(L, at)) {
        case LUA_TNIL:
            return (struct datum){.kind = DATUM_NULL};
        case LUA_TBOOLEAN:
            return (struct datum){.kind = DATUM_INTEGER, .integer = lua_toboolean(L, at)};
        case LUA_TNUMBER:
            return lua_isinteger(L, at) ? (struct datum){.kind = DATUM_INTEGER, .integer = lua_tointeger(L, at)}
                                        : (struct datum){.kind = DATUM_REAL, .real = lua_tonumber(L, at)};
        case LUA_TSTRING:
            datum.text.at = (const uint8_t *)lua_tolstring(L, at, &datum.text.len);
            return datum;
        default:
            state_raise(L, "relay.db:query: parameter %d: a string, number, boolean or nil expected, got %s", at - 2, luaL_typename(L, at));
    }
}

static void read_query(lua_State *L, struct query *query, struct datum data[QUERY_DATA_MAX])
{
    size_t sent = 0;
    query->sql.at = (const uint8_t *)argument_text(L, 2, "relay.db:query: the statement", QUERY_SENT_MAX, &query->sql.len);
    const int count = lua_gettop(L) - 2;
    if (count > QUERY_DATA_MAX)
        state_raise(L, "relay.db:query: more than %d parameters", QUERY_DATA_MAX);
    for (int i = 0; i < count; i++) {
        data[i] = read_datum(L, i + 3);
        sent += data[i].kind == DATUM_TEXT ? data[i].text.len : 0;
    }
    if (sent > QUERY_SENT_MAX)
        state_raise(L, "relay.db:query: parameters: longer than %d bytes", (int)QUERY_SENT_MAX);
    query->data = data;
    query->datum_count = (size_t)count;
}

static int db_query(lua_State *L)
{
    struct datum data[QUERY_DATA_MAX];
    struct query query = {0};
    read_query(L, &query, data);
    switch (ask(L, "relay.db:query", &query)) {
        case 0:
            return wait_yield(L, queried, 0);
        case ERR_NOT_FOUND:
            state_raise(L, "relay.db: there is no database: say userdb=FILE in the configuration");
        case ERR_BUSY:
            return push_error(L, "busy");
        default:
            state_raise(L, "not enough memory");
    }
}

static const struct member db_members[] = {
    CALL("query", "fun(statement: string, ...: string|number|boolean|address|nil): table<string, any>[]?, string?",
         "a list of rows, each a table by the names of its columns, in which NULL is nil; or nil, `\"timeout\"` (after 2 s), `\"too large\"`, `\"busy\"` or "
         "`\"failed\"`. A statement that is wrong raises, with what SQLite says",
         db_query, MARK_WAITS | MARK_METHOD),
};
const struct shown db_shown =
    SHOWN(ROLE_LIBRARY, "relay.db",
          "The users database (`userdb`), read only, by threads of its own. One SELECT, with up to 32 parameters for its `?`; statement and parameters "
          "have 16,384 bytes, an answer has 1,000 rows and 1 MiB. Whatever would write, ATTACH and PRAGMA are refused, and so are the columns that hold keys "
          "and secrets (db/README.md). A boolean is 1 or 0 there, an address its text; to compare with bytes, `CAST(? AS BLOB)`.",
          db_members);

/* ---- relay.users:get(tenant, user) ---- */

static int push_nobody(lua_State *L)
{
    lua_pushnil(L);
    return 1;
}

static int push_user(lua_State *L)
{
    lua_createtable(L, 0, 2);
    if (lua_isnil(L, 2))
        lua_pushliteral(L, "");
    else
        lua_pushvalue(L, 2);
    lua_setfield(L, -2, "tenant");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "user");
    return 1;
}

static int found_user(lua_State *L, int status, lua_KContext context)
{
    const struct rows *rows = policy_of(L)->arrived;
    (void)status, (void)context;
    if (!rows || rows->error)
        state_raise(L, "relay.users: the users cannot be read: %s", rows ? rows->error : "timeout");
    return rows->row_count ? push_user(L) : push_nobody(L);
}

/* The users' tables are asked; who is only in the configuration is not found. */
static int users_get(lua_State *L)
{
    struct datum data[2] = {{.kind = DATUM_TEXT}, {.kind = DATUM_TEXT}};
    const struct query query = {.is_user = true, .data = data, .datum_count = 2};
    lua_settop(L, 3);
    if (!lua_isnil(L, 2))
        data[0].text.at = (const uint8_t *)argument_text(L, 2, "relay.users:get: tenant", NAME_MAX_LEN, &data[0].text.len);
    data[1].text.at = (const uint8_t *)argument_text(L, 3, "relay.users:get: user", USERNAME_MAX_LEN, &data[1].text.len);
    switch (ask(L, "relay.users:get", &query)) {
        case 0:
            return wait_yield(L, found_user, 0);
        case ERR_NOT_FOUND:
            return push_nobody(L);
        case ERR_BUSY:
            state_raise(L, "relay.users: the users cannot be read: busy");
        default:
            state_raise(L, "not enough memory");
    }
}

static const struct member users_members[] = {
    CALL("get", "fun(tenant: string?, user: string): user?",
         "of the users database, or nil; raises if it cannot be read. Users of the configuration are not there", users_get, MARK_WAITS | MARK_METHOD),
};
const struct shown users_shown = SHOWN(ROLE_LIBRARY, "relay.users", "", users_members);

static const struct member user_members[] = {FIELD("tenant", "string", "\"\": of none"), FIELD("user", "string", "the name")};
const struct shown user_shown = SHOWN(ROLE_RETURNED, "user", "Of `relay.users:get`.", user_members);
