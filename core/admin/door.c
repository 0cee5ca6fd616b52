/* door.c: libmicrohttpd between a unix socket and the rows. */
#include "admin/door.h"

#include "admin/feed.h"
#include "base/bytes.h"
#include "base/err.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define TURNS 64 /* of the HTTP machine in one door_run */

struct door {
    struct door_config config;
    struct MHD_Daemon *daemon;
    int fd;
    int ready, woken; /* an epoll of the library's own and of what door_wake makes readable */
    bool is_bound, is_running;
    struct door_request *waiting; /* served, not answered */
    struct feed *feeds;
};

struct door_request {
    struct door *door;
    struct MHD_Connection *connection;
    const struct door_route *route;
    struct door_caller caller;
    char parts[DOOR_PARTS][DOOR_PART_MAX + 1];
    char *body;
    size_t len;
    bool is_too_long, is_set_aside, is_answered;
    struct MHD_Response *response; /* not queued yet; NULL when it is answered: out of memory */
    unsigned status;
    struct door_request *next;
};

/* has_method: GET answers HEAD too: the library leaves the body out. */
static bool has_method(const struct door_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 && strcmp(route->method, MHD_HTTP_METHOD_GET) == 0);
}

/* matches: whether the row has this path; `parts`, unless NULL, are what stands for each *. */
static bool matches(const struct door_route *route, const char *path, char parts[][DOOR_PART_MAX + 1])
{
    const char *want = route->path;
    size_t count = 0;
    for (; *want; want++) {
        if (*want != '*') {
            if (*want != *path++)
                return false;
            continue;
        }
        const struct view part = view_of(path, strcspn(path, "/"));
        if (part.len == 0 || part.len > DOOR_PART_MAX)
            return false;
        if (parts)
            view_copy(part, parts[count], DOOR_PART_MAX + 1);
        count++;
        path += part.len;
    }
    return *path == 0;
}

/* find: the row; NULL, and in *allowed the first row with this path, if there is one. */
static const struct door_route *find(const struct door *door, const char *path, const char *method, const struct door_route **allowed)
{
    *allowed = NULL;
    for (size_t i = 0; i < door->config.route_count; i++) {
        const struct door_route *route = &door->config.routes[i];
        if (!matches(route, path, NULL))
            continue;
        if (has_method(route, method))
            return route;
        if (!*allowed)
            *allowed = route;
    }
    return NULL;
}

/* response_of_text: takes the text over; of NULL: NULL. */
static struct MHD_Response *response_of_text(const char *type, char *text, size_t len)
{
    struct MHD_Response *response = text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(text);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return response;
}

static struct MHD_Response *response_of(json_t *body)
{
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    const size_t len = text ? strlen(text) : 0;
    json_decref(body);
    if (text)
        text[len] = '\n'; /* in place of the NUL, which nobody needs */
    return response_of_text("application/json", text, len + 1);
}

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

/* refuse_early: without a row there is no request. */
static enum MHD_Result refuse_early(struct MHD_Connection *connection, const struct door_route *allowed)
{
    struct MHD_Response *response = response_of(json_pack("{s:s}", "error", allowed ? "method not allowed" : "not found"));
    if (response && allowed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allowed->method);
    return queue(connection, allowed ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND, response);
}

