/* fetch.c: relay.http. */
#include "policy/flight.h"
#include "policy/json.h"
#include "policy/library.h"

#include "base/err.h"
#include "base/http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 2048
#define SENT_MAX 16384 /* bytes of a body */
#define SENT_HEADERS_MAX 16
#define TIMEOUT_MS 2000

void policy_fetched(struct policy *policy, struct handle handle, const struct http_response *response, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    flight_land(policy, handle, response);
}

/* ---- the answer, as a script sees it ---- */

static int response_json(lua_State *L)
{
    size_t len;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "body");
    const char *body = luaL_checklstring(L, -1, &len);
    return json_push(L, view_of(body, len));
}

static const struct member answer_members[] = {
    FIELD("status", "integer", "200"),
    FIELD("body", "string", "at most 1 MiB"),
    FIELD("headers", "table<string, string>", "by name in lower case"),
    CALL("json", "fun(): any, string?", "the body as tables, strings, numbers and booleans; or nil and why", response_json, 0),
};
const struct shown response_shown = SHOWN_AS(ROLE_RETURNED, "answer", "the answer", "Of `relay.http`.", answer_members);

static int push_response(lua_State *L, const struct http_response *response)
{
    budget_charge(L, response->body.len / BYTES_PER_INSTRUCTION + response->header_count);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, response->status);
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, (const char *)response->body.at, response->body.len);
    lua_setfield(L, -2, "body");
    lua_createtable(L, 0, (int)response->header_count);
    for (size_t i = 0; i < response->header_count; i++) {
        lua_pushstring(L, response->headers[i].value);
        lua_setfield(L, -2, response->headers[i].name);
    }
    lua_setfield(L, -2, "headers");
    reference_bind(L, &response_shown);
    strict_table(L, "the answer has no field '%s'%s");
    return 1;
}

