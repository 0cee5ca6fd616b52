/* waiting.c: a stub answers at once, and its answer arrives later. */
#include "spec/waiting.h"

#include "base/err.h"
#include "policy/library.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 32
#define LATE_MS 3600000 /* the policy looks at its own clock */

const char *const stub_names[STUB_COUNT] = {"http", "db", "dns"};

/* struct arrival: an answer on its way. */
struct arrival {
    void (*arrive)(struct world *, const struct arrival *);
    struct policy *policy;
    struct handle handle;
    msec_t due;
    int answer;  /* in the registry: a table, whose texts are borrowed when it arrives; LUA_NOREF: none */
    char *error; /* then */
    struct arrival *next;
};

static void arrival_free(struct world *w, struct arrival *arrival)
{
    luaL_unref(w->lua, LUA_REGISTRYINDEX, arrival->answer);
    free(arrival->error);
    free(arrival);
}

/* call_stub: with its arguments on the stack: leaves the answer, why there is none, and after how many seconds. */
static void call_stub(struct world *w, enum stub stub, int arguments)
{
    lua_State *L = w->lua;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->stubs[stub]);
    lua_insert(L, -1 - arguments);
    if (lua_pcall(L, arguments, 3, 0) == LUA_OK)
        return;
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushnumber(L, 0);
}

/* send_off: what call_stub left, popped, is on its way; what takes longer than `timeout_ms` is "timeout" then. */
static int send_off(struct world *w, struct arrival how, msec_t timeout_ms, void **errand)
{
    lua_State *L = w->lua;
    struct arrival *arrival = malloc(sizeof *arrival), **at = &w->arrivals;
    const msec_t after = (msec_t)ceil(lua_tonumber(L, -1) * 1000);
    const bool late = after > timeout_ms, fine = lua_istable(L, -3) && !late;
    if (!arrival)
        return ERR_MEMORY;
    *arrival = how;
    arrival->due = w->now + (late ? timeout_ms : after > 0 ? after : 1);
    arrival->error = fine ? NULL : strdup(late ? "timeout" : lua_isstring(L, -2) ? lua_tostring(L, -2) : "failed");
    lua_pop(L, 2);
    arrival->answer = luaL_ref(L, LUA_REGISTRYINDEX);
    while (*at && (*at)->due <= arrival->due)
        at = &(*at)->next;
    arrival->next = *at;
    *at = arrival;
    *errand = arrival;
    return 0;
}

/* text_field: of the table at the top; it keeps the text. */
static struct view text_field(lua_State *L, const char *name)
{
    struct view text;
    lua_getfield(L, -1, name);
    text.at = (const uint8_t *)lua_tolstring(L, -1, &text.len);
    lua_pop(L, 1);
    return text;
}

static lua_Integer number_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const lua_Integer number = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return number;
}

/* ---- HTTP ---- */

static void push_request(lua_State *L, const struct http_request *request)
{
    lua_createtable(L, 0, 4);
    row_text(L, "method", request->method);
    row_text(L, "url", request->url);
    if (request->body.at) {
        lua_pushlstring(L, (const char *)request->body.at, request->body.len);
        lua_setfield(L, -2, "body");
    }
    lua_newtable(L);
    for (size_t i = 0; i < request->header_count; i++)
        row_text(L, request->headers[i].name, request->headers[i].value);
    lua_setfield(L, -2, "headers");
}

static void arrive_http(struct world *w, const struct arrival *arrival)
{
    lua_State *L = w->lua;
    struct http_header headers[HEADERS_MAX];
    struct http_response response = {.error = arrival->error, .headers = headers};
    lua_rawgeti(L, LUA_REGISTRYINDEX, arrival->answer);
    if (!response.error) {
        response.status = (int)number_field(L, "status");
        response.body = text_field(L, "body");
        lua_getfield(L, -1, "headers");
        for (lua_pushnil(L); lua_next(L, -2) && response.header_count < HEADERS_MAX; lua_pop(L, 1))
            headers[response.header_count++] = (struct http_header){lua_tostring(L, -2), lua_tostring(L, -1)};
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    policy_fetched(arrival->policy, arrival->handle, &response, w->now, world_unix_ms(w));
}

static int fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **errand)
{
    struct world *w = ctx;
    push_request(w->lua, request);
    call_stub(w, STUB_HTTP, 1);
    return send_off(w, (struct arrival){.arrive = arrive_http, .policy = policy, .handle = handle}, request->timeout_ms, errand);
}