static enum MHD_Result take_body(struct door_request *request, const char *data, size_t *len)
{
    const size_t more = *len;
    *len = 0;
    if (more > request->route->body_max - request->len) {
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

static void unlink_request(const struct door_request *request)
{
    struct door_request **at = &request->door->waiting;
    while (*at && *at != request)
        at = &(*at)->next;
    if (*at)
        *at = request->next;
}

/* struct strange: the first parameter that its row does not name, or whose value has a zero byte. */
struct strange {
    const struct door_route *route;
    bool is_there;
    char name[DOOR_PART_MAX + 1];
};

static enum MHD_Result look_at(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t len)
{
    struct strange *strange = ctx;
    const char *const *known = strange->route->query;
    (void)kind;
    while (known && *known && !view_equal(view_text(*known), view_of(name, name_len)))
        known++;
    if (known && *known && !(value && memchr(value, 0, len)))
        return MHD_YES;
    strange->is_there = true;
    view_copy(view_of(name, name_len), strange->name, sizeof strange->name);
    return MHD_NO;
}

/* is_strange: then it is refused. */
static bool is_strange(struct door_request *request)
{
    struct strange strange = {.route = request->route};
    MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, look_at, &strange);
    if (strange.is_there)
        door_answer(request, MHD_HTTP_BAD_REQUEST,
                    json_pack("{s:o}", "error", json_sprintf("no such parameter, or no such value: %s", strange.name)));
    return strange.is_there;
}

/* serve: the row answers now, or the connection is set aside until it does. */
static enum MHD_Result serve(struct door_request *request)
{
    link_request(request);
    if (request->is_too_long)
        door_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
    else if (!is_strange(request))
        request->route->serve(request->door->config.ctx, request);
    if (request->is_answered)
        return finish(request);
    request->is_set_aside = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* The library calls this when the head has come, for each piece of the body, at its end, and when a connection that was set aside goes on. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                  const char *data, size_t *len, void **of_request)
{
    struct door *door = ctx;
    struct door_request *request = *of_request;
    (void)version;
    if (request && request->is_answered)
        return finish(request);
    if (request)
        return *len ? take_body(request, data, len) : serve(request);
    const struct door_route *allowed, *route = find(door, path, method, &allowed);
    if (!route)
        return refuse_early(connection, allowed);
    request = calloc(1, sizeof *request);
    if (!request)
        return MHD_NO;
    *request = (struct door_request){.door = door, .connection = connection, .route = route, .caller = {"*", "", DOOR_SCOPES}};
    matches(route, path, request->parts);
    *of_request = request;
    return MHD_YES;
}

static void on_done(void *ctx, struct MHD_Connection *connection, void **of_request, enum MHD_RequestTerminationCode code)
{
    struct door_request *request = *of_request;
    (void)ctx, (void)connection, (void)code;
    if (!request)
        return;
    unlink_request(request);
    if (request->response)
        MHD_destroy_response(request->response);
    free(request->body);
    free(request);
    *of_request = NULL;
}

const char *door_body(const struct door_request *request, size_t *len)
{
    *len = request->len;
    return request->body ? request->body : "";
}

const char *door_query(const struct door_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *door_part(const struct door_request *request, unsigned index)
{
    return request->parts[index];
}

const char *door_header(const struct door_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const struct door_caller *door_caller(const struct door_request *request)
{
    return &request->caller;
}

bool door_may_see(const struct door_request *request, const char *tenant)
{
    return strcmp(request->caller.tenant, "*") == 0 || strcmp(request->caller.tenant, tenant) == 0;
}

void door_respond(struct door_request *request, unsigned status, struct MHD_Response *response)
{
    unlink_request(request);
    request->status = status;
    request->response = response;
    request->is_answered = true;
    if (request->is_set_aside)
        MHD_resume_connection(request->connection);
    request->is_set_aside = false;
}

static void answer(struct door_request *request, unsigned status, struct MHD_Response *response)
{
    struct door *door = request->door;
    const bool was_aside = request->is_set_aside;
    door_respond(request, status, response);
    if (was_aside && !door->is_running)
        door_run(door);
}

void door_answer(struct door_request *request, unsigned status, json_t *body)
{
    answer(request, status, response_of(body));
}

void door_answer_text(struct door_request *request, unsigned status, const char *type, char *text)
{
    answer(request, status, response_of_text(type, text, text ? strlen(text) : 0));
}

void door_refuse(struct door_request *request, unsigned status, const char *reason)
{
    door_answer(request, status, json_pack("{s:s}", "error", reason));
}

struct feed **door_feeds(struct door *door)
{
    return &door->feeds;
}

struct door *door_of(const struct door_request *request)
{
    return request->door;
}

void door_wake(const struct door *door)
{
    eventfd_write(door->woken, 1);
}

struct MHD_Connection *door_connection(const struct door_request *request)
{
    return request->connection;
}

/* is_free: whether a socket may be made at the path: nothing is there, or one that was left behind, which goes. */
static int is_free(const struct sockaddr_un *at)
{
    struct stat file;
    if (lstat(at->sun_path, &file) != 0)
        return errno == ENOENT ? 0 : ERR_SYSTEM;
    if (!S_ISSOCK(file.st_mode))
        return ERR_BAD;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    const bool lives = connect(fd, (const struct sockaddr *)(const void *)at, sizeof *at) == 0 || errno != ECONNREFUSED;
    close(fd);
    if (lives)
        return ERR_EXISTS;
    return unlink(at->sun_path) == 0 ? 0 : ERR_SYSTEM;
}

/* Nobody can connect before it listens, and by then its mode is narrow. */
static int listen_at(struct door *door)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(door->config.path) >= sizeof at.sun_path)
        return ERR_BAD;
    memcpy(at.sun_path, door->config.path, strlen(door->config.path) + 1);
    const int status = is_free(&at);
    if (status)
        return status;
    door->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->fd < 0 || bind(door->fd, (const struct sockaddr *)(const void *)&at, sizeof at) != 0)
        return ERR_SYSTEM;
    door->is_bound = true;
    return chmod(door->config.path, S_IRUSR | S_IWUSR) == 0 && listen(door->fd, BACKLOG) == 0 ? 0 : ERR_SYSTEM;
}

