/* forwarder_io.c: batches in and out. */
#include "forwarder.h"

#include "wire/channel.h"

#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 64   /* of one message, as the system has it */
#define MESSAGE_MAX 65000 /* bytes of one message with UDP_SEGMENT */
#define STRIDE_EXTRA 192  /* slots of 64 kB would all begin in the same lines of the cache */

/* ---- in ---- */

int inbox_init(struct inbox *in, const struct way *way)
{
    in->way = way;
    in->room = way->segments ? SUPER_ROOM : DATAGRAM_ROOM;
    in->slots = calloc(BATCH, in->room + STRIDE_EXTRA);
    return in->slots ? 0 : -1;
}

static uint8_t *slot_at(const struct inbox *in, unsigned slot)
{
    return in->slots + slot * (in->room + STRIDE_EXTRA) + PREFIX_ROOM;
}

static void lay_out(struct inbox *in, unsigned slot)
{
    in->parts[slot] = (struct iovec){slot_at(in, slot), in->room};
    in->messages[slot].msg_hdr = (struct msghdr){.msg_name = &in->from[slot],
                                                 .msg_namelen = sizeof in->from[slot],
                                                 .msg_iov = &in->parts[slot],
                                                 .msg_iovlen = 1,
                                                 .msg_control = &in->controls[slot],
                                                 .msg_controllen = sizeof in->controls[slot]};
}

static int receive_one(struct inbox *in, int fd)
{
    struct mmsghdr *message = &in->messages[in->used];
    const ssize_t got = recvmsg(fd, &message->msg_hdr, MSG_DONTWAIT);
    message->msg_len = got > 0 ? (unsigned)got : 0;
    return got >= 0;
}

unsigned inbox_receive(struct inbox *in, int fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        lay_out(in, in->used + i);
    const int got = in->way->batches ? recvmmsg(fd, in->messages + in->used, count, MSG_DONTWAIT, NULL) : receive_one(in, fd);
    in->used += got > 0 ? (unsigned)got : 0;
    return got > 0 ? (unsigned)got : 0;
}

static const void *control_of(const struct inbox *in, unsigned slot, int level, int type)
{
    struct msghdr *header = (struct msghdr *)&in->messages[slot].msg_hdr;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(header); one; one = CMSG_NXTHDR(header, one))
        if (one->cmsg_level == level && one->cmsg_type == type)
            return CMSG_DATA(one);
    return NULL;
}

bool inbox_next(const struct inbox *in, unsigned slot, size_t *at, struct view *datagram)
{
    const size_t len = in->messages[slot].msg_len;
    const int *size = in->way->segments ? control_of(in, slot, SOL_UDP, UDP_GRO) : NULL;
    if (*at >= len)
        return false;
    *datagram = view_cut(view_of(slot_at(in, slot) + *at, len - *at), size ? (size_t)*size : len);
    *at += datagram->len;
    return true;
}

uint16_t inbox_port(const struct inbox *in, unsigned slot)
{
    const struct sockaddr_in *to = control_of(in, slot, SOL_IP, IP_ORIGDSTADDR);
    return to ? ntohs(to->sin_port) : 0;
}

/* ---- out ---- */

/* joins: whether the datagram may be one more segment of what the outbox has last. */
static bool joins(const struct outbox *out, const struct client *client, size_t len)
{
    const struct parcel *last = out->count ? &out->parcels[out->count - 1] : NULL;
    return last && out->way->segments && last->client == client && len <= last->size && last->len % last->size == 0 &&
           last->segments < SEGMENTS_MAX && last->len + len <= MESSAGE_MAX;
}

static struct parcel *begin(struct outbox *out, struct client *client, size_t len)
{
    struct parcel *parcel = &out->parcels[out->count];
    *parcel = (struct parcel){.client = client, .size = len, .next = -1};
    out->messages[out->count].msg_hdr = (struct msghdr){.msg_iov = &out->parts[out->part_count]};
    out->count++;
    return parcel;
}

static void add(struct outbox *out, const void *at, size_t len)
{
    out->parts[out->part_count++] = (struct iovec){(void *)at, len};
    out->messages[out->count - 1].msg_hdr.msg_iovlen++;
}

/* add_behind: the payload with `len` bytes in front, which are returned to be written: where it lies, or apart if what lies there may be a
 * datagram that is not sent yet. */
