/* udp_out.c: batches of datagrams to send, and the trains that they make. */
#include "net/udp.h"

#include "net/control.h"
#include "net/socket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES (128u << 10) /* more than the longest datagram */
#define TRAIN_MAX 64             /* datagrams: what the oldest systems that know trains take */
#define TRAIN_BYTES_MAX 65000    /* with its headers it is one packet of IP, as long as no device has cut it */
#define NEWEST 512

struct datagram {
    struct view bytes;
    struct addr to, from; /* from: of ADDR_NONE: the socket's own */
    int fd;
    uint16_t next; /* of the same train; itself: the last */
    uint8_t mark;
    bool whole, on_line; /* whole: with DF */
};

/* struct train: datagrams to one address from one socket, equally long, but for the last, which may be shorter: the system takes them as one
 * (UDP_SEGMENT) and parts them as late as it can. */
struct train {
    uint16_t first, last, count;
    size_t each, bytes;
};

struct udp_out {
    struct udp_counts counts;
    bool may_join; /* the system knows trains */
    unsigned count, train_count;
    size_t arena_len;
    struct datagram datagrams[UDP_BATCH];
    struct train trains[UDP_BATCH];
    uint16_t newest[NEWEST]; /* by socket and address: the train that was begun last, if the train says so too */
    struct mmsghdr messages[UDP_BATCH], single[TRAIN_MAX];
    struct iovec parts[UDP_BATCH];
    struct sockaddr_storage names[UDP_BATCH];
    union control controls[UDP_BATCH];
    uint8_t arena[ARENA_BYTES];
};

/* may_join: an older system would not know what to part, and send all as one datagram. */
static bool may_join(void)
{
    int bytes;
    socklen_t len = sizeof bytes;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool may = fd >= 0 && getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, &len) == 0;
    if (fd >= 0)
        close(fd);
    return may;
}