static int push_error(lua_State *L, const char *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

static int fetched(lua_State *L, int status, lua_KContext context)
{
    const struct http_response *response = policy_of(L)->arrived;
    (void)status, (void)context;
    return response->error ? push_error(L, response->error) : push_response(L, response);
}

/* ---- what is asked ---- */

/* struct wish: the arguments of relay.http; texts lie on the stack of L, or here. */
struct wish {
    struct http_request request;
    struct http_header headers[SENT_HEADERS_MAX + 1];
    const char *key;
    char text[SENT_MAX];
};

static void read_headers(lua_State *L, struct wish *wish)
{
    luaL_checktype(L, -1, LUA_TTABLE);
    luaL_checkstack(L, 2 * SENT_HEADERS_MAX, "headers");
    const int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pushvalue(L, -2)) {
        if (wish->request.header_count == SENT_HEADERS_MAX || lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            state_raise(L, "relay.http: headers: at most %d texts by name expected", SENT_HEADERS_MAX);
        const char *name = argument_text(L, -2, "relay.http: headers", 128, NULL);
        const char *value = argument_text(L, -1, "relay.http: headers", 4096, NULL);
        if (!*name || strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n"))
            state_raise(L, "relay.http: headers: '%s' is not a header", name);
        wish->headers[wish->request.header_count++] = (struct http_header){name, value};
    }
}

static void read_body(lua_State *L, int options, struct wish *wish)
{
    size_t len;
    const bool has_json = lua_getfield(L, options, "json") != LUA_TNIL;
    if (has_json) {
        struct slab out = slab_over(wish->text, sizeof wish->text);
        json_put(L, -1, &out);
        if (out.overflow)
            state_raise(L, "relay.http: json: longer than %d bytes", SENT_MAX);
        wish->request.body = slab_view(&out);
        wish->headers[wish->request.header_count++] = (struct http_header){"Content-Type", "application/json"};
    }
    if (lua_getfield(L, options, "body") == LUA_TNIL)
        return;
    const char *body = luaL_checklstring(L, -1, &len);
    if (has_json || len > SENT_MAX)
        state_raise(L, has_json ? "relay.http: json or body" : "relay.http: body: longer than %d bytes", SENT_MAX);
    wish->request.body = view_of(body, len);
}

static msec_t read_timeout(lua_State *L, int options)
{
    if (lua_getfield(L, options, "timeout") == LUA_TNIL)
        return TIMEOUT_MS;
    const lua_Number seconds = luaL_checknumber(L, -1);
    if (!(seconds > 0 && seconds <= 3600))
        state_raise(L, "relay.http: timeout: seconds above 0 expected");
    return (msec_t)ceil(seconds * 1000);
}

/* read_wish: (url, options). What it reads stays on the stack. */
static void read_wish(lua_State *L, const char *method, struct wish *wish)
{
    const bool has_body = strcmp(method, "POST") == 0;
    wish->key = NULL;
    wish->request = (struct http_request){
        .method = method, .url = argument_text(L, 1, "relay.http: url", URL_MAX, NULL), .headers = wish->headers, .timeout_ms = TIMEOUT_MS};
    lua_settop(L, 2);
    if (lua_isnil(L, 2))
        return;
    strict_only(L, 2, "relay.http", has_body ? &post_given : &get_given);
    wish->request.timeout_ms = read_timeout(L, 2);
    if (lua_getfield(L, 2, "headers") != LUA_TNIL)
        read_headers(L, wish);
    if (has_body)
        read_body(L, 2, wish);
    if (lua_getfield(L, 2, "single_flight") != LUA_TNIL)
        wish->key = lua_pushfstring(L, "%s %s %s", method, wish->request.url,
                                    argument_text(L, -1, "relay.http: single_flight", USERNAME_MAX_LEN, NULL));
}

static int refuse(lua_State *L, int err, const char *url)
{
    switch (err) {
        case ERR_DENIED:
            state_raise(L, "relay.http: '%s' is not allowed: say policy-http=HOST[:PORT] or policy-http=URL in the configuration", url);
        case ERR_BAD:
            state_raise(L, "relay.http: '%s' is not an http or https URL", url);
        case ERR_BUSY:
            return push_error(L, "busy");
        default:
            state_raise(L, "not enough memory");
    }
}

static int begin(struct policy *policy, struct handle handle, const void *wish, void **errand)
{
    return policy->world.fetch(policy->world.ctx, policy, handle, wish, errand);
}

static int ask(lua_State *L, const char *method)
{
    struct policy *policy = policy_of(L);
    struct wish wish;
    struct handle waiter;
    read_wish(L, method, &wish);
    wait_begin(L, "relay.http", &waiter);
    if (!policy->world.fetch)
        state_raise(L, "relay.http: not here");
    const msec_t left = wait_left_ms(policy, policy->run->wait);
    if (wish.request.timeout_ms > left)
        wish.request.timeout_ms = left > 0 ? left : 1;
    const int err = flight_join(policy, waiter, &(struct flight_plan){.key = wish.key, .begin = begin, .wish = &wish.request});
    return err ? refuse(L, err, wish.request.url) : wait_yield(L, fetched, 0);
}

static int get(lua_State *L)
{
    return ask(L, "GET");
}

static int post(lua_State *L)
{
    return ask(L, "POST");
}

#define HTTP_ANSWER "): answer?, string?"
#define HTTP_SAYS                                                                                                                          \
    "the answer, whatever its status; or nil, `\"timeout\"`, `\"connect\"`, `\"resolve\"`, `\"tls\"`, `\"too large\"`, `\"busy\"` or "     \
    "`\"failed\"`"

static const struct member http_members[] = {
    CALL("get", "fun(url: string, options?: relay.http.get" HTTP_ANSWER, HTTP_SAYS, get, MARK_WAITS),
    CALL("post", "fun(url: string, options?: relay.http.post" HTTP_ANSWER, "as `get`", post, MARK_WAITS),
};
const struct shown http_shown = SHOWN(ROLE_LIBRARY, "relay.http",
                                      "What may be asked is in the configuration (`policy-http`); another URL raises. Redirects are "
                                      "answers like others; certificates are checked; connections are kept.",
                                      http_members);

#define GET_OPTIONS                                                                                                                        \
    FIELD("timeout", "number?", "seconds, 2 if not said, and never more than the hook has left"),                                          \
        FIELD("headers", "table<string, string>?", "up to 16"),                                                                            \
        FIELD("single_flight", "string?", "waits with the same `single_flight`, method and URL share one exchange")

static const struct member get_members[] = {GET_OPTIONS};
const struct shown get_given = SHOWN_AS(ROLE_GIVEN, "relay.http.get", "relay.http", "", get_members);

static const struct member post_members[] = {
    GET_OPTIONS,
    FIELD("json", "any", "a value, as of `relay.json.encode`, which is sent"),
    FIELD("body", "string?", "or a text; 16,384 bytes"),
};
const struct shown post_given = SHOWN_AS(ROLE_GIVEN, "relay.http.post", "relay.http", "", post_members);