static uint8_t *add_behind(struct outbox *out, size_t len, struct view payload)
{
    uint8_t *front = out->fronts[out->part_count];
    if (!out->way->segments || len == 0) {
        front = (uint8_t *)payload.at - len;
        add(out, front, payload.len + len);
    } else {
        add(out, front, len);
        add(out, payload.at, payload.len);
    }
    return front;
}

static bool is_full(const struct outbox *out)
{
    return out->count == OUT_MAX || out->part_count + 2 > 2 * OUT_MAX;
}

void outbox_to_client(struct outbox *out, struct client *client, struct view payload)
{
    if (is_full(out))
        return;
    const size_t len = CHANNEL_HEADER_LEN + payload.len;
    struct parcel *parcel = joins(out, client, len) ? &out->parcels[out->count - 1] : begin(out, client, len);
    uint8_t *header = add_behind(out, CHANNEL_HEADER_LEN, payload);
    put_u16(header, client->channel);
    put_u16(header + 2, (uint16_t)payload.len);
    out->messages[out->count - 1].msg_hdr.msg_name = &client->at;
    out->messages[out->count - 1].msg_hdr.msg_namelen = sizeof client->at;
    parcel->segments++;
    parcel->len += len;
}

static void chain(struct outbox *out, struct client *client)
{
    const int index = (int)out->count - 1;
    if (client->first < 0)
        client->first = index;
    else
        out->parcels[client->last].next = index;
    client->last = index;
}

void outbox_to_peer(struct outbox *out, struct client *client, struct view payload)
{
    if (is_full(out))
        return;
    const bool one_more = joins(out, client, payload.len);
    struct parcel *parcel = one_more ? &out->parcels[out->count - 1] : begin(out, client, payload.len);
    const size_t prefix = one_more ? 0 : steer_prefix(out->way->steer);
    struct msghdr *header = &out->messages[out->count - 1].msg_hdr;
    if (!one_more)
        parcel->first = payload;
    if (!one_more && out->way->steer == STEER_NONE)
        chain(out, client);
    if (!out->way->connects && out->way->steer != STEER_PACKET) {
        header->msg_name = &client->peer;
        header->msg_namelen = sizeof client->peer;
    }
    add_behind(out, prefix, payload);
    parcel->segments++;
    parcel->len += payload.len;
}

static void say_size(struct outbox *out, unsigned index)
{
    struct msghdr *header = &out->messages[index].msg_hdr;
    const uint16_t size = (uint16_t)out->parcels[index].size;
    header->msg_control = &out->controls[index];
    header->msg_controllen = CMSG_SPACE(sizeof size);
    struct cmsghdr *one = CMSG_FIRSTHDR(header);
    *one = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof size), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(one), &size, sizeof size);
}

static void write_prefix(struct outbox *out, unsigned index)
{
    const struct parcel *parcel = &out->parcels[index];
    const struct client *client = parcel->client;
    const struct envelope envelope = {.from = {.sin_addr = out->relay_ip, .sin_port = htons(client->relay_port)},
                                      .to = client->peer,
                                      .size = parcel->size,
                                      .payload = parcel->first,
                                      .len = parcel->len};
    steer_write(out->steering, out->messages[index].msg_hdr.msg_iov[0].iov_base, &envelope);
}

static void send_many(const struct way *way, int fd, struct mmsghdr *messages, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        const int sent = way->batches ? sendmmsg(fd, messages + done, count - done, MSG_DONTWAIT)
                                      : sendmsg(fd, &messages[done].msg_hdr, MSG_DONTWAIT) >= 0;
        done += sent > 0 ? (unsigned)sent : 1; /* the first one failed */
    }
}

static void send_own(struct outbox *out, struct client *client)
{
    struct mmsghdr messages[BATCH];
    unsigned count = 0;
    for (int index = client->first; index >= 0; index = out->parcels[index].next) {
        messages[count++] = out->messages[index];
        if (count == BATCH || out->parcels[index].next < 0) {
            send_many(out->way, client->relay, messages, count);
            count = 0;
        }
    }
    client->first = -1;
}

void outbox_send(struct outbox *out, int fd)
{
    const bool has_prefix = out->steering && fd == out->steering->fd;
    for (unsigned i = 0; i < out->count; i++) {
        if (has_prefix)
            write_prefix(out, i);
        else if (out->parcels[i].segments > 1)
            say_size(out, i);
    }
    if (fd >= 0)
        send_many(out->way, fd, out->messages, out->count);
    else
        for (unsigned i = 0; i < out->count; i++)
            if (out->parcels[i].client->first == (int)i)
                send_own(out, out->parcels[i].client);
    out->count = out->part_count = 0;
}
