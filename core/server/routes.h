/* routes.h: what may be asked at the admin door (admin/door.h), a row each; main answers. */
#ifndef RELAY_SERVER_ROUTES_H
#define RELAY_SERVER_ROUTES_H

#include "admin/door.h"
#include "net/loop.h"
#include "server/refusal.h"
#include "server/reload.h"

struct routes {
    const struct config *config;
    struct reload *policies;
    struct door *door; /* NULL: there is none */
    struct watch readable, second;
};

/* routes_open: makes the socket, with the privileges of the start. 0, or negative with the refusal.  routes_serve: answers from now on; what routes
 * speak of is there.  routes_close: after reload_close, which tells who still waits; before the loop goes. */
int routes_open(struct routes *, const struct config *, struct refusal *);
void routes_serve(struct routes *, struct loop *, struct reload *);
void routes_close(struct routes *);

#endif
