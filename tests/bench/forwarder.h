/* forwarder.h: the least that a relay must do, in several ways of doing I/O: what this server's price is measured against.
 *
 * A datagram of a client is received, its sender looked up, the ChannelData header taken off, and sent to the peer of the channel from the
 * client's own relay port; back likewise. No authentication, no limits, no accounting, no expiry, one channel for each client, IPv4 only.
 */
#ifndef BENCH_FORWARDER_H
#define BENCH_FORWARDER_H

#include "base/bytes.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define BATCH 64       /* datagrams of one call; a power of two */
#define OUT_MAX 4096   /* datagrams that wait to be sent: all segments of a batch */
#define PREFIX_ROOM 64 /* in front of what is received: the headers of what is sent */
#define DATAGRAM_ROOM 2048
#define SUPER_ROOM 65536 /* with UDP_GRO one read returns up to 64 kB of datagrams that belong together */

enum steer { STEER_NONE, STEER_RAW, STEER_PACKET };

/* A way of doing I/O. `steer`: one socket for the whole relay range, and what is sent from its ports goes through a raw or a packet socket.
 */
struct way {
    const char *name;
    bool batches, connects, segments;
    enum steer steer;
};

struct client {
    struct sockaddr_in at, peer; /* `peer`: of its channel; family 0: none yet */
    uint16_t channel;
    uint16_t relay_port;
    int relay;           /* its own socket; -1 if the range is steered */
    unsigned expects;    /* datagrams of one read of `relay`: as many as came the last time */
    int first, last;     /* its datagrams in the outbox, which are sent by one call; -1: none */
    struct client *next; /* in its bucket, or free */
};

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[64];
};

/* ---- receiving ---- */

struct inbox {
    const struct way *way;
    unsigned used;
    size_t room; /* of one slot */
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in from[BATCH];
    struct control controls[BATCH];
    uint8_t *slots;
};

int inbox_init(struct inbox *, const struct way *);

/* inbox_receive: up to `count` datagrams of `fd` behind those that are there; how many came, which are slots used-n .. used-1. */
unsigned inbox_receive(struct inbox *, int fd, unsigned count);

/* inbox_next: cuts the datagrams of one slot; `at` begins with 0; false at the end. */
bool inbox_next(const struct inbox *, unsigned slot, size_t *at, struct view *datagram);

/* inbox_port: the port that the datagram of a steered socket was sent to; 0 if it is not told. */
uint16_t inbox_port(const struct inbox *, unsigned slot);

/* ---- steering ---- */

struct ports {
    struct in_addr ip;
    uint16_t min, max;
};

struct envelope { /* what the headers of a datagram say; with UDP_SEGMENT's like, of several of `size` bytes each */
    struct sockaddr_in from, to;
    size_t size;
    struct view payload; /* the first of them */
    size_t len;          /* all of them */
};

struct steering {
    enum steer kind;
    int fd;                 /* to send with */
    uint8_t own[6], hop[6]; /* of frames */
    struct in_addr hop_of;  /* whose `hop` it is */
    char interface[16];
};

/* steer_range: datagrams to `ports` of this network namespace come to `fd` from now on, as long as the process lives: 0, or -1 and errno.
 */
int steer_range(const struct ports *, int fd);

/* steer_open: makes `fd`: 0, or -1 and errno.  steer_toward: learns by which frames `peer` is reached; its neighbour entry must be there.
 */
int steer_open(struct steering *, enum steer, const char *interface);
int steer_toward(struct steering *, struct in_addr peer);

/* steer_prefix: how many bytes are in front of a payload.  steer_write: writes them to `at`. */
size_t steer_prefix(enum steer);
void steer_write(const struct steering *, uint8_t *at, const struct envelope *);

/* ---- sending ---- */

struct parcel { /* one datagram, or several of one size, the last of which may be shorter */
    struct client *client;
    struct view first;
    size_t size, len;
    unsigned segments;
    int next; /* of the same client */
};

struct outbox {
    const struct way *way;
    const struct steering *steering;
    struct in_addr relay_ip;
    unsigned count, part_count;
    struct parcel parcels[OUT_MAX];
    struct mmsghdr messages[OUT_MAX];
    struct iovec parts[2 * OUT_MAX];
    uint8_t fronts[2 * OUT_MAX][PREFIX_ROOM];
    struct control controls[OUT_MAX];
};

/* outbox_to_client, outbox_to_peer: the payload stays where it was received, with PREFIX_ROOM bytes in front of the first of its slot,
 * until it is sent. */
void outbox_to_client(struct outbox *, struct client *, struct view payload);
void outbox_to_peer(struct outbox *, struct client *, struct view payload);

/* outbox_send: everything, through `fd`; to peers, if nothing is steered, what each client has through its own socket (`fd` is -1). The
 * outbox is empty then; what the system does not take is lost. */
void outbox_send(struct outbox *, int fd);

#endif
