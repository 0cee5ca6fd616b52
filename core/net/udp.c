/* udp.c: UDP sockets, and what networks say to them. */
#include "net/udp.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* what the system says in an ICMP's stead */
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_TOO_BIG 2

static void buffer(int fd, int option, int force)
{
    const int bytes = UDP_LISTEN_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes); /* the best that the system gives */
}

void udp_buffers(int fd)
{
    buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
    buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
}

/* got: the system keeps twice of what is asked for, for its own part of each packet. */
static uint32_t got(int fd, int option)
{
    int bytes = 0;
    socklen_t len = sizeof bytes;
    return getsockopt(fd, SOL_SOCKET, option, &bytes, &len) == 0 ? (uint32_t)bytes / 2 : 0;
}

struct udp_buffer_sizes udp_buffers_of(int fd)
{
    return (struct udp_buffer_sizes){got(fd, SO_RCVBUF), got(fd, SO_SNDBUF)};
}

struct udp_buffer_sizes udp_buffers_try(void)
{
    const struct addr any = addr_v4((const uint8_t[4]){127, 0, 0, 1}, 0);
    const int fd = socket_bound(SOCK_DGRAM, &any, SOCKET_EXCLUSIVE);
    if (fd < 0)
        return (struct udp_buffer_sizes){0, 0};
    udp_buffers(fd);
    const struct udp_buffer_sizes sizes = udp_buffers_of(fd);
    close(fd);
    return sizes;
}

uint32_t udp_overflows(int fd)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t len = sizeof info;
    const bool told = getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 && len >= (SK_MEMINFO_DROPS + 1) * sizeof *info;
    return told ? info[SK_MEMINFO_DROPS] : 0;
}

static bool may_be_fragmented(int fd, const struct addr *local)
{
    const int dont = IP_PMTUDISC_DONT;
    return local->family == ADDR_IPV6 || setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont) == 0;
}

int udp_listen(const struct addr *local)
{
    const int fd = socket_bound(SOCK_DGRAM, local, SOCKET_SHARED);
    if (fd < 0)
        return fd;
    if (!may_be_fragmented(fd, local) || (addr_is_any(local) && !control_ask_local(fd, local->family))) {
        socket_close(fd);
        return ERR_SYSTEM;
    }
    udp_buffers(fd);
    return fd;
}

bool udp_ask_mark(int fd, const struct addr *local)
{
    return control_ask_mark(fd, local->family);
}

bool udp_is_taken(const struct addr *local)
{
    return socket_is_taken(SOCK_DGRAM, local);
}

static int bound(const struct addr *local)
{
    const int fd = socket_bound(SOCK_DGRAM, local, SOCKET_EXCLUSIVE);
    return fd < 0 && errno == EADDRINUSE ? ERR_BUSY : fd;
}

int udp_probe(const struct addr *local)
{
    const int fd = bound(local);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int udp_relay(const struct addr *local)
{
    const int fd = bound(local);
    if (fd < 0)
        return fd;
    if (socket_keep_whole(fd, local->family, false) && control_ask_errors(fd, local->family))
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

uint32_t udp_path_mtu(const struct addr *local, const struct addr *peer)
{
    struct addr any_port = *local;
    any_port.port = 0;
    const bool v6 = local->family == ADDR_IPV6;
    const int fd = socket_bound(SOCK_DGRAM, &any_port, SOCKET_EXCLUSIVE);
    struct sockaddr_storage to;
    const socklen_t to_len = addr_to_sockaddr(peer, &to);
    int mtu = 0;
    socklen_t len = sizeof mtu;
    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)&to, to_len) != 0 || getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &len) != 0)
        mtu = 0;
    close(fd);
    return (uint32_t)mtu;
}

struct peer_error udp_too_big(const struct addr *peer, uint32_t mtu)
{
    const bool v6 = peer->family == ADDR_IPV6;
    return (struct peer_error){*peer, v6 ? ICMPV6_TOO_BIG : ICMP_UNREACHABLE, v6 ? 0 : ICMP_FRAGMENTATION_NEEDED, mtu};
}

int udp_line_move(int line, const struct addr *peer)
{
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(peer, &to);
    return connect(line, (const struct sockaddr *)&to, len) == 0 ? 0 : ERR_SYSTEM;
}

static bool shares(int fd, bool whether)
{
    const int value = whether;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) == 0;
}

/* The port is shared only while the line is bound, and only with this user's programs. */
int udp_line(int relay, const struct addr *peer)
{
    const struct addr local = socket_local(relay);
    const int fd = shares(relay, true) ? socket_bound(SOCK_DGRAM, &local, SOCKET_SHARED) : ERR_SYSTEM;
    shares(relay, false);
    if (fd < 0)
        return ERR_SYSTEM;
    if (shares(fd, false) && socket_keep_whole(fd, local.family, false) && control_ask_errors(fd, local.family) && udp_line_move(fd, peer) == 0)
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

/* error_read: an ICMP's own words; or those that a router would have used, where the system refused a datagram that was longer than the
 * link. */
static void error_read(const struct sock_extended_err *told, struct peer_error *error)
{
    error->data = told->ee_info;
    if (told->ee_origin == SO_EE_ORIGIN_ICMP || told->ee_origin == SO_EE_ORIGIN_ICMP6) {
        error->type = told->ee_type;
        error->code = told->ee_code;
    } else if (told->ee_origin == SO_EE_ORIGIN_LOCAL && told->ee_errno == EMSGSIZE) {
        *error = udp_too_big(&error->peer, told->ee_info);
    }
}

int udp_error(int fd, struct peer_error *error)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
    } control;
    struct sockaddr_storage to = {0};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return ERR_NOT_FOUND;
    *error = (struct peer_error){.peer = addr_from_sockaddr(&to)};
    for (struct cmsghdr *told = CMSG_FIRSTHDR(&message); told; told = CMSG_NXTHDR(&message, told)) {
        const bool v4 = told->cmsg_level == IPPROTO_IP && told->cmsg_type == IP_RECVERR;
        const bool v6 = told->cmsg_level == IPPROTO_IPV6 && told->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err extended;
        if (!v4 && !v6)
            continue;
        memcpy(&extended, CMSG_DATA(told), sizeof extended);
        error_read(&extended, error);
    }
    return 0;
}
