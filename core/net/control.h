/* control.h: what is said beside a datagram, in control messages: which of our addresses it is for or from, and its mark.
 *
 * Private to the room. A mark is the byte of the IP header that IPv4 calls type of service and IPv6 traffic class:
 *
 *      0   1   2   3   4   5   6   7
 *     +---+---+---+---+---+---+---+---+
 *     |         DSCP          |  ECN  |       RFC 2474, RFC 3168
 *     +---+---+---+---+---+---+---+---+
 *
 * What is relayed keeps its mark (RFC 8656 sections 13 to 15). A client says what it likes there, and so does a peer: a DSCP from 48 up,
 * which routers keep for their own traffic (RFC 2474 section 4.2.2.2), is read as best effort; all others are for the application, and
 * worth what the network makes of them. A false ECN harms nobody but its own flow.
 */
#ifndef RELAY_NET_CONTROL_H
#define RELAY_NET_CONTROL_H

#include "base/addr.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* union control: room for all that we ask for beside a datagram, or say. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct sockaddr_in6)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int))];
};

/* control_ask_*: the socket is to tell, of each datagram that it receives from now on. A listener of TCP passes the asking on to its
 * connections. */
bool control_ask_local(int fd, uint8_t family);
bool control_ask_destination(int fd, uint8_t family);
bool control_ask_mark(int fd, uint8_t family);

/* control_ask_errors: the socket keeps what networks, and the system, say of datagrams that it sent: udp_error. */
bool control_ask_errors(int fd, uint8_t family);

/* control_local: which address of ours it was sent to; `bound` if that was not asked for.  control_destination: that and the port, or family
 * ADDR_NONE.  control_mark: likewise 0. */
struct addr control_local(const struct msghdr *, const struct addr *bound);
struct addr control_destination(const struct msghdr *);
uint8_t control_mark(const struct msghdr *);

/* control_put_*: append to what is said of a datagram, in `control`; msg_controllen is 0 before the first. */
void control_put_local(struct msghdr *, union control *, const struct addr *from);
void control_put_mark(struct msghdr *, union control *, uint8_t mark);

/* control_put_segment: what is sent are datagrams of that many bytes each, but for the last; said last.  control_take_segment: it was not. */
void control_put_segment(struct msghdr *, union control *, uint16_t bytes);
void control_take_segment(struct msghdr *);

/* control_connection_mark: the DSCP of an accepted connection (it has but one; ECN there is TCP's own business), which from now on is ours
 * on it too. */
uint8_t control_connection_mark(int fd, uint8_t family);

#endif
