/* udp.c: UDP sockets, batches in and out. */
#include "net/udp.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_STRIDE ((ENGINE_HEADROOM + UDP_SLOT_BYTES + ENGINE_TAILROOM + 63) / 64 * 64)
#define ARENA_BYTES (128u << 10) /* more than the longest datagram */

/* what the system says in an ICMP's stead */
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_TOO_BIG 2

struct udp_in {
    struct udp_counts counts;
    struct mmsghdr messages[UDP_BATCH];
    struct iovec parts[UDP_BATCH];
    struct sockaddr_storage names[UDP_BATCH];
    union control controls[UDP_BATCH];
    bool has_errors;
    unsigned used;              /* slots whose datagrams may still be borrowed */
    uint8_t slot_of[UDP_BATCH]; /* index of a datagram of the last receive -> slot: truncated ones are left out */
    _Alignas(64) uint8_t slots[UDP_BATCH][SLOT_STRIDE];
};

struct udp_out {
    struct udp_counts counts;
    unsigned count;
    size_t arena_len;
    int fds[UDP_BATCH];
    bool whole[UDP_BATCH]; /* with DF */
    struct mmsghdr messages[UDP_BATCH];
    struct iovec parts[UDP_BATCH];
    struct sockaddr_storage names[UDP_BATCH];
    union control controls[UDP_BATCH];
    uint8_t arena[ARENA_BYTES];
};

static void buffer(int fd, int option, int force)
{
    const int bytes = UDP_LISTEN_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes); /* the best that the system gives */
}

static bool may_be_fragmented(int fd, const struct addr *local)
{
    const int dont = IP_PMTUDISC_DONT;
    return local->family == ADDR_IPV6 || setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont) == 0;
}

/* keep_whole: how a relay socket sends. Whole: with DF, and nothing that is longer than the path; else with neither. IP_PMTUDISC_OMIT is
 * like IP_PMTUDISC_DONT, but for this: the socket is told when a router had no way on for what was sent with DF a moment ago. */
static bool keep_whole(int fd, bool v6, bool whole)
{
    const int mode = v6 ? (whole ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT) : (whole ? IP_PMTUDISC_DO : IP_PMTUDISC_OMIT);
    return setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &mode, sizeof mode) == 0;
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
    buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
    buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
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

static bool keeps_errors(int fd, const struct addr *local)
{
    return local->family == ADDR_IPV6 ? socket_flag(fd, IPPROTO_IPV6, IPV6_RECVERR) : socket_flag(fd, IPPROTO_IP, IP_RECVERR);
}

int udp_relay(const struct addr *local)
{
    const int fd = socket_bound(SOCK_DGRAM, local, SOCKET_EXCLUSIVE);
    if (fd < 0)
        return errno == EADDRINUSE ? ERR_BUSY : ERR_SYSTEM;
    if (keep_whole(fd, local->family == ADDR_IPV6, false) && keeps_errors(fd, local))
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

struct udp_in *udp_in_new(void)
{
    struct udp_in *in = aligned_alloc(_Alignof(struct udp_in), sizeof *in);
    if (!in)
        return NULL;
    memset(in, 0, offsetof(struct udp_in, slots));
    for (size_t i = 0; i < UDP_BATCH; i++) {
        in->parts[i] = (struct iovec){in->slots[i] + ENGINE_HEADROOM, UDP_SLOT_BYTES};
        in->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &in->names[i], .msg_iov = &in->parts[i], .msg_iovlen = 1, .msg_control = &in->controls[i]};
    }
    in->used = UDP_BATCH;
    udp_reset(in);
    return in;
}

/* A free slot is ready to receive: what the system wrote over is set again for those that were used, not for all at each receive. */
void udp_reset(struct udp_in *in)
{
    for (unsigned i = 0; i < in->used; i++) {
        in->messages[i].msg_hdr.msg_namelen = sizeof in->names[i];
        in->messages[i].msg_hdr.msg_controllen = sizeof in->controls[i];
    }
    in->used = 0;
}

void udp_in_free(struct udp_in *in)
{
    free(in);
}

/* is_from_network: an error that an earlier datagram earned, or that will pass: the socket is well. */
static bool is_from_network(int error)
{
    switch (error) {
        case ECONNREFUSED:
        case ECONNRESET:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case ENONET:
        case ENOPROTOOPT:
        case EOPNOTSUPP:
        case EPROTO:
        case EMSGSIZE:
        case EACCES:
        case EPERM:
        case ENOMEM:
        case ENOBUFS:
            return true;
        default:
            return false;
    }
}

/* receive_some: one recvmmsg that counted; errors of the network are read off the socket first, a bounded number of times. */
static int receive_some(struct udp_in *in, int fd, unsigned most)
{
    struct mmsghdr *free_slots = in->messages + in->used;
    for (int tries = 0; tries < UDP_BATCH; tries++) {
        in->counts.receive_calls++;
        const int got = recvmmsg(fd, free_slots, most, MSG_DONTWAIT, NULL);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        in->has_errors = true; /* EAGAIN too: who was woken for nothing was woken for an error that a send met first */
        if (errno == EAGAIN)
            return 0;
        if (!is_from_network(errno))
            return ERR_SYSTEM;
        in->counts.receive_errors++;
    }
    return 0;
}

int udp_room(const struct udp_in *in)
{
    return (int)(UDP_BATCH - in->used);
}

