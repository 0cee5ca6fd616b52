/* raw.c: headers of IP and UDP, and sending by raw sockets. */
#include "net/raw.h"

#include "base/err.h"
#include "net/checksum.h"
#include "net/control.h"
#include "net/hop.h"
#include "net/socket.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES (128u << 10)
#define TTL 64
#define COUNTERS 256 /* of identifications; a power of two */

/* union head: the headers of a datagram. */
union head {
    struct {
        struct iphdr ip;
        struct udphdr udp;
    } v4;
    struct {
        struct ip6_hdr ip;
        struct udphdr udp;
    } v6;
};

/* struct link_head: what is in front of them in a frame: what a network card is told, and the header of Ethernet. */
struct link_head {
    struct virtio_net_hdr offload;
    struct ethhdr ether;
};
#define LINK_HEAD sizeof(struct link_head)

struct heads {
    struct link_head link;
    union head head;
};
_Static_assert(LINK_HEAD == sizeof(struct virtio_net_hdr) + sizeof(struct ethhdr) && offsetof(struct heads, head) == LINK_HEAD, "nothing is between them");

struct raw_out {
    struct udp_counts counts;
    struct hop_cache *hops; /* NULL: nothing is sent as frames */
    int frames;
    msec_t now;
    uint16_t identifications[COUNTERS];
    struct raw_others others;
    struct hash_key key;
    unsigned count;
    size_t arena_len;
    struct raw_datagram datagrams[UDP_BATCH];
    struct hop next[UDP_BATCH]; /* device 0: the system finds the way */
    struct mmsghdr messages[UDP_BATCH];
    struct iovec parts[UDP_BATCH][2]; /* headers, payload */
    struct sockaddr_storage names[UDP_BATCH];
    union control controls[UDP_BATCH];
    int fds[UDP_BATCH]; /* by which socket */
    struct heads heads[UDP_BATCH];
    uint8_t arena[ARENA_BYTES];
};

/* An address that the system does not have yet is as good: there are no allocations on it before. */
static bool binds_any(int fd, uint8_t family)
{
    return family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND) : socket_flag(fd, IPPROTO_IP, IP_FREEBIND);
}

int raw_socket(const struct addr *local)
{
    const int family = local->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
    const int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW); /* which has the headers with it */
    struct sockaddr_storage at;
    struct addr from = *local;
    from.port = 0;
    if (fd < 0)
        return ERR_SYSTEM;
    const socklen_t len = addr_to_sockaddr(&from, &at);
    if (binds_any(fd, local->family) && bind(fd, (const struct sockaddr *)&at, len) == 0 && control_ask_errors(fd, local->family)) {
        udp_buffers(fd);
        return fd;
    }
    socket_close(fd);
    return ERR_SYSTEM;
}

/* `framed`: the checksum is of the pseudo header alone, for a card to go on from. */
static struct udphdr udp_head(const struct raw_datagram *datagram, size_t ip_len, bool framed)
{
    const uint16_t len = (uint16_t)(sizeof(struct udphdr) + datagram->bytes.len);
    struct udphdr udp = {.source = htons(datagram->from.port), .dest = htons(datagram->to.port), .len = htons(len)};
    uint64_t added = htons(IPPROTO_UDP) + (uint64_t)htons(len); /* of the pseudo header, with both addresses */
    added = checksum_add(added, datagram->from.ip + sizeof datagram->from.ip - ip_len, ip_len);
    added = checksum_add(added, datagram->to.ip + sizeof datagram->to.ip - ip_len, ip_len);
    if (framed) {
        udp.check = (uint16_t)~checksum_of(added);
        return udp;
    }
    added = checksum_add(added, &udp, sizeof udp);
    udp.check = checksum_of(checksum_add(added, datagram->bytes.at, datagram->bytes.len));
    if (!udp.check)
        udp.check = 0xFFFF; /* 0 would say that there is none */
    return udp;
}

/* The system fills in the identification and the checksum of IPv4. */
static void head_v4(union head *head, const struct raw_datagram *datagram, bool framed)
{
    head->v4.ip = (struct iphdr){
        .version = 4,
        .ihl = sizeof(struct iphdr) / 4,
        .tos = datagram->mark,
        .tot_len = htons((uint16_t)(sizeof head->v4 + datagram->bytes.len)),
        .frag_off = datagram->whole ? htons(IP_DF) : 0,
        .ttl = TTL,
        .protocol = IPPROTO_UDP,
    };
    memcpy(&head->v4.ip.saddr, datagram->from.ip + 12, 4);
    memcpy(&head->v4.ip.daddr, datagram->to.ip + 12, 4);
    head->v4.udp = udp_head(datagram, 4, framed);
}

/* label_of: the same for all datagrams of a flow, other than 0, and no other than chance has it, RFC 6437. */
static uint32_t label_of(const struct raw_out *out, const struct raw_datagram *datagram)
{
    const struct addr flow[] = {datagram->from, datagram->to};
    const uint32_t label = (uint32_t)table_hash(&out->key, view_of(flow, sizeof flow)) & 0xFFFFF;
    return label ? label : 1;
}

