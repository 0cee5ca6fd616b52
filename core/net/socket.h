/* socket.h: making sockets: non-blocking, close-on-exec, bound to one address of one family.
 *
 * Private to the room. IPv6 sockets are IPv6 only, so that 0.0.0.0 and :: may both be listened on. The TTL is left to the system (64).
 */
#ifndef RELAY_NET_SOCKET_H
#define RELAY_NET_SOCKET_H

#include "base/addr.h"

enum socket_sharing { SOCKET_EXCLUSIVE, SOCKET_SHARED }; /* shared: SO_REUSEPORT, one socket for each worker */

/* socket_bound: of `type` SOCK_DGRAM or SOCK_STREAM, bound to `local`. The descriptor, or ERR_SYSTEM with errno. */
int socket_bound(int type, const struct addr *local, enum socket_sharing);

/* socket_is_taken: whether somebody else holds `local`; never for port 0. */
bool socket_is_taken(int type, const struct addr *local);

struct addr socket_local(int fd); /* what it is bound to; family ADDR_NONE on failure */

/* socket_close: keeps errno. */
void socket_close(int fd);

/* socket_is_exhausted: whether this errno says that descriptors or memory of the system are used up: trying again at once would only spin. */
bool socket_is_exhausted(int error);

/* socket_accept: the next connection to a listener, non-blocking, close-on-exec, and where it is from: the descriptor; ERR_NOT_FOUND: none waits; ERR_MEMORY:
 * not before descriptors or memory are free again; ERR_SYSTEM: of this one connection, the next may do. */
int socket_accept(int listener, struct addr *from);

/* socket_is_passing: an error that an earlier datagram earned, or that will pass: the socket is well. */
bool socket_is_passing(int error);

/* socket_keep_whole: how a relay socket sends from now on. Whole: with DF, and nothing that is longer than the path; else with neither. */
bool socket_keep_whole(int fd, uint8_t family, bool whole);

bool socket_flag(int fd, int level, int option);

#endif
