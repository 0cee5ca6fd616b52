/* icmp.c: raw sockets of ICMP and ICMPv6. */
#include "net/icmp.h"

#include "base/err.h"
#include "net/checksum.h"
#include "net/socket.h"

#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#define FILTER 1           /* ICMP_FILTER of linux/icmp.h, which netinet/ip_icmp.h does not bear */
#define LONGEST 1280       /* an ICMPv6 error; one of IPv4 is no longer than 576 */
#define FRAGMENT_OFFSET 0x1FFF

static bool only_errors(int fd, uint8_t family)
{
    struct icmp6_filter v6;
    const uint32_t v4 = ~(UINT32_C(1) << ICMP_DEST_UNREACH | UINT32_C(1) << ICMP_TIME_EXCEEDED);
    if (family == ADDR_IPV4)
        return setsockopt(fd, SOL_RAW, FILTER, &v4, sizeof v4) == 0;
    ICMP6_FILTER_SETBLOCKALL(&v6);
    ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &v6);
    ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &v6);
    ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &v6);
    return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof v6) == 0;
}

/* only_ports: the system looks, before anybody is woken. A load behind the end of a packet drops it. */
static bool only_ports(int fd, uint8_t family, uint16_t first, uint16_t last)
{
    struct sock_filter v4[] = {
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X: the length of the header before the ICMP */
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, sizeof(struct icmphdr) + offsetof(struct iphdr, protocol)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 9),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, sizeof(struct icmphdr)), /* the length of the datagram's own header */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xF),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, sizeof(struct icmphdr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_filter v6[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct icmp6_hdr) + offsetof(struct ip6_hdr, ip6_nxt)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 4),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, sizeof(struct icmp6_hdr) + sizeof(struct ip6_hdr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = family == ADDR_IPV6 ? (struct sock_fprog){sizeof v6 / sizeof *v6, v6} : (struct sock_fprog){sizeof v4 / sizeof *v4, v4};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

int icmp_socket(uint8_t family, uint16_t first, uint16_t last)
{
    const bool v6 = family == ADDR_IPV6;
    const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (fd < 0)
        return ERR_SYSTEM;
    if (only_errors(fd, family) && only_ports(fd, family, first, last))
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

static bool ports_open(struct view in, struct icmp_error *out)
{
    struct udphdr udp;
    if (in.len < sizeof udp)
        return false;
    memcpy(&udp, in.at, sizeof udp);
    out->from.port = ntohs(udp.source);
    out->error.peer.port = ntohs(udp.dest);
    return true;
}

/* The system has not looked at the checksum yet when it gives an ICMP to raw sockets; of ICMPv6 it has. */
static bool v4_open(struct view in, struct icmp_error *out)
{
    struct iphdr ip;
    struct icmphdr icmp;
    if (in.len < sizeof ip)
        return false;
    in = view_from(in, (size_t)(in.at[0] & 0xF) * 4);
    if (in.len < sizeof icmp + sizeof ip || checksum_of(checksum_add(0, in.at, in.len)) != 0)
        return false;
    memcpy(&icmp, in.at, sizeof icmp);
    memcpy(&ip, in.at + sizeof icmp, sizeof ip);
    if (ip.protocol != IPPROTO_UDP || ntohs(ip.frag_off) & FRAGMENT_OFFSET)
        return false;
    out->error.type = icmp.type;
    out->error.code = icmp.code;
    out->error.data = ntohs(icmp.un.frag.mtu);
    out->from = addr_v4((const uint8_t *)&ip.saddr, 0);
    out->error.peer = addr_v4((const uint8_t *)&ip.daddr, 0);
    return ports_open(view_from(in, sizeof icmp + (size_t)ip.ihl * 4), out);
}

static bool v6_open(struct view in, struct icmp_error *out)
{
    struct ip6_hdr ip;
    struct icmp6_hdr icmp;
    if (in.len < sizeof icmp + sizeof ip)
        return false;
    memcpy(&icmp, in.at, sizeof icmp);
    memcpy(&ip, in.at + sizeof icmp, sizeof ip);
    if (ip.ip6_nxt != IPPROTO_UDP)
        return false;
    out->error.type = icmp.icmp6_type;
    out->error.code = icmp.icmp6_code;
    out->error.data = ntohl(icmp.icmp6_mtu);
    out->from = addr_v6(ip.ip6_src.s6_addr, 0);
    out->error.peer = addr_v6(ip.ip6_dst.s6_addr, 0);
    return ports_open(view_from(in, sizeof icmp + sizeof ip), out);
}

int icmp_receive(int fd, uint8_t family, struct icmp_error *out)
{
    uint8_t bytes[LONGEST];
    const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0)
        return ERR_NOT_FOUND;
    const struct view in = view_of(bytes, (size_t)got);
    *out = (struct icmp_error){0};
    return (family == ADDR_IPV6 ? v6_open(in, out) : v4_open(in, out)) ? 0 : ERR_BAD;
}