static void head_v6(union head *head, const struct raw_datagram *datagram, uint32_t label, bool framed)
{
    head->v6.ip = (struct ip6_hdr){
        .ip6_flow = htonl(UINT32_C(6) << 28 | (uint32_t)datagram->mark << 20 | label),
        .ip6_plen = htons((uint16_t)(sizeof head->v6.udp + datagram->bytes.len)),
        .ip6_nxt = IPPROTO_UDP,
        .ip6_hlim = TTL,
    };
    memcpy(&head->v6.ip.ip6_src, datagram->from.ip, 16);
    memcpy(&head->v6.ip.ip6_dst, datagram->to.ip, 16);
    head->v6.udp = udp_head(datagram, 16, framed);
}

struct raw_out *raw_out_new(const struct hash_key *key, const struct raw_others *others)
{
    struct raw_out *out = calloc(1, sizeof *out);
    if (!out)
        return NULL;
    out->key = *key;
    out->others = *others;
    for (size_t i = 0; i < COUNTERS; i++)
        out->identifications[i] = (uint16_t)table_hash(key, view_of(&i, sizeof i));
    for (size_t i = 0; i < UDP_BATCH; i++)
        out->messages[i].msg_hdr = (struct msghdr){.msg_name = &out->names[i], .msg_iov = out->parts[i], .msg_iovlen = 2};
    return out;
}

bool raw_frames(struct raw_out *out, const struct hash_key *key)
{
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* of protocol 0: it receives nothing */
    if (fd < 0)
        return false;
    if (socket_flag(fd, SOL_PACKET, PACKET_VNET_HDR) && socket_flag(fd, SOL_PACKET, PACKET_QDISC_BYPASS) && (out->hops = hop_cache_new(key))) {
        udp_buffers(fd);
        out->frames = fd;
        return true;
    }
    socket_close(fd);
    return false;
}

void raw_out_free(struct raw_out *out)
{
    if (out && out->hops)
        close(out->frames);
    if (out)
        hop_cache_free(out->hops);
    free(out);
}

void raw_clock(struct raw_out *out, msec_t now)
{
    out->now = now;
}

/* kept: passing bytes, where they live until the flush. */
static struct view kept(struct raw_out *out, struct view bytes)
{
    if (bytes.len > ARENA_BYTES - out->arena_len)
        raw_flush(out);
    uint8_t *copy = out->arena + out->arena_len;
    if (bytes.len)
        memcpy(copy, bytes.at, bytes.len);
    out->arena_len += bytes.len;
    return view_of(copy, bytes.len);
}

static size_t head_len(const struct raw_datagram *datagram)
{
    return (datagram->to.family == ADDR_IPV6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr)) + sizeof(struct udphdr);
}

/* next_hop: device 0 for what does not leave as a frame. */
static struct hop next_hop(const struct raw_out *out, const struct raw_datagram *datagram)
{
    struct hop hop = {0};
    const bool found = out->hops && hop_find(out->hops, &datagram->from, &datagram->to, out->now, &hop);
    return found && head_len(datagram) + datagram->bytes.len <= hop.mtu ? hop : (struct hop){0};
}

void raw_put(struct raw_out *out, const struct raw_datagram *datagram)
{
    struct view bytes = datagram->bytes;
    if (bytes.len > UDP_SLOT_BYTES) {
        out->counts.send_errors++;
        return;
    }
    if (out->count == UDP_BATCH)
        raw_flush(out);
    if (datagram->passing)
        bytes = kept(out, bytes);
    struct raw_datagram *put = &out->datagrams[out->count];
    out->next[out->count++] = next_hop(out, datagram);
    *put = *datagram;
    put->bytes = bytes;
}

/* identify: as the system does: counted by address, from where nobody can guess. */
static uint16_t identify(struct raw_out *out, const struct raw_datagram *datagram)
{
    uint32_t mixed;
    memcpy(&mixed, datagram->to.ip + 12, sizeof mixed);
    mixed = (mixed ^ (uint32_t)out->key.k0) * UINT32_C(2654435761);
    return htons(out->identifications[mixed >> 24]++);
}

