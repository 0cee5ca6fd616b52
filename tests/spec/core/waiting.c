/* waiting.c: a stub answers at once, and its answer arrives later. */
#include "waiting.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 32

/* struct arrival: an answer on its way. Its texts are its own. */
struct arrival {
    struct policy *policy;
    struct handle handle;
    msec_t due;
    struct http_response response;
    struct http_header headers[HEADERS_MAX];
    struct arrival *next;
};

static void arrival_free(struct arrival *arrival)
{
    free((void *)(uintptr_t)arrival->response.error);
    free((void *)(uintptr_t)arrival->response.body.at);
    for (size_t i = 0; i < arrival->response.header_count; i++) {
        free((void *)(uintptr_t)arrival->headers[i].name);
        free((void *)(uintptr_t)arrival->headers[i].value);
    }
    free(arrival);
}

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

/* read_response: the table at the top. */
static void read_response(lua_State *L, struct arrival *arrival)
{
    struct http_response *response = &arrival->response;
    size_t len;
    lua_getfield(L, -1, "status");
    response->status = (int)lua_tointeger(L, -1);
    lua_getfield(L, -2, "body");
    const char *body = lua_tolstring(L, -1, &len);
    char *copy = malloc(len + 1);
    if (copy)
        response->body = view_of(memcpy(copy, body, len + 1), len);
    lua_getfield(L, -3, "headers");
    for (lua_pushnil(L); lua_next(L, -2) && response->header_count < HEADERS_MAX; lua_pop(L, 1))
        arrival->headers[response->header_count++] = (struct http_header){strdup(lua_tostring(L, -2)), strdup(lua_tostring(L, -1))};
    lua_pop(L, 3);
    response->headers = arrival->headers;
}

/* ask_stub: when its answer comes, in milliseconds from now. */
static msec_t ask_stub(struct world *w, const struct http_request *request, struct arrival *arrival)
{
    lua_State *L = w->lua;
    lua_rawgeti(L, LUA_REGISTRYINDEX, w->http);
    push_request(L, request);
    const bool fine = lua_pcall(L, 1, 3, 0) == LUA_OK;
    const char *why = fine ? lua_tostring(L, -2) : lua_tostring(L, -1);
    const msec_t after = fine ? (msec_t)ceil(lua_tonumber(L, -1) * 1000) : 0;
    lua_settop(L, fine ? -3 : -1); /* the answer, or what the stub raised */
    const bool late = after > request->timeout_ms;
    if (fine && !late && lua_istable(L, -1))
        read_response(L, arrival);
    else
        arrival->response.error = strdup(late ? "timeout" : why ? why : "failed");
    lua_pop(L, 1);
    return late ? request->timeout_ms : after > 0 ? after : 1;
}

static int fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **transfer)
{
    struct world *w = ctx;
    struct arrival *arrival = calloc(1, sizeof *arrival), **at = &w->arrivals;
    if (!arrival)
        return ERR_MEMORY;
    arrival->policy = policy;
    arrival->handle = handle;
    arrival->due = w->now + ask_stub(w, request, arrival);
    while (*at && (*at)->due <= arrival->due)
        at = &(*at)->next;
    arrival->next = *at;
    *at = arrival;
    *transfer = arrival;
    return 0;
}

static void cancel(void *ctx, void *transfer)
{
    struct world *w = ctx;
    struct arrival **at = &w->arrivals;
    while (*at && *at != transfer)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = (*at)->next;
    arrival_free(transfer);
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
        policy_fetched(first->policy, first->handle, &first->response, w->now, world_unix_ms(w));
        arrival_free(first);
    }
    if (w->policy)
        policy_turn(w->policy, w->now, world_unix_ms(w));
}

void waiting_close(struct world *w)
{
    while (w->arrivals)
        cancel(w, w->arrivals);
}
