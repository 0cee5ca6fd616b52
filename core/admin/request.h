/* request.h: what a door and its requests are; for door.c and request.c only. */
#ifndef RELAY_ADMIN_REQUEST_H
#define RELAY_ADMIN_REQUEST_H

#include "admin/route.h"

#include <microhttpd.h>

/* struct mill: the library at one place, with one certificate; places over TCP have a new one with each certificate, and the old ones go when their connections
 * have. */
struct mill {
    struct MHD_Daemon *daemon;
    bool is_tcp, is_retired;
    struct mill *next;
};

struct door {
    struct door_config config;
    MHD_AccessHandlerCallback on_request;
    MHD_RequestCompletedCallback on_done;
    void *(*on_target)(void *ctx, const char *target, struct MHD_Connection *);
    char *chain, *key;            /* PEM; NULL: no TLS */
    int listening[DOOR_PLACES];   /* descriptors; -1: not yet */
    struct mill *mills;
    int ready, woken; /* an epoll of the library's own and of what door_wake makes readable */
    bool is_running, is_stopping;
    struct door_request *waiting; /* served, not answered */
    struct feed *feeds;
};

struct door_header {
    const char *name;
    char value[DOOR_HEADER_MAX + 1];
};

struct door_request {
    struct door *door;
    struct MHD_Connection *connection;
    const struct door_route *route; /* NULL: there is none, and it is refused */
    struct door_caller caller;
    struct addr source;
    char *target; /* the path as it was sent; NULL: out of memory */
    const char *method, *path; /* NULL until the head has come */
    route_parts parts;
    struct fields query, fields;
    char *body;
    size_t len;
    bool is_too_long, is_set_aside, is_answered;
    struct door_header headers[DOOR_HEADERS];
    size_t header_count;
    struct MHD_Response *response; /* not queued yet; NULL when it is answered: out of memory */
    unsigned status;
    struct door_request *next;
};

/* mill.c.  mill_start: one more, first of door->mills. 0; ERR_DENIED: the certificate is not to be used; ERR_SYSTEM, ERR_MEMORY.  mill_retire: it takes no new
 * connections.  mill_run: all that there is to do; those that are retired and have nobody left go.  mill_stop: those before `until` go; nobody waits for an
 * answer of them any more. */
int mill_start(struct door *, size_t place);
void mill_retire(struct mill *);
void mill_run(struct door *);
void mill_stop(struct door *, const struct mill *until);

/* request_unlink: it waits for no answer any more. */
void request_unlink(const struct door_request *);

#endif
