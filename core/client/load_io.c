/* load_io.c: sendmmsg and recvmmsg; what the system joined to one datagram (UDP_GRO) is parted here. */
#include "client/load_state.h"

#include "base/err.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_SLOTS 16
#define IN_BYTES 65536
#define IN_ROUNDS 16
#define OUT_SLOTS LOAD_BURST_MAX
#define OUT_BYTES (LOAD_BYTES_MAX + LOAD_HEADER_MAX)
#define BUFFER_BYTES (8 << 20)
#define ROOM_MS 100 /* for the system to take what is put */

struct io {
    struct mmsghdr in[IN_SLOTS];
    struct iovec in_parts[IN_SLOTS];
    _Alignas(struct cmsghdr) uint8_t in_control[IN_SLOTS][CMSG_SPACE(sizeof(int))];
    struct client *client; /* that what is put goes by; NULL: the peer */
    unsigned count;
    struct mmsghdr out[OUT_SLOTS];
    struct iovec out_parts[OUT_SLOTS];
    struct sockaddr_storage to[OUT_SLOTS];
    uint8_t out_bytes[OUT_SLOTS][OUT_BYTES];
    uint8_t in_bytes[IN_SLOTS][IN_BYTES];
};

struct io *io_new(void)
{
    struct io *io = calloc(1, sizeof *io);
    for (size_t i = 0; io && i < IN_SLOTS; i++)
        io->in_parts[i] = (struct iovec){io->in_bytes[i], IN_BYTES};
    return io;
}

void io_free(struct io *io)
{
    free(io);
}

/* ---- sockets ---- */

/* widen: as far as the system lets; only root goes beyond net.core.rmem_max. */
static void widen(int fd)
{
    const int bytes = BUFFER_BYTES, on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
}

int io_datagrams(const struct addr *from, const struct addr *to)
{
    struct sockaddr_storage at;
    const bool is_ipv6 = from->family == ADDR_IPV6 || to->family == ADDR_IPV6;
    const int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    widen(fd);
    if ((!from->family || bind(fd, (const struct sockaddr *)&at, addr_to_sockaddr(from, &at)) == 0) &&
        (!to->family || connect(fd, (const struct sockaddr *)&at, addr_to_sockaddr(to, &at)) == 0))
        return fd;
    const int why = errno;
    close(fd);
    errno = why;
    return ERR_SYSTEM;
}

uint64_t io_drops(int fd)
{
    uint32_t told[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof told;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, told, &len) == 0 ? told[SK_MEMINFO_DROPS] : 0;
}

/* ---- out ---- */

uint8_t *io_room(struct load *load, struct client *client, const struct addr *to)
{
    struct io *io = load->io;
    if (io->count == OUT_SLOTS || (io->count && io->client != client))
        io_flush(load);
    struct msghdr *header = &io->out[io->count].msg_hdr;
    io->client = client;
    header->msg_name = to ? &io->to[io->count] : NULL;
    header->msg_namelen = to ? addr_to_sockaddr(to, &io->to[io->count]) : 0;
    header->msg_iov = &io->out_parts[io->count];
    header->msg_iovlen = 1;
    return io->out_bytes[io->count];
}

void io_put(struct load *load, struct view bytes)
{
    struct io *io = load->io;
    io->out_parts[io->count++] = (struct iovec){(void *)(uintptr_t)bytes.at, bytes.len};
}

/* has_room: after the system took nothing: it may soon; else what is first is given up. An error that an earlier datagram earned is told only once. */
static bool has_room(int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLOUT};
    return errno == EAGAIN && poll(&at, 1, ROOM_MS) > 0;
}

/* put_datagrams: how many went, or negative. One from a client, the most frequent case, goes the shortest way. */
static int put_datagrams(struct io *io, int fd, unsigned from)
{
    const struct iovec *first = &io->out_parts[from];
    if (io->client && io->count == 1)
        return send(fd, first->iov_base, first->iov_len, MSG_NOSIGNAL) < 0 ? -1 : 1;
    return sendmmsg(fd, io->out + from, io->count - from, MSG_NOSIGNAL);
}

/* put_segments: all of it to one address, as one datagram that the system parts where the first of them ends; all but the last are of one length. */
static int put_segments(struct io *io, int fd)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct msghdr header = io->out[0].msg_hdr;
    const uint16_t segment = (uint16_t)io->out_parts[0].iov_len;
    header.msg_iovlen = io->count;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    struct cmsghdr *at = CMSG_FIRSTHDR(&header);
    at->cmsg_level = IPPROTO_UDP;
    at->cmsg_type = UDP_SEGMENT;
    at->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(at), &segment, sizeof segment);
    return sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -1 : (int)io->count;
}

static void flush_datagrams(struct load *load, int fd)
{
    struct io *io = load->io;
    const bool is_one = load->config->gso && io->count > 1;
    unsigned done = 0;
    bool was_refused = false;
    while (done < io->count) {
        const int put = is_one ? put_segments(io, fd) : put_datagrams(io, fd, done);
        if (put > 0) {
            done += (unsigned)put;
        } else if (errno == ECONNREFUSED && !was_refused) {
            was_refused = true;
        } else if (!has_room(fd)) {
            load->report->unsent += is_one ? io->count : 1;
            done += is_one ? io->count : 1;
        }
    }
}

void io_flush(struct load *load)
{
    struct io *io = load->io;
    struct client *client = io->client;
    if (!client || !client->dial)
        flush_datagrams(load, client ? client->fd : load->peer);
    else
        for (unsigned i = 0; i < io->count; i++)
            line_put(load, client, view_of(io->out_parts[i].iov_base, io->out_parts[i].iov_len));
    io->count = 0;
}

/* ---- in ---- */

/* segment_of: how long each datagram is that the system joined to this one. */
static size_t segment_of(struct msghdr *header, size_t len)
{
    int segment = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at))
        if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO)
            memcpy(&segment, CMSG_DATA(at), sizeof segment);
    return segment > 0 ? (size_t)segment : len;
}

static void take(struct load *load, struct client *client, unsigned slot, load_frame_fn *frame)
{
    struct io *io = load->io;
    struct view in = view_of(io->in_bytes[slot], io->in[slot].msg_len);
    const size_t segment = segment_of(&io->in[slot].msg_hdr, in.len);
    for (; in.len; in = view_from(in, segment))
        frame(load, client, view_cut(in, segment));
}

/* receive_some: how many; negative: none. */
static int receive_some(struct load *load, int fd, struct client *client, load_frame_fn *frame)
{
    struct io *io = load->io;
    for (unsigned i = 0; i < IN_SLOTS; i++)
        io->in[i].msg_hdr = (struct msghdr){
            .msg_iov = &io->in_parts[i], .msg_iovlen = 1, .msg_control = io->in_control[i], .msg_controllen = sizeof io->in_control[i]};
    const int got = recvmmsg(fd, io->in, IN_SLOTS, MSG_DONTWAIT, NULL);
    const int why = errno;
    load->now_ns = load_now();
    for (int i = 0; i < got; i++)
        take(load, client, (unsigned)i, frame);
    errno = why;
    return got;
}

/* What comes must leave the socket faster than it is sent: the peer's has all of it. */
int io_receive(struct load *load, int fd, struct client *client, load_frame_fn *frame)
{
    int got = IN_SLOTS;
    for (unsigned i = 0; i < IN_ROUNDS && got == IN_SLOTS && (!client || client->fd == fd); i++)
        got = receive_some(load, fd, client, frame);
    return got < 0 && errno == ECONNREFUSED ? ERR_DENIED : 0;
}
