/* door.c: libmicrohttpd between the sockets and the rows. */
#include "admin/feed.h"
#include "admin/listener.h"
#include "admin/request.h"
#include "base/bytes.h"
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STOPPING "the relay is stopping"
#define LEFT_MAX ((size_t)64 << 10) /* bytes of a body that nobody reads */

/* queue: MHD_NO ends the connection. */
static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    const enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result finish(struct door_request *request)
{
    struct MHD_Response *response = request->response;
    request->response = NULL;
    return queue(request->connection, request->status, response);
}

static enum MHD_Result take_body(struct door_request *request, const char *data, size_t *len)
{
    const size_t more = *len;
    *len = 0;
    if (more > route_body_max(request->route) - request->len) {
        request->is_too_long = true;
        return MHD_YES; /* the answer can be given when all has come; what is too long is not kept */
    }
    char *body = realloc(request->body, request->len + more + 1);
    if (!body)
        return MHD_NO;
    memcpy(body + request->len, data, more);
    request->body = body;
    request->len += more;
    request->body[request->len] = 0;
    return MHD_YES;
}

static void link_request(struct door_request *request)
{
    request->next = request->door->waiting;
    request->door->waiting = request;
}

/* ---- what is asked ---- */

static void refuse_fault(struct door_request *request, int err, const struct field_fault *fault)
{
    if (err != ERR_BAD)
        door_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    else if (*fault->name)
        door_refuse_field(request, fault->name, fault->reason);
    else
        door_refuse(request, MHD_HTTP_BAD_REQUEST, fault->reason);
}

struct reading {
    struct fields *fields;
    struct field_fault fault;
    int err;
};

static enum MHD_Result read_parameter(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t len)
{
    struct reading *reading = ctx;
    (void)kind;
    if (strlen(name) != name_len || (value && strlen(value) != len)) {
        reading->fault = (struct field_fault){.reason = "a zero byte in the query"};
        reading->err = ERR_BAD;
    } else {
        reading->err = fields_put(reading->fields, name, value, &reading->fault);
    }
    return reading->err ? MHD_NO : MHD_YES;
}

/* read_query, read_body: whether the request is as its row has it; if not, it is refused. */
static bool read_query(struct door_request *request)
{
    struct reading reading = {.fields = &request->query};
    reading.err = fields_begin(&request->query, request->route->query);
    if (!reading.err)
        MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, read_parameter, &reading);
    if (!reading.err)
        reading.err = fields_end(&request->query, &reading.fault);
    if (reading.err)
        refuse_fault(request, reading.err, &reading.fault);
    return !reading.err;
}

static bool read_body(struct door_request *request)
{
    struct field_fault fault;
    if (request->is_too_long) {
        door_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
        return false;
    }
    const int err = request->route->body ? fields_read(&request->fields, request->route->body, request->body, request->len, &fault) : 0;
    if (err)
        refuse_fault(request, err, &fault);
    return !err;
}

/* leave_body: of what was refused by its head the body is let go by, up to LEFT_MAX: who is still sending it would not hear the answer. */
static enum MHD_Result leave_body(struct door_request *request, size_t *len)
{
    request->len += *len;
    *len = 0;
    return request->len > LEFT_MAX ? MHD_NO : MHD_YES;
}

/* serve: the row answers now, or the connection is set aside until it does. */
static enum MHD_Result serve(struct door_request *request)
{
    link_request(request);
    if (request->door->is_stopping)
        door_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, STOPPING);
    else if (read_body(request) && read_query(request))
        request->route->serve(request->door->config.ctx, request);
    if (request->is_answered)
        return finish(request);
    request->is_set_aside = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* ---- who asks ---- */

/* token_of: what stands behind Bearer (RFC 6750 section 2.1); "": something else; NULL: there is no such header. */
static const char *token_of(const struct door_request *request)
{
    const char *said = door_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!said)
        return NULL;
    return strncasecmp(said, "Bearer ", 7) == 0 ? said + 7 + strspn(said + 7, " ") : "";
}

