/* udp_in.c: batches of datagrams that were received. */
#include "net/udp.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_STRIDE ((ENGINE_HEADROOM + UDP_SLOT_BYTES + ENGINE_TAILROOM + 63) / 64 * 64)

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

/* receive_messages: how many were received, or -1 with errno. One alone has a cheaper call. */
static int receive_messages(int fd, struct mmsghdr *messages, unsigned most)
{
    if (most > 1)
        return recvmmsg(fd, messages, most, MSG_DONTWAIT, NULL);
    const ssize_t len = recvmsg(fd, &messages->msg_hdr, MSG_DONTWAIT);
    messages->msg_len = len < 0 ? 0 : (unsigned)len;
    return len < 0 ? -1 : 1;
}

/* receive_some: one call that counted; errors of the network are read off the socket first, a bounded number of times. */
static int receive_some(struct udp_in *in, int fd, unsigned most)
{
    struct mmsghdr *free_slots = in->messages + in->used;
    for (int tries = 0; tries < UDP_BATCH; tries++) {
        in->counts.receive_calls++;
        const int got = receive_messages(fd, free_slots, most);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        in->has_errors = true; /* EAGAIN too: who was woken for nothing was woken for an error that a send met first */
        if (errno == EAGAIN)
            return 0;
        if (!socket_is_passing(errno))
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

struct addr udp_destination(const struct udp_in *in, int index)
{
    return control_destination(&in->messages[in->slot_of[index]].msg_hdr);
}

bool udp_has_errors(const struct udp_in *in)
{
    return in->has_errors;
}

const struct udp_counts *udp_in_counts(const struct udp_in *in)
{
    return &in->counts;
}
