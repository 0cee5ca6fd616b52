/* own.h: every address and port of this machine on which the server itself listens: the engine never relays to them.
 *
 * A listener on 0.0.0.0 or :: listens on every interface's address; external-ip stands for the relay address behind it, with the same ports.
 */
#ifndef RELAY_SERVER_OWN_H
#define RELAY_SERVER_OWN_H

#include "server/config.h"

/* own_listeners: a heap array of *count addresses; NULL without memory. Interfaces are read once, at start. */
struct addr *own_listeners(const struct config *, uint32_t *count);

#endif
