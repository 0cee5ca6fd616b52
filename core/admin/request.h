/* request.h: what a door and its requests are; for door.c and request.c only. */
#ifndef RELAY_ADMIN_REQUEST_H
#define RELAY_ADMIN_REQUEST_H

#include "admin/route.h"

#include <microhttpd.h>

struct door {
    struct door_config config;
    struct MHD_Daemon *daemon;
    int fd;
    int ready, woken; /* an epoll of the library's own and of what door_wake makes readable */
    bool is_bound, is_running;
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

/* request_unlink: it waits for no answer any more. */
void request_unlink(const struct door_request *);

#endif
