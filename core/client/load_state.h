/* load_state.h: what the files of the load generator share; for them alone. */
#ifndef RELAY_CLIENT_LOAD_STATE_H
#define RELAY_CLIENT_LOAD_STATE_H

#include "client/load.h"
#include "client/pace.h"
#include "client/probe_state.h"
#include "client/tally.h"

#define LOAD_CHANNEL 0x4000 /* of every client */
#define LOAD_NONCE_MAX 256
#define LOAD_SILENCE (-1) /* in place of a code: there was no answer */

struct load;

/* struct client: one 5-tuple, with at most one allocation and one request at a time. */
struct client {
    int fd;            /* negative: it has no socket */
    struct dial *dial; /* NULL: the socket is all, UDP */
    bool is_connecting, is_allocated, is_asking;
    uint8_t tries, challenges, ports; /* of the request: how often it was sent, challenged, and had to come from another port */
    uint16_t method;
    uint16_t nonce_len;
    uint32_t asking_at; /* its place in load->asking */
    bool has_cycled;    /* it had an allocation before */
    uint32_t number;    /* of its cycle */
    uint64_t begun_ns;  /* the cycle */
    msec_t again_ms;    /* when the request is sent again */
    uint64_t asked_ns;  /* when it was sent first */
    uint8_t tid[STUN_TID_LEN];
    struct addr relayed;
    uint64_t delivered;
    struct jitter jitter;
    uint8_t *rest; /* of a stream: what the system had no room for yet */
    size_t rest_len;
    uint8_t nonce[LOAD_NONCE_MAX];
};

/* load_io.c: datagrams, many in a call where they share a socket; what goes over a connection goes by itself. A client of NULL is the peer. */
struct io;
typedef void load_frame_fn(struct load *, struct client *, struct view frame);
struct io *io_new(void);
void io_free(struct io *);
int io_datagrams(const struct addr *from, const struct addr *to); /* a socket, bound and connected, unless that is of ADDR_NONE; or ERR_SYSTEM */
uint8_t *io_room(struct load *, struct client *, const struct addr *to); /* where the next frame is written, LOAD_BYTES_MAX + LOAD_HEADER_MAX bytes */
void io_put(struct load *, struct view);                         /* it lies there, all of it or a part */
void io_flush(struct load *);
int io_receive(struct load *, int fd, struct client *, load_frame_fn *); /* 0, or ERR_DENIED: nobody listens there */
uint64_t io_drops(int fd);

/* load_line.c: a client's socket or connection. */
int line_open(struct load *, struct client *); /* 0; it may stand only when client_connected is called */
void line_close(struct load *, struct client *);
void line_event(struct load *, struct client *, uint32_t events);
void line_go_on(struct load *, struct client *); /* a handshake whose datagrams were lost */
void line_put(struct load *, struct client *, struct view frame); /* over a connection */

/* load_client.c: the requests of a client. */
void client_ask(struct load *, struct client *, uint16_t method); /* load->answered is called when that is answered */
void client_ask_again(struct load *, msec_t now);                 /* who has waited long enough */
void client_connected(struct load *, struct client *);
void client_lost(struct load *, struct client *); /* there will be no answer */
void client_leave(struct load *, struct client *); /* its next request comes from another port, as that of another client */
void client_answer(struct load *, struct client *, const struct message *);
load_frame_fn client_frame;

/* load_renew.c: allocations, permissions and channels of a long run are renewed before they end. */
void renew_begin(struct load *);              /* from now on load->answered is its own */
void renew_turn(struct load *, uint64_t now); /* those whose turn it is */

/* load_traffic.c */
void traffic_run(struct load *);
void traffic_frame(struct load *, struct client *, const struct view *data); /* what came to a client, or to the peer: NULL */
void traffic_binding(struct load *, struct client *, const uint8_t tid[STUN_TID_LEN]);

/* load_cost.c: what the server's processes have used. */
uint64_t cost_cpu_ns(const struct load_config *);
uint64_t cost_resident(const struct load_config *);
uint64_t cost_kernel(void); /* of the whole system: what the kernel keeps for sockets, and all else */

struct load {
    const struct load_config *config;
    struct load_report *report;
    struct addr server, peer_at;
    struct client *clients;
    struct io *io;
    struct dial_trust *trust; /* NULL: no TLS */
    int epoll, signals, peer;
    bool is_over; /* it failed, or a signal came */
    bool is_releasing;
    uint64_t set_up_ns, renewed; /* allocations: since when they are there, and how many were renewed */

    size_t realm_len;
    uint8_t realm[TALK_TEXT_MAX], key[INTEGRITY_KEY_LEN];
    uint32_t port; /* of who comes next, of `allocate` */
    uint32_t tid_count;
    uint8_t tid_seed[STUN_TID_LEN - 4];

    uint32_t *asking, asking_count; /* those that wait for an answer */
    msec_t looked_ms;               /* for those that have to ask again */
    void (*answered)(struct load *, struct client *, int code, const struct message *); /* message NULL: LOAD_SILENCE */
    uint32_t done;                  /* of a round in which each client asks something */

    struct pace pace;
    struct tally tally;
    uint32_t *idle, idle_first, idle_count; /* of `allocate`: who may begin, in turns: a ring with a place for each client */
    uint64_t now_ns;            /* when something was received last */
    uint64_t came_ns;           /* a packet that counts, the last */
    uint32_t turn;              /* whose packet is next */
    const char *phase;
    uint64_t phase_ns, told_ns;
};

/* load_fail: the first reason counts.  load_turn: waits, and takes what has come; `timeout_ns` 0: it does not wait.  load_now. */
void load_fail(struct load *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void load_fail_answer(struct load *, const struct client *, int code, const struct message *); /* by a code, or LOAD_SILENCE */
void load_turn(struct load *, uint64_t timeout_ns);
uint16_t load_permitting(const struct load *); /* the method by which a client opens the way to its peer */
bool load_gives_back(const struct load *);     /* a Refresh is one with a lifetime of 0 */
void load_phase(struct load *, const char *name);
void load_tell(struct load *, uint64_t now, uint64_t done, uint64_t of);
uint64_t load_now(void);
struct addr load_from(const struct load *, uint32_t index); /* where that client comes from; of ADDR_NONE: wherever the system says */
uint32_t load_index(const struct load *, const struct client *);

#endif
