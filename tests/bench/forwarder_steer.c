/* forwarder_steer.c: a whole range of ports to one socket by sk_lookup, and datagrams from any of these ports. */
#include "forwarder.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* since Linux 6.2 */
#endif

/* ---- in ---- */

#define LOAD_FIELD(to, from, field)                                                                                                        \
    {                                                                                                                                      \
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = from, .off = offsetof(struct bpf_sk_lookup, field)                    \
    }
#define MOVE(to, from)                                                                                                                     \
    {                                                                                                                                      \
        .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from                                                                \
    }
#define SET(to, number)                                                                                                                    \
    {                                                                                                                                      \
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = to, .imm = number                                                                  \
    }
#define ADD(to, number)                                                                                                                    \
    {                                                                                                                                      \
        .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = to, .imm = number                                                                  \
    }
#define JUMP_IF(how, one, number, by)                                                                                                      \
    {                                                                                                                                      \
        .code = BPF_JMP32 | how | BPF_K, .dst_reg = one, .imm = number, .off = by                                                          \
    }
#define CALL(function)                                                                                                                     \
    {                                                                                                                                      \
        .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_##function                                                                             \
    }
#define STORE(at, off_, number)                                                                                                            \
    {                                                                                                                                      \
        .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = at, .off = off_, .imm = number                                                        \
    }

/* If it is UDP to a port of the range, the only socket of `map` has it. Whatever else: as if there were no program. */
static int load_program(const struct ports *ports, int map)
{
    const struct bpf_insn code[] = {
        MOVE(BPF_REG_6, BPF_REG_1),
        LOAD_FIELD(BPF_REG_2, BPF_REG_6, protocol),
        JUMP_IF(BPF_JNE, BPF_REG_2, IPPROTO_UDP, 19),
        LOAD_FIELD(BPF_REG_2, BPF_REG_6, local_ip4),
        JUMP_IF(BPF_JNE, BPF_REG_2, (int32_t)ports->ip.s_addr, 17),
        LOAD_FIELD(BPF_REG_2, BPF_REG_6, local_port),
        JUMP_IF(BPF_JLT, BPF_REG_2, ports->min, 15),
        JUMP_IF(BPF_JGT, BPF_REG_2, ports->max, 14),
        STORE(BPF_REG_10, -4, 0),
        {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
        {0}, /* the upper half of it */
        MOVE(BPF_REG_2, BPF_REG_10),
        ADD(BPF_REG_2, -4),
        CALL(map_lookup_elem),
        {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 7},
        MOVE(BPF_REG_7, BPF_REG_0),
        MOVE(BPF_REG_1, BPF_REG_6),
        MOVE(BPF_REG_2, BPF_REG_7),
        SET(BPF_REG_3, 0),
        CALL(sk_assign),
        MOVE(BPF_REG_1, BPF_REG_7),
        CALL(sk_release),
        SET(BPF_REG_0, SK_PASS),
        {.code = BPF_JMP | BPF_EXIT},
    };
    struct bpf_prog_load_opts options = {.sz = sizeof options, .expected_attach_type = BPF_SK_LOOKUP};
    return bpf_prog_load(BPF_PROG_TYPE_SK_LOOKUP, "relay_range", "MIT", code, sizeof code / sizeof *code, &options);
}

int steer_range(const struct ports *ports, int fd)
{
    const int key = 0;
    const uint64_t value = (uint64_t)fd;
    const int map = bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "relay_socket", sizeof key, sizeof value, 1, NULL);
    const int space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (map < 0 || space < 0 || bpf_map_update_elem(map, &key, &value, BPF_ANY) != 0)
        return -1;
    const int program = load_program(ports, map);
    return program >= 0 && bpf_link_create(program, space, BPF_SK_LOOKUP, NULL) >= 0 ? 0 : -1;
}

/* ---- out ---- */

struct datagram {
    struct iphdr ip;
    struct udphdr udp;
};

struct frame {
    struct virtio_net_hdr offload; /* what a network card would be told; never on the wire */
    struct ethhdr ether;
    struct datagram datagram;
} __attribute__((packed));

static const size_t PREFIXES[] = {[STEER_NONE] = 0, [STEER_RAW] = sizeof(struct datagram), [STEER_PACKET] = sizeof(struct frame)};

size_t steer_prefix(enum steer kind)
{
    return PREFIXES[kind];
}

