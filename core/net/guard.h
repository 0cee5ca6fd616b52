/* guard.h: which hosts may be asked that are on no list: over HTTPS, at addresses that are everybody's. Private to the room.
 *
 * An address that is private, loopback, link-local, special, or a way to one (turn/peer.h) is not; nor is a name that leads there: it is judged by
 * the address that a connection would go to.
 */
#ifndef RELAY_NET_GUARD_H
#define RELAY_NET_GUARD_H

#include "net/rule.h"

#include <stdbool.h>
#include <sys/socket.h>

struct guard;

struct guard *guard_new(void); /* NULL without memory */
void guard_free(struct guard *);

/* guard_lets: the URL, as far as it can be judged without asking for its name.  guard_has: the address. */
bool guard_lets(const struct guard *, const struct place *);
bool guard_has(const struct guard *, const struct sockaddr_storage *);

#endif
