/* listener.h: sockets that a door listens at; for door.c. */
#ifndef RELAY_ADMIN_LISTENER_H
#define RELAY_ADMIN_LISTENER_H

#include "base/addr.h"

/* listener_unix: at `path`, for its owner alone; one that nobody listens on is replaced. The descriptor, not blocking; ERR_EXISTS: another program listens
 * there; ERR_BAD: the path is too long for a socket, or something else is there; ERR_SYSTEM and errno. */
int listener_unix(const char *path);

/* listener_tcp: at an address. The descriptor, not blocking; ERR_EXISTS: another program listens there; ERR_SYSTEM and errno. */
int listener_tcp(const struct addr *at);

#endif