struct udp_out *udp_out_new(void)
{
    struct udp_out *out = calloc(1, sizeof *out);
    if (out)
        out->may_join = may_join();
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
    struct datagram *datagram = &out->datagrams[out->count++];
    datagram->bytes = bytes;
    datagram->fd = fd;
    datagram->to = *to;
    datagram->from.family = ADDR_NONE;
    if (from && !addr_is_any(from))
        datagram->from = *from;
    datagram->mark = 0;
    datagram->whole = datagram->on_line = false;
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

void udp_put_either(struct udp_out *out, int fd, const struct addr *to, const struct addr *from, struct view bytes, bool lasting)
{
    (lasting ? udp_put : udp_put_copy)(out, fd, to, from, bytes);
}

void udp_keep_whole(struct udp_out *out)
{
    assert(out->count > 0);
    out->datagrams[out->count - 1].whole = true;
}

void udp_on_line(struct udp_out *out)
{
    assert(out->count > 0);
    out->datagrams[out->count - 1].on_line = true;
}

void udp_mark(struct udp_out *out, uint8_t mark)
{
    assert(out->count > 0);
    out->datagrams[out->count - 1].mark = mark;
}

/* ---- trains ---- */

static bool is_same_way(const struct datagram *a, const struct datagram *b)
{
    return a->fd == b->fd && addr_equal(&a->to, &b->to);
}

static bool is_alike(const struct datagram *a, const struct datagram *b)
{
    return a->mark == b->mark && a->whole == b->whole && a->from.family == b->from.family &&
           (a->from.family == ADDR_NONE || addr_equal_ip(&a->from, &b->from));
}

static bool has_room(const struct udp_out *out, const struct train *train, size_t len)
{
    const bool is_open = out->datagrams[train->last].bytes.len == train->each; /* behind a shorter one nothing can follow */
    return is_open && len > 0 && len <= train->each && train->count < TRAIN_MAX && len <= TRAIN_BYTES_MAX - train->bytes;
}

static void begin_train(struct udp_out *out, uint16_t index)
{
    const size_t len = out->datagrams[index].bytes.len;
    out->trains[out->train_count++] = (struct train){index, index, 1, len, len};
}

/* join: into the newest train of the same way, or a new one: so order holds on each way, whatever lies between. */
static void join(struct udp_out *out, uint16_t index)
{
    struct datagram *datagram = &out->datagrams[index];
    const unsigned hash = (unsigned)datagram->fd * 31 + datagram->to.port + datagram->to.ip[15];
    uint16_t *newest = &out->newest[hash % NEWEST];
    struct train *train = *newest < out->train_count ? &out->trains[*newest] : NULL;
    const struct datagram *first = train ? &out->datagrams[train->first] : NULL;
    datagram->next = index;
    if (out->may_join && first && is_same_way(first, datagram) && is_alike(first, datagram) && has_room(out, train, datagram->bytes.len)) {
        out->datagrams[train->last].next = index;
        train->last = index;
        train->count++;
        train->bytes += datagram->bytes.len;
    } else {
        *newest = (uint16_t)out->train_count;
        begin_train(out, index);
    }
}

/* ---- sending ---- */

/* compose: the message of a train; its parts are behind those of the trains before. */
static struct iovec *compose(struct udp_out *out, unsigned at, struct iovec *parts)
{
    const struct train *train = &out->trains[at];
    const struct datagram *first = &out->datagrams[train->first];
    struct msghdr *message = &out->messages[at].msg_hdr;
    *message = (struct msghdr){.msg_name = &out->names[at], .msg_iov = parts, .msg_iovlen = train->count};
    message->msg_namelen = addr_to_sockaddr(&first->to, &out->names[at]);
    if (first->from.family != ADDR_NONE)
        control_put_local(message, &out->controls[at], &first->from);
    if (first->mark)
        control_put_mark(message, &out->controls[at], first->mark);
    if (train->count > 1)
        control_put_segment(message, &out->controls[at], (uint16_t)train->each);
    if (first->on_line) /* with a name the system would look up the way */
        message->msg_name = NULL, message->msg_namelen = 0;
    for (uint16_t i = train->first, left = train->count; left > 0; left--, i = out->datagrams[i].next)
        *parts++ = (struct iovec){(void *)(uintptr_t)out->datagrams[i].bytes.at, out->datagrams[i].bytes.len}; /* which is only read */
    return parts;
}

/* send_messages: how many messages were taken, or -1 with errno. One alone has cheaper calls. */
static int send_messages(int fd, struct mmsghdr *messages, unsigned count)
{
    const struct msghdr *only = &messages->msg_hdr;
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (count > 1)
        return sendmmsg(fd, messages, count, flags);
    if (only->msg_iovlen > 1 || only->msg_controllen)
        return sendmsg(fd, only, flags) < 0 ? -1 : 1;
    return sendto(fd, only->msg_iov->iov_base, only->msg_iov->iov_len, flags, only->msg_name, only->msg_namelen) < 0 ? -1 : 1;
}

static uint64_t datagrams_of(const struct mmsghdr *messages, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += messages[i].msg_hdr.msg_iovlen;
    return sum;
}

struct run {
    int fd;
    bool whole;
    struct mmsghdr *messages;
    unsigned count;
};

/* is_of_earlier: whether a refusal of the first message may be what the network said of an earlier datagram, which a socket with a queue of errors tells
 * to whoever sends next. What is too long with DF, or in a train, is refused for itself, and would be told twice. */
static bool is_of_earlier(const struct run *run, int error)
{
    const bool is_for_itself = error == EMSGSIZE && (run->whole || run->messages->msg_hdr.msg_iovlen > 1);
    return socket_is_passing(error) && !is_for_itself;
}

/* part: a train that the system does not take, datagram by datagram: those that are longer than a link go in fragments, which no train does. */
static unsigned part(struct udp_out *out, const struct msghdr *train)
{
    const unsigned count = (unsigned)train->msg_iovlen;
    for (unsigned i = 0; i < count; i++) {
        struct msghdr *message = &out->single[i].msg_hdr;
        *message = *train;
        message->msg_iov = train->msg_iov + i;
        message->msg_iovlen = 1;
        control_take_segment(message);
    }
    return count;
}

/* send_run: messages of one socket. One that is refused is parted, or skipped, unless it was for an earlier one: then it is tried again, once. When
 * the socket is full the rest is dropped: waiting would hold up every other client. */
static void send_run(struct udp_out *out, struct run run)
{
    const struct mmsghdr *refused = NULL; /* once */
    while (run.count > 0) {
        unsigned done = 1;
        out->counts.send_calls++;
        const int sent = send_messages(run.fd, run.messages, run.count);
        if (sent > 0) {
            done = (unsigned)sent;
            out->counts.sent += datagrams_of(run.messages, done);
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            done = run.count;
            out->counts.send_full += datagrams_of(run.messages, done);
        } else if (run.messages != refused && is_of_earlier(&run, errno)) {
            refused = run.messages;
            continue;
        } else if (run.messages->msg_hdr.msg_iovlen > 1) {
            send_run(out, (struct run){run.fd, run.whole, out->single, part(out, &run.messages->msg_hdr)});
        } else {
            out->counts.send_errors++;
        }
        run.messages += done;
        run.count -= done;
    }
}

/* next_run: from that train on, of one socket and all with DF or all without. */
static struct run next_run(struct udp_out *out, unsigned from)
{
    const struct datagram *first = &out->datagrams[out->trains[from].first];
    struct run run = {first->fd, first->whole, out->messages + from, 1};
    for (unsigned i = from + 1; i < out->train_count; i++, run.count++) {
        const struct datagram *other = &out->datagrams[out->trains[i].first];
        if (other->fd != run.fd || other->whole != run.whole)
            break;
    }
    return run;
}

void udp_flush(struct udp_out *out)
{
    struct iovec *parts = out->parts;
    struct run run;
    for (unsigned i = 0; i < out->count; i++)
        join(out, (uint16_t)i);
    for (unsigned i = 0; i < out->train_count; i++)
        parts = compose(out, i, parts);
    for (unsigned from = 0; from < out->train_count; from += run.count) {
        const uint8_t family = out->datagrams[out->trains[from].first].to.family;
        run = next_run(out, from);
        if (run.whole)
            socket_keep_whole(run.fd, family, true);
        send_run(out, run);
        if (run.whole)
            socket_keep_whole(run.fd, family, false);
    }
    out->count = out->train_count = 0;
    out->arena_len = 0;
}

void udp_flush_of(struct udp_out *out, int fd)
{
    unsigned at = 0;
    while (at < out->count && out->datagrams[at].fd != fd)
        at++;
    if (at < out->count)
        udp_flush(out);
}

const struct udp_counts *udp_out_counts(const struct udp_out *out)
{
    return &out->counts;
}
