/* routes.h: what may be asked at the admin door (admin/door.h), a row each; main answers. */
#ifndef RELAY_SERVER_ROUTES_H
#define RELAY_SERVER_ROUTES_H

#include "admin/door.h"
#include "net/loop.h"
#include "server/refusal.h"
#include "server/reload.h"
#include "server/roster.h"

struct routes {
    const struct config *config;
    const struct service *service;
    struct reload *policies;
    struct roster *roster;
    struct door *door; /* NULL: there is none */
    struct watch readable, second;
};

/* routes_open: makes the socket, with the privileges of the start. 0, or negative with the refusal.  routes_serve: answers from now on;
 * what routes speak of is there.  routes_close: after reload_close and roster_close, which tell who still waits; before the loop goes. */
int routes_open(struct routes *, const struct config *, struct refusal *);
void routes_serve(struct routes *, const struct service *, struct loop *, struct reload *, struct roster *);
void routes_close(struct routes *);

/* The rows' own, by file. */
enum { HTTP_OK = 200, HTTP_BAD_REQUEST = 400, HTTP_NOT_FOUND = 404, HTTP_CONFLICT = 409, HTTP_INTERNAL = 500, HTTP_UNAVAILABLE = 503 };

/* routes_shared.c */
extern const char *const routes_shared_query[];
void routes_shared(void *ctx, struct door_request *);

/* routes_metrics.c */
void routes_metrics(void *ctx, struct door_request *);

/* routes_allocation.c */
extern const char *const routes_allocation_query[];
void routes_allocations(void *ctx, struct door_request *);
void routes_allocation_end(void *ctx, struct door_request *);

/* routes_explain.c */
extern const char *const routes_explain_query[];
void routes_explain(void *ctx, struct door_request *);

#endif