int steer_open(struct steering *steering, enum steer kind, const char *interface)
{
    const int on = 1;
    *steering = (struct steering){.kind = kind};
    snprintf(steering->interface, sizeof steering->interface, "%s", interface);
    if (kind == STEER_RAW) {
        steering->fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
        return steering->fd < 0 ? -1 : 0;
    }
    steering->fd = socket(AF_PACKET, SOCK_RAW, 0); /* of protocol 0: it receives nothing */
    struct ifreq wish = {0};
    snprintf(wish.ifr_name, sizeof wish.ifr_name, "%s", interface);
    const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    if (steering->fd < 0 || setsockopt(steering->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
        setsockopt(steering->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0 ||
        bind(steering->fd, (const struct sockaddr *)&at, sizeof at) != 0 || ioctl(steering->fd, SIOCGIFHWADDR, &wish) != 0)
        return -1;
    memcpy(steering->own, wish.ifr_hwaddr.sa_data, sizeof steering->own);
    return 0;
}

int steer_toward(struct steering *steering, struct in_addr peer)
{
    char line[256], ip[64], hop[32], text[INET_ADDRSTRLEN];
    bool found = strcmp(steering->interface, "lo") == 0 || steering->hop_of.s_addr == peer.s_addr || steering->kind != STEER_PACKET;
    if (found)
        return 0;
    FILE *file = fopen("/proc/net/arp", "re");
    inet_ntop(AF_INET, &peer, text, sizeof text);
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "%63s %*s %*s %31s", ip, hop) == 2 && strcmp(ip, text) == 0 &&
                sscanf(hop, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &steering->hop[0], &steering->hop[1], &steering->hop[2], &steering->hop[3],
                       &steering->hop[4], &steering->hop[5]) == 6;
    if (file)
        fclose(file);
    steering->hop_of = peer;
    return found ? 0 : -1;
}

static uint32_t sum(uint32_t so_far, const void *bytes, size_t len)
{
    uint64_t total = so_far;
    const uint8_t *at = bytes;
    uint32_t word;
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        total += word;
    }
    word = 0;
    memcpy(&word, at, len);
    total += word;
    total = (total & 0xFFFFFFFF) + (total >> 32);
    return (uint32_t)((total & 0xFFFFFFFF) + (total >> 32));
}

static uint16_t fold(uint32_t total)
{
    total = (total & 0xFFFF) + (total >> 16);
    return (uint16_t)((total & 0xFFFF) + (total >> 16));
}

/* of the pseudo header, not complemented: what a network card goes on from */
static uint16_t pseudo_sum(const struct datagram *at)
{
    const uint16_t rest[2] = {htons(IPPROTO_UDP), at->udp.uh_ulen};
    return fold(sum(sum(0, &at->ip.saddr, 2 * sizeof at->ip.saddr), rest, sizeof rest));
}

static void write_datagram(struct datagram *at, const struct envelope *envelope)
{
    const size_t len = sizeof at->udp + envelope->len;
    *at =
        (struct datagram){.ip = {.version = 4,
                                 .ihl = 5,
                                 .tot_len = htons((uint16_t)(sizeof at->ip + len)),
                                 .ttl = IPDEFTTL,
                                 .protocol = IPPROTO_UDP,
                                 .saddr = envelope->from.sin_addr.s_addr,
                                 .daddr = envelope->to.sin_addr.s_addr},
                          .udp = {.uh_sport = envelope->from.sin_port, .uh_dport = envelope->to.sin_port, .uh_ulen = htons((uint16_t)len)}};
}

/* The system fills in the sum of the IP header, and nobody that of UDP. */
static void write_raw(uint8_t *at, const struct envelope *envelope)
{
    struct datagram datagram;
    write_datagram(&datagram, envelope);
    const uint32_t total = sum(pseudo_sum(&datagram), &datagram.udp, sizeof datagram.udp);
    const uint16_t check = (uint16_t)~fold(sum(total, envelope->payload.at, envelope->payload.len));
    datagram.udp.uh_sum = check ? check : 0xFFFF;
    memcpy(at, &datagram, sizeof datagram);
}

static void write_frame(const struct steering *steering, struct frame *at, const struct envelope *envelope)
{
    struct datagram datagram;
    write_datagram(&datagram, envelope);
    datagram.ip.check = (uint16_t)~fold(sum(0, &datagram.ip, sizeof datagram.ip));
    datagram.udp.uh_sum = pseudo_sum(&datagram);
    memcpy(&at->datagram, &datagram, sizeof datagram);
    at->ether.h_proto = htons(ETH_P_IP);
    memcpy(at->ether.h_source, steering->own, sizeof at->ether.h_source);
    memcpy(at->ether.h_dest, steering->hop, sizeof at->ether.h_dest);
    at->offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                          .hdr_len = sizeof at->ether + sizeof at->datagram,
                                          .csum_start = sizeof at->ether + sizeof datagram.ip,
                                          .csum_offset = offsetof(struct udphdr, uh_sum)};
    if (envelope->len > envelope->size) {
        at->offload.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
        at->offload.gso_size = (uint16_t)envelope->size;
    }
}

void steer_write(const struct steering *steering, uint8_t *at, const struct envelope *envelope)
{
    if (steering->kind == STEER_RAW)
        write_raw(at, envelope);
    else
        write_frame(steering, (struct frame *)at, envelope);
}