/* ---- the database ---- */

/* to_datum: at the top; popped. */
static struct datum to_datum(lua_State *L)
{
    struct datum datum = {.kind = DATUM_NULL};
    if (lua_isinteger(L, -1))
        datum = (struct datum){.kind = DATUM_INTEGER, .integer = lua_tointeger(L, -1)};
    else if (lua_type(L, -1) == LUA_TNUMBER)
        datum = (struct datum){.kind = DATUM_REAL, .real = lua_tonumber(L, -1)};
    else if (lua_type(L, -1) == LUA_TSTRING) {
        datum.kind = DATUM_TEXT;
        datum.text.at = (const uint8_t *)lua_tolstring(L, -1, &datum.text.len);
    }
    lua_pop(L, 1);
    return datum;
}

/* read_rows: the table at the top; what it fills is the caller's. */
static void read_rows(lua_State *L, struct rows *rows)
{
    lua_getfield(L, -1, "columns");
    rows->column_count = lua_rawlen(L, -1);
    rows->row_count = lua_rawlen(L, -2);
    const char **names = calloc(rows->column_count + 1, sizeof *names);
    struct datum *data = calloc(rows->column_count * rows->row_count + 1, sizeof *data);
    for (size_t i = 0; i < rows->column_count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        names[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    for (size_t row = 0; row < rows->row_count; row++) {
        lua_rawgeti(L, -1, (lua_Integer)row + 1);
        for (size_t i = 0; i < rows->column_count; i++) {
            lua_getfield(L, -1, names[i]);
            data[row * rows->column_count + i] = to_datum(L);
        }
        lua_pop(L, 1);
    }
    rows->names = names;
    rows->data = data;
}

/* is_fault: what is none of what a database answers is wrong with the statement. */
static bool is_fault(const char *error)
{
    return strcmp(error, "timeout") != 0 && strcmp(error, "busy") != 0 && strcmp(error, "too large") != 0 && strcmp(error, "failed") != 0;
}

static void arrive_rows(struct world *w, const struct arrival *arrival)
{
    struct rows rows = {.error = arrival->error, .is_wrong = arrival->error && is_fault(arrival->error)};
    lua_rawgeti(w->lua, LUA_REGISTRYINDEX, arrival->answer);
    if (!rows.error)
        read_rows(w->lua, &rows);
    lua_pop(w->lua, 1);
    policy_queried(arrival->policy, arrival->handle, &rows, w->now, world_unix_ms(w));
    free((void *)(uintptr_t)rows.names);
    free((void *)(uintptr_t)rows.data);
}

/* push_user: what call_stub leaves: one row, or none. */
static void push_user(struct world *w, const struct query *query)
{
    char tenant[NAME_MAX_LEN + 1];
    lua_State *L = w->lua;
    view_copy(query->data[0].text, tenant, sizeof tenant);
    lua_newtable(L);
    lua_newtable(L);
    lua_setfield(L, -2, "columns");
    if (world_user(w, tenant, query->data[1].text)) {
        lua_newtable(L);
        lua_rawseti(L, -2, 1);
    }
    lua_pushnil(L);
    lua_pushnumber(L, 0);
}

static int query(void *ctx, struct policy *policy, struct handle handle, const struct query *query, void **errand)
{
    struct world *w = ctx;
    luaL_checkstack(w->lua, QUERY_DATA_MAX + LUA_MINSTACK, "parameters");
    if (query->is_user) {
        push_user(w, query);
    } else {
        lua_pushlstring(w->lua, (const char *)query->sql.at, query->sql.len);
        for (size_t i = 0; i < query->datum_count; i++)
            library_push_datum(w->lua, &query->data[i]);
        call_stub(w, STUB_DB, 1 + (int)query->datum_count);
    }
    return send_off(w, (struct arrival){.arrive = arrive_rows, .policy = policy, .handle = handle}, LATE_MS, errand);
}

/* ---- DNS ---- */

static const char *type_name(enum dns_type type)
{
    switch (type) {
        case DNS_AAAA:
            return "AAAA";
        case DNS_SRV:
            return "SRV";
        case DNS_TXT:
            return "TXT";
        default:
            return "A";
    }
}

static void read_record(lua_State *L, struct dns_record *record)
{
    if (lua_istable(L, -1)) {
        *record = (struct dns_record){.text = text_field(L, "target"),
                                      .priority = (uint16_t)number_field(L, "priority"),
                                      .weight = (uint16_t)number_field(L, "weight"),
                                      .port = (uint16_t)number_field(L, "port")};
        return;
    }
    record->text.at = (const uint8_t *)lua_tolstring(L, -1, &record->text.len);
}

static void arrive_records(struct world *w, const struct arrival *arrival)
{
    lua_State *L = w->lua;
    struct dns_record records[DNS_RECORDS_MAX] = {0};
    struct dns_answer answer = {.error = arrival->error, .records = records};
    lua_rawgeti(L, LUA_REGISTRYINDEX, arrival->answer);
    while (!answer.error && answer.count < DNS_RECORDS_MAX && lua_rawgeti(L, -1, (lua_Integer)answer.count + 1) != LUA_TNIL) {
        read_record(L, &records[answer.count++]);
        lua_pop(L, 1);
    }
    lua_settop(L, lua_gettop(L) - (answer.error || answer.count == DNS_RECORDS_MAX ? 1 : 2));
    policy_resolved(arrival->policy, arrival->handle, &answer, w->now, world_unix_ms(w));
}

static int resolve(void *ctx, struct policy *policy, struct handle handle, const struct dns_question *question, void **errand)
{
    struct world *w = ctx;
    lua_pushstring(w->lua, type_name(question->type));
    lua_pushstring(w->lua, question->name);
    call_stub(w, STUB_DNS, 2);
    return send_off(w, (struct arrival){.arrive = arrive_records, .policy = policy, .handle = handle}, LATE_MS, errand);
}

/* ---- time ---- */

static void cancel(void *ctx, void *errand)
{
    struct world *w = ctx;
    struct arrival **at = &w->arrivals;
    while (*at && *at != errand)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = (*at)->next;
    arrival_free(w, errand);
}

static void wake(void *ctx, msec_t due)
{
    (void)ctx;
    (void)due; /* whoever moves the clock asks for it */
}

static msec_t turn(void *ctx, msec_t due)
{
    struct world *w = ctx;
    w->now = w->arrivals && w->arrivals->due < due ? w->arrivals->due : due;
    waiting_turn(w);
    return w->now;
}

void waiting_open(struct policy_world *world)
{
    world->wake = wake;
    world->turn = turn;
    world->fetch = fetch;
    world->query = query;
    world->resolve = resolve;
    world->cancel = cancel;
}

msec_t waiting_due(struct world *w)
{
    const msec_t due = policy_due(w->policy);
    return w->arrivals && w->arrivals->due < due ? w->arrivals->due : due;
}

void waiting_turn(struct world *w)
{
    for (struct arrival *first; (first = w->arrivals) && first->due <= w->now;) {
        w->arrivals = first->next;
        first->arrive(w, first);
        arrival_free(w, first);
    }
    if (w->policy)
        policy_turn(w->policy, w->now, world_unix_ms(w));
}

void waiting_close(struct world *w)
{
    for (struct arrival *first; (first = w->arrivals);) {
        w->arrivals = first->next;
        arrival_free(w, first);
    }
}
