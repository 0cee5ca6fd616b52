/* control.c: control messages. */
#include "net/control.h"

#include "net/socket.h"

#include <netinet/udp.h>
#include <string.h>

#define DSCP_BITS 0xFC
#define FIRST_OF_ROUTERS 0xC0 /* DSCP 48, in place */

bool control_ask_local(int fd, uint8_t family)
{
    return family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : socket_flag(fd, IPPROTO_IP, IP_PKTINFO);
}

bool control_ask_destination(int fd, uint8_t family)
{
    return family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR) : socket_flag(fd, IPPROTO_IP, IP_RECVORIGDSTADDR);
}

bool control_ask_mark(int fd, uint8_t family)
{
    return family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_RECVTCLASS) : socket_flag(fd, IPPROTO_IP, IP_RECVTOS);
}

bool control_ask_errors(int fd, uint8_t family)
{
    return family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_RECVERR) : socket_flag(fd, IPPROTO_IP, IP_RECVERR);
}

static struct cmsghdr *next(const struct msghdr *message, struct cmsghdr *told)
{
    return CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, told); /* which only reads it */
}

struct addr control_local(const struct msghdr *message, const struct addr *bound)
{
    for (struct cmsghdr *told = CMSG_FIRSTHDR(message); told; told = next(message, told)) {
        if (told->cmsg_level == IPPROTO_IP && told->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(told), sizeof info);
            return addr_v4((const uint8_t *)&info.ipi_spec_dst, bound->port);
        }
        if (told->cmsg_level == IPPROTO_IPV6 && told->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(told), sizeof info);
            return addr_v6(info.ipi6_addr.s6_addr, bound->port);
        }
    }
    return *bound;
}

struct addr control_destination(const struct msghdr *message)
{
    for (struct cmsghdr *told = CMSG_FIRSTHDR(message); told; told = next(message, told)) {
        const bool v4 = told->cmsg_level == IPPROTO_IP && told->cmsg_type == IP_ORIGDSTADDR;
        const bool v6 = told->cmsg_level == IPPROTO_IPV6 && told->cmsg_type == IPV6_ORIGDSTADDR;
        struct sockaddr_storage at;
        if (!v4 && !v6)
            continue;
        memcpy(&at, CMSG_DATA(told), v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        return addr_from_sockaddr(&at);
    }
    return (struct addr){0};
}

/* passed: the mark as we pass it on. */
static uint8_t passed(uint8_t mark)
{
    return mark < FIRST_OF_ROUTERS ? mark : (uint8_t)(mark & ~DSCP_BITS);
}

/* A byte for a datagram of IPv4, an int for IPv6 and for connections. */
static uint8_t mark_read(const struct cmsghdr *told)
{
    int wide;
    if (told->cmsg_len == CMSG_LEN(1))
        return passed(*CMSG_DATA(told));
    memcpy(&wide, CMSG_DATA(told), sizeof wide);
    return passed((uint8_t)wide);
}

uint8_t control_mark(const struct msghdr *message)
{
    for (struct cmsghdr *told = CMSG_FIRSTHDR(message); told; told = next(message, told))
        if ((told->cmsg_level == IPPROTO_IP && told->cmsg_type == IP_TOS) ||
            (told->cmsg_level == IPPROTO_IPV6 && told->cmsg_type == IPV6_TCLASS))
            return mark_read(told);
    return 0;
}

struct said {
    int level, type;
    size_t len;
    const void *data;
};

static void put(struct msghdr *message, union control *control, struct said said)
{
    struct cmsghdr *at = (struct cmsghdr *)(void *)(control->bytes + message->msg_controllen);
    *at = (struct cmsghdr){.cmsg_len = CMSG_LEN(said.len), .cmsg_level = said.level, .cmsg_type = said.type};
    memcpy(CMSG_DATA(at), said.data, said.len);
    message->msg_control = control;
    message->msg_controllen += CMSG_SPACE(said.len);
}

void control_put_local(struct msghdr *message, union control *control, const struct addr *from)
{
    if (from->family == ADDR_IPV6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, from->ip, 16);
        put(message, control, (struct said){IPPROTO_IPV6, IPV6_PKTINFO, sizeof info, &info});
    } else {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, from->ip + 12, 4);
        put(message, control, (struct said){IPPROTO_IP, IP_PKTINFO, sizeof info, &info});
    }
}

void control_put_mark(struct msghdr *message, union control *control, uint8_t mark)
{
    const bool v6 = ((const struct sockaddr *)message->msg_name)->sa_family == AF_INET6;
    const int wide = mark;
    put(message, control, (struct said){v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, sizeof wide, &wide});
}

void control_put_segment(struct msghdr *message, union control *control, uint16_t bytes)
{
    put(message, control, (struct said){IPPROTO_UDP, UDP_SEGMENT, sizeof bytes, &bytes});
}

void control_take_segment(struct msghdr *message)
{
    message->msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
}

/* The system kept it from the packet that opened the connection. */
uint8_t control_connection_mark(int fd, uint8_t family)
{
    const bool v6 = family == ADDR_IPV6;
    union control control;
    socklen_t len = sizeof control;
    if (getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_2292PKTOPTIONS : IP_PKTOPTIONS, &control, &len) != 0)
        return 0;
    const int dscp = control_mark(&(struct msghdr){.msg_control = &control, .msg_controllen = len}) & DSCP_BITS;
    if (dscp)
        setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &dscp, sizeof dscp);
    return (uint8_t)dscp;
}