/* put_link: the frame around headers that are made; whose checksums nobody has filled in but what the card begins with. */
static void put_link(struct raw_out *out, unsigned i, const struct hop *hop, size_t ip_len)
{
    const struct raw_datagram *datagram = &out->datagrams[i];
    struct heads *heads = &out->heads[i];
    const uint16_t protocol = htons(ip_len == sizeof(struct iphdr) ? ETH_P_IP : ETH_P_IPV6);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = protocol, .sll_ifindex = (int)hop->device, .sll_halen = ETH_ALEN};
    heads->link.offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                                  .hdr_len = (uint16_t)(sizeof heads->link.ether + ip_len + sizeof(struct udphdr)),
                                                  .csum_start = (uint16_t)(sizeof heads->link.ether + ip_len),
                                                  .csum_offset = offsetof(struct udphdr, check)};
    heads->link.ether.h_proto = protocol;
    memcpy(heads->link.ether.h_source, hop->own, ETH_ALEN);
    memcpy(heads->link.ether.h_dest, hop->next, ETH_ALEN);
    if (ip_len == sizeof(struct iphdr)) {
        heads->head.v4.ip.id = identify(out, datagram);
        heads->head.v4.ip.check = checksum_of(checksum_add(0, &heads->head.v4.ip, ip_len));
    }
    memcpy(at.sll_addr, hop->next, ETH_ALEN);
    memcpy(&out->names[i], &at, sizeof at);
    out->messages[i].msg_hdr.msg_namelen = sizeof at;
}

/* compose: the message, and by which socket it goes. */
static void compose(struct raw_out *out, unsigned i)
{
    const struct raw_datagram *datagram = &out->datagrams[i];
    const struct hop *hop = &out->next[i];
    const bool framed = hop->device != 0;
    const size_t len = head_len(datagram);
    struct heads *heads = &out->heads[i];
    struct msghdr *message = &out->messages[i].msg_hdr;
    struct addr to = datagram->to;
    message->msg_control = NULL, message->msg_controllen = 0;
    if (to.family == ADDR_IPV6)
        head_v6(&heads->head, datagram, label_of(out, datagram), framed);
    else
        head_v4(&heads->head, datagram, framed);
    if (framed) {
        put_link(out, i, hop, len - sizeof(struct udphdr));
    } else {
        to.port = 0; /* which would be a protocol */
        message->msg_namelen = addr_to_sockaddr(&to, &out->names[i]);
        if (datagram->is_any)
            control_put_local(message, &out->controls[i], &datagram->from);
    }
    out->fds[i] = framed ? out->frames : datagram->fd;
    out->parts[i][0] = framed ? (struct iovec){heads, LINK_HEAD + len} : (struct iovec){&heads->head, len};
    out->parts[i][1] = (struct iovec){(void *)(uintptr_t)datagram->bytes.at, datagram->bytes.len}; /* sendmmsg only reads it */
}

/* What is too long for the link is in the queue of errors. Of what it finds too long for the path behind it the system sends an ICMP to ourselves. */
static void too_long(struct raw_out *out, const struct raw_datagram *datagram)
{
    struct peer_error error;
    if (udp_error(datagram->fd, &error) == 0)
        out->others.too_long(out->others.ctx, datagram);
}

/* send_run: datagrams of one socket. One that is refused is skipped. When the socket is full the rest is dropped: waiting would hold up every other client. */
static void send_run(struct raw_out *out, unsigned from, unsigned to)
{
    while (from < to) {
        out->counts.send_calls++;
        const int sent = sendmmsg(out->fds[from], out->messages + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            out->counts.sent += (unsigned)sent;
            from += (unsigned)sent;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            out->counts.send_full += to - from;
            return;
        } else if (errno != EINTR) {
            if (errno == EMSGSIZE)
                too_long(out, &out->datagrams[from]);
            else
                out->counts.send_errors++;
            from++;
        }
    }
}

/* send_all: in order, by as many calls as sockets take turns. */
static void send_all(struct raw_out *out, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        compose(out, i);
    for (unsigned end; from < to; from = end) {
        for (end = from + 1; end < to && out->fds[end] == out->fds[from]; end++)
            ;
        send_run(out, from, end);
    }
}

static bool follows(const struct raw_datagram *before, const struct raw_datagram *datagram)
{
    return addr_equal(&before->from, &datagram->from) && addr_equal(&before->to, &datagram->to) && before->mark == datagram->mark && !datagram->whole;
}

/* train_end: of the train that begins there; behind a shorter datagram nothing follows. */
static unsigned train_end(const struct raw_out *out, unsigned from)
{
    const struct raw_datagram *first = &out->datagrams[from];
    unsigned to = from + 1;
    if (first->whole || first->bytes.len == 0)
        return to;
    while (to < out->count && follows(first, &out->datagrams[to]) && out->datagrams[to].bytes.len && out->datagrams[to].bytes.len <= first->bytes.len)
        if (out->datagrams[to++].bytes.len < first->bytes.len)
            break;
    return to;
}

/* Trains leave in their turn, so that nothing of a flow overtakes. */
void raw_flush(struct raw_out *out)
{
    unsigned begin = 0, to;
    for (unsigned from = 0; from < out->count; from = to) {
        to = train_end(out, from);
        if (to - from < RAW_TRAIN)
            continue;
        send_all(out, begin, from);
        begin = out->others.train(out->others.ctx, &out->datagrams[from], to - from) ? to : from;
    }
    send_all(out, begin, out->count);
    out->count = 0;
    out->arena_len = 0;
}

const struct udp_counts *raw_out_counts(const struct raw_out *out)
{
    return &out->counts;
}
