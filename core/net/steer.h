/* steer.h: relay ports without a socket each: a BPF program (sk_lookup, Linux 5.9) gives what comes for them to one socket for each worker and family.
 *
 * The program looks at UDP that is sent to one of the relay addresses, at a port of the range, and asks a table who owns the port: nobody, and the
 * system goes on as without it (a port that nobody owns is answered by ICMP, and another program's socket gets its own), or a worker, whose socket
 * gets the datagram; steer_local tells which port that was for. User space writes the table as memory: no call, and no privilege after steer_open and steer_socket,
 * which take CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW. Connected sockets go before the program; the program goes before bound ones, so who
 * owns a port sees to it that no other program is there. It ends with the last descriptor of its link, so with the process. Several processes may each have one.
 */
#ifndef RELAY_NET_STEER_H
#define RELAY_NET_STEER_H

#include "turn/engine.h"

#define STEER_WHY_MAX 160

struct steer;

struct steer_config {
    const struct relay_address *relays; /* they live as long */
    uint32_t count;
    uint16_t first, last; /* inclusive */
    unsigned workers;
};

/* steer_open: 0, or ERR_MEMORY, or ERR_SYSTEM with what is missing: "CAP_BPF is missing". */
int steer_open(const struct steer_config *, struct steer **out, char why[STEER_WHY_MAX]);
void steer_close(struct steer *);

/* steer_is_reserved: whether the system gives none of these ports to a program that asks for any: net.ipv4.ip_local_port_range without
 * ip_local_reserved_ports. */
bool steer_is_reserved(uint16_t first, uint16_t last);

/* steer_socket: the socket of a worker for what comes over `family`; once for each. The caller closes it. ERR_SYSTEM. */
int steer_socket(struct steer *, unsigned worker, uint8_t family);

/* steer_own: from now on the port's datagrams come to that worker.  steer_disown: to nobody.  One atomic store. */
void steer_own(struct steer *, uint32_t address, uint16_t port, unsigned worker);
void steer_disown(struct steer *, uint32_t address, uint16_t port);

/* steer_address: which of the relay addresses has this IP, or `count`. */
uint32_t steer_address(const struct steer *, const struct addr *local);

#endif