int udp_receive(struct udp_in *in, int fd, int most)
{
    const unsigned room = UDP_BATCH - in->used, first = in->used, wanted = (unsigned)most < room ? (unsigned)most : room;
    in->has_errors = false;
    const int got = wanted ? receive_some(in, fd, wanted) : 0;
    int whole = 0;
    for (unsigned i = first; got > 0 && i < first + (unsigned)got; i++) {
        if (in->messages[i].msg_hdr.msg_flags & MSG_TRUNC)
            in->counts.truncated++;
        else
            in->slot_of[whole++] = (uint8_t)i;
    }
    in->used += got > 0 ? (unsigned)got : 0;
    in->counts.received += (uint64_t)whole;
    return got < 0 ? got : whole;
}

struct packet udp_packet(struct udp_in *in, int index)
{
    const uint8_t slot = in->slot_of[index];
    return (struct packet){in->slots[slot] + ENGINE_HEADROOM, in->messages[slot].msg_len, control_mark(&in->messages[slot].msg_hdr)};
}

struct addr udp_from(const struct udp_in *in, int index)
{
    return addr_from_sockaddr(&in->names[in->slot_of[index]]);
}

struct addr udp_local(const struct udp_in *in, int index, const struct addr *bound)
{
    return control_local(&in->messages[in->slot_of[index]].msg_hdr, bound);
}

bool udp_has_errors(const struct udp_in *in)
{
    return in->has_errors;
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
        error->type = error->peer.family == ADDR_IPV6 ? ICMPV6_TOO_BIG : ICMP_UNREACHABLE;
        error->code = error->peer.family == ADDR_IPV6 ? 0 : ICMP_FRAGMENTATION_NEEDED;
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

const struct udp_counts *udp_in_counts(const struct udp_in *in)
{
    return &in->counts;
}

struct udp_out *udp_out_new(void)
{
    struct udp_out *out = calloc(1, sizeof *out);
    if (!out)
        return NULL;
    for (size_t i = 0; i < UDP_BATCH; i++)
        out->messages[i].msg_hdr = (struct msghdr){.msg_name = &out->names[i], .msg_iov = &out->parts[i], .msg_iovlen = 1};
    return out;
}

void udp_out_free(struct udp_out *out)
{
    free(out);
}

void udp_put(struct udp_out *out, int fd, const struct addr *to, const struct addr *from, struct view bytes)
{
    if (out->count == UDP_BATCH)
        udp_flush(out);
    const unsigned at = out->count++;
    struct msghdr *message = &out->messages[at].msg_hdr;
    out->fds[at] = fd;
    out->whole[at] = false;
    out->parts[at] = (struct iovec){(void *)(uintptr_t)bytes.at, bytes.len}; /* sendmmsg only reads it */
    message->msg_namelen = addr_to_sockaddr(to, &out->names[at]);
    message->msg_control = NULL;
    message->msg_controllen = 0;
    if (from && !addr_is_any(from))
        control_put_local(message, &out->controls[at], from);
}

void udp_put_copy(struct udp_out *out, int fd, const struct addr *to, const struct addr *from, struct view bytes)
{
    if (bytes.len > ARENA_BYTES) {
        out->counts.send_errors++;
        return;
    }
    if (bytes.len > ARENA_BYTES - out->arena_len || out->count == UDP_BATCH)
        udp_flush(out);
    uint8_t *copy = out->arena + out->arena_len;
    if (bytes.len)
        memcpy(copy, bytes.at, bytes.len);
    out->arena_len += bytes.len;
    udp_put(out, fd, to, from, view_of(copy, bytes.len));
}

void udp_keep_whole(struct udp_out *out)
{
    assert(out->count > 0);
    out->whole[out->count - 1] = true;
}

void udp_mark(struct udp_out *out, uint8_t mark)
{
    assert(out->count > 0);
    const unsigned last = out->count - 1;
    control_put_mark(&out->messages[last].msg_hdr, &out->controls[last], mark);
}

/* is_of_earlier: whether a refusal may be what the network said of an earlier datagram, which a socket with a queue of errors tells to
 * whoever sends next. A datagram with DF that is too long is refused for itself, and would be told twice. */
static bool is_of_earlier(const struct udp_out *out, unsigned at, int error)
{
    return is_from_network(error) && !(error == EMSGSIZE && out->whole[at]);
}

/* send_run: datagrams of one socket. One that is refused is skipped, unless it was for an earlier one: then it is tried again, once. When
 * the socket is full the rest is dropped: waiting would hold up every other client. */
static void send_run(struct udp_out *out, unsigned from, unsigned to)
{
    unsigned refused = UDP_BATCH; /* the datagram that was refused once */
    while (from < to) {
        out->counts.send_calls++;
        const int sent = sendmmsg(out->fds[from], out->messages + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            out->counts.sent += (unsigned)sent;
            from += (unsigned)sent;
        } else if (errno == EAGAIN) {
            out->counts.send_errors += to - from;
            return;
        } else if (from != refused && is_of_earlier(out, from, errno)) {
            refused = from;
        } else if (errno != EINTR) {
            out->counts.send_errors++;
            from++;
        }
    }
}

void udp_flush(struct udp_out *out)
{
    for (unsigned from = 0, to; from < out->count; from = to) {
        const bool whole = out->whole[from], v6 = out->names[from].ss_family == AF_INET6;
        for (to = from + 1; to < out->count && out->fds[to] == out->fds[from] && out->whole[to] == whole; to++)
            ;
        if (whole)
            keep_whole(out->fds[from], v6, true);
        send_run(out, from, to);
        if (whole)
            keep_whole(out->fds[from], v6, false);
    }
    out->count = 0;
    out->arena_len = 0;
}

const struct udp_counts *udp_out_counts(const struct udp_out *out)
{
    return &out->counts;
}