static int start(struct door *door)
{
    door->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, door,          /**/
                                    MHD_OPTION_LISTEN_SOCKET, door->fd, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL,     /**/
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)DOOR_CONNECTIONS,                            /**/
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)DOOR_MEMORY,                            /**/
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)DOOR_TIMEOUT_S, MHD_OPTION_END);
    return door->daemon ? 0 : ERR_MEMORY;
}

static int library_descriptor(const struct door *door)
{
    return MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

/* gather: one descriptor for all that there is to do. */
static int gather(struct door *door)
{
    struct epoll_event event = {.events = EPOLLIN};
    door->ready = epoll_create1(EPOLL_CLOEXEC);
    door->woken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return door->ready >= 0 && door->woken >= 0 && epoll_ctl(door->ready, EPOLL_CTL_ADD, door->woken, &event) == 0 &&
                   epoll_ctl(door->ready, EPOLL_CTL_ADD, library_descriptor(door), &event) == 0
               ? 0
               : ERR_SYSTEM;
}

int door_open(const struct door_config *config, struct door **out)
{
    struct door *door = calloc(1, sizeof *door);
    if (!door)
        return ERR_MEMORY;
    door->config = *config;
    door->fd = door->ready = door->woken = -1;
    int status = listen_at(door);
    if (!status)
        status = start(door);
    if (!status)
        status = gather(door);
    if (!status) {
        *out = door;
        return 0;
    }
    const int why = errno;
    door_close(door);
    errno = why;
    return status;
}

/* The library may not be stopped while connections are set aside. */
void door_close(struct door *door)
{
    if (!door)
        return;
    while (door->waiting)
        door_refuse(door->waiting, MHD_HTTP_SERVICE_UNAVAILABLE, "the relay is stopping");
    feed_close_all(door->feeds);
    if (door->daemon) {
        door_run(door);
        MHD_stop_daemon(door->daemon); /* closes the socket */
    } else if (door->fd >= 0) {
        close(door->fd);
    }
    if (door->is_bound)
        unlink(door->config.path);
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

void door_run(struct door *door)
{
    MHD_UNSIGNED_LONG_LONG left = 0;
    eventfd_t wakes;
    eventfd_read(door->woken, &wakes);
    door->is_running = true;
    for (int turns = 0; turns < TURNS && left == 0; turns++) {
        MHD_run(door->daemon);
        if (MHD_get_timeout(door->daemon, &left) != MHD_YES)
            break;
    }
    door->is_running = false;
}