static void turn_away(struct door_request *request, const struct door_pass *pass)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", pass->retry_s);
    if (pass->retry_s)
        door_say(request, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    if (pass->status == MHD_HTTP_UNAUTHORIZED)
        door_say(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    door_refuse(request, pass->status, pass->reason);
}

/* recognise: who asks becomes the request's caller, or is turned away. */
static bool recognise(struct door_request *request)
{
    const struct door_config *config = &request->door->config;
    const char *token = token_of(request);
    struct door_pass pass = {.status = MHD_HTTP_UNAUTHORIZED, .reason = "a key is needed: Authorization: Bearer KEY"};
    if (!token && request->source.family == ADDR_NONE)
        pass = (struct door_pass){.caller = {.tenant = "*", .scopes = DOOR_SCOPES}};
    else if (token && config->admit)
        config->admit(config->ctx, request, token, &pass);
    if (pass.status)
        turn_away(request, &pass);
    request->caller = pass.caller;
    return !pass.status;
}

/* is_allowed: whether the caller has a scope that the row needs. */
static bool is_allowed(const struct door_request *request)
{
    const unsigned needs = request->route->scope;
    return (door_is_operator(request) || !(needs & DOOR_OPERATOR)) && (needs & request->caller.scopes);
}

static void admit(struct door_request *request)
{
    const struct door_config *config = &request->door->config;
    char methods[ROUTE_METHODS_MAX];
    bool is_path;
    request->route = route_find(config->routes, config->route_count, request->target, request->method, request->parts, &is_path);
    if (!request->route && is_path) {
        door_say(request, MHD_HTTP_HEADER_ALLOW, route_methods(config->routes, config->route_count, request->target, methods));
        door_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed");
    } else if (!request->route) {
        door_refuse(request, MHD_HTTP_NOT_FOUND, "not found");
    } else if (request->route->scope != DOOR_ANYBODY && recognise(request) && !is_allowed(request)) {
        door_refuse(request, MHD_HTTP_FORBIDDEN, "this key may not do that");
    }
}

/* on_target: what is asked for, as it was sent, before the library decodes it: in a segment a slash may be meant that ends none. */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    struct door_request *request = calloc(1, sizeof *request);
    const size_t len = strcspn(target, "?");
    if (!request)
        return NULL;
    *request = (struct door_request){.door = ctx, .connection = connection, .target = malloc(len + 1)};
    if (request->target)
        view_copy(view_of(target, len), request->target, len + 1);
    return request;
}

/* source_of: of no family: the unix socket. */
static struct addr source_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_storage from = {0};
    if (!info || !info->client_addr)
        return (struct addr){0};
    const bool is_v6 = info->client_addr->sa_family == AF_INET6;
    if (is_v6 || info->client_addr->sa_family == AF_INET)
        memcpy(&from, info->client_addr, is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    return addr_from_sockaddr(&from);
}

/* The library calls this when the head has come, for each piece of the body, at its end, and when a connection that was set aside goes on. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *data, size_t *len, void **of_request)
{
    struct door_request *request = *of_request;
    (void)ctx, (void)version;
    if (!request || !request->target)
        return MHD_NO; /* out of memory */
    if (request->is_answered)
        return *len ? leave_body(request, len) : finish(request);
    if (request->method)
        return *len ? take_body(request, data, len) : serve(request);
    request->method = method;
    request->path = path;
    request->source = source_of(connection);
    admit(request);
    return MHD_YES;
}

static void on_done(void *ctx, struct MHD_Connection *connection, void **of_request, enum MHD_RequestTerminationCode code)
{
    struct door_request *request = *of_request;
    (void)ctx, (void)connection, (void)code;
    if (!request)
        return;
    request_unlink(request);
    if (request->response)
        MHD_destroy_response(request->response);
    fields_close(&request->query);
    fields_close(&request->fields);
    free(request->body);
    free(request->target);
    free(request);
    *of_request = NULL;
}

/* ---- open and closed ---- */

/* gather: one descriptor for all that there is to do. */
static int gather(struct door *door)
{
    struct epoll_event event = {.events = EPOLLIN};
    door->ready = epoll_create1(EPOLL_CLOEXEC);
    door->woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return door->ready >= 0 && door->woken >= 0 && epoll_ctl(door->ready, EPOLL_CTL_ADD, door->woken, &event) == 0 ? 0 : ERR_SYSTEM;
}

static int listen_at(struct door *door, size_t place)
{
    const struct door_place *at = &door->config.places[place];
    door->listening[place] = at->path ? listener_unix(at->path) : listener_tcp(&at->at);
    return door->listening[place] < 0 ? door->listening[place] : mill_start(door, place);
}

/* keep_certificate: a copy; false: no memory. */
static bool keep_certificate(struct door *door, const struct door_certificate *certificate)
{
    door->chain = certificate->chain ? strdup(certificate->chain) : NULL;
    door->key = certificate->key ? strdup(certificate->key) : NULL;
    return !certificate->chain || (door->chain && door->key);
}

static void wipe_certificate(char *chain, char *key)
{
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    free(chain);
}

static int open_all(struct door *door, size_t *failed)
{
    int status = keep_certificate(door, &door->config.certificate) ? gather(door) : ERR_MEMORY;
    door->config.certificate = (struct door_certificate){0};
    for (size_t i = 0; !status && i < door->config.place_count; i++) {
        *failed = i;
        status = listen_at(door, i);
    }
    return status;
}

int door_open(const struct door_config *config, struct door **out, size_t *failed)
{
    struct door *door = calloc(1, sizeof *door);
    assert(config->place_count <= DOOR_PLACES);
    *failed = 0;
    if (!door)
        return ERR_MEMORY;
    *door = (struct door){.config = *config, .on_request = on_request, .on_target = on_target, .on_done = on_done, .ready = -1, .woken = -1};
    for (size_t i = 0; i < DOOR_PLACES; i++)
        door->listening[i] = -1;
    const int status = open_all(door, failed);
    if (!status) {
        *out = door;
        return 0;
    }
    const int why = errno;
    door_close(door);
    errno = why;
    return status;
}

static int start_anew(struct door *door)
{
    int status = 0;
    for (size_t i = 0; !status && i < door->config.place_count; i++)
        if (!door->config.places[i].path)
            status = mill_start(door, i);
    return status;
}

/* exchange: the new ones are before those that were there. */
static int exchange(struct door *door, struct mill *before)
{
    const int status = start_anew(door);
    if (status) {
        mill_stop(door, before);
        return status;
    }
    for (; before; before = before->next)
        if (before->is_tcp && !before->is_retired)
            mill_retire(before);
    return 0;
}

int door_certify(struct door *door, const struct door_certificate *certificate)
{
    char *chain = door->chain, *key = door->key;
    if (chain && strcmp(chain, certificate->chain) == 0 && strcmp(key, certificate->key) == 0)
        return 0;
    const int status = keep_certificate(door, certificate) ? exchange(door, door->mills) : ERR_MEMORY;
    if (status) {
        wipe_certificate(door->chain, door->key);
        door->chain = chain;
        door->key = key;
    } else {
        wipe_certificate(chain, key);
    }
    return status;
}

void door_stop(struct door *door)
{
    if (door)
        door->is_stopping = true;
}

/* The library may not be stopped while connections are set aside. */
void door_close(struct door *door)
{
    if (!door)
        return;
    door_stop(door);
    while (door->waiting)
        door_refuse(door->waiting, MHD_HTTP_SERVICE_UNAVAILABLE, STOPPING);
    feed_close_all(door->feeds);
    if (door->mills)
        door_run(door);
    mill_stop(door, NULL);
    for (size_t i = 0; i < door->config.place_count; i++)
        if (door->listening[i] >= 0) {
            close(door->listening[i]);
            if (door->config.places[i].path)
                unlink(door->config.places[i].path);
        }
    wipe_certificate(door->chain, door->key);
    if (door->ready >= 0)
        close(door->ready);
    if (door->woken >= 0)
        close(door->woken);
    free(door);
}

int door_descriptor(const struct door *door)
{
    return door->ready;
}

struct feed **door_feeds(struct door *door)
{
    return &door->feeds;
}

void door_wake(const struct door *door)
{
    eventfd_write(door->woken, 1);
}

void door_run(struct door *door)
{
    eventfd_t wakes;
    eventfd_read(door->woken, &wakes);
    door->is_running = true;
    mill_run(door);
    door->is_running = false;
}
