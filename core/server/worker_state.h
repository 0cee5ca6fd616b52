/* worker_state.h: the inside of a worker, for the files worker*.c, decide.c and record*.c only. */
#ifndef RELAY_SERVER_WORKER_STATE_H
#define RELAY_SERVER_WORKER_STATE_H

#include "net/dns.h"
#include "net/dtls.h"
#include "net/loop.h"
#include "net/peer_stream.h"
#include "net/stream.h"
#include "net/udp.h"
#include "server/denials.h"
#include "server/foreign.h"
#include "server/journal.h"
#include "server/mail.h"
#include "server/metric.h"
#include "server/reload.h"
#include "server/ring.h"
#include "server/worker.h"

#include <pthread.h>

/* struct listener_socket: this worker's UDP socket of the listener with the same index; flow.listener is that index, the same in every worker. Of datagrams
 * flow.link is the number of the worker that gets them: whoever has the allocation of a client who moved answers by a socket of its own. */
struct listener_socket {
    struct worker *worker;
    struct addr local;
    int fd; /* -1: none */
    bool any; /* bound to 0.0.0.0 or ::, so answers must name their source */
    struct watch watch;
};

/* struct relay_socket: of one allocation; `sock` of the engine is its index in the pool. What a packet looks at lies together. */
struct relay_socket {
    struct worker *worker;
    int fd;
    uint32_t turn;
    struct addr to;  /* whom the last datagrams without DF were for, and how many of them in a row, as far as that matters */
    uint8_t row;
    bool is_on_line; /* whether `to` is who is at the other end of `line` */
    uint16_t got;    /* so much was received in the turn of the loop in which something was received last */
    struct addr whole_to; /* whom the last datagram with DF was for */
    uint32_t overflows;   /* that were counted */
    struct handle owner;
    struct relay_line *line;
    struct watch watch;
};

/* struct relay_way: how relayed addresses are opened, closed and sent from. What they receive goes to the engine. The first two are the host's; send says
 * whether it put a datagram into worker->out. */
struct relay_way {
    const char *name;
    int (*open)(void *ctx, const struct addr *local, struct handle owner, int *sock);
    void (*close)(void *ctx, int sock);
    bool (*send)(struct worker *, const struct send *, bool lasting);
};
extern const struct relay_way relay_by_sockets, relay_by_steering;

/* struct relay_line: a second socket of an allocation, to the one peer that it goes on sending to. */
struct relay_line {
    struct relay_socket *relay;
    int fd;
    struct addr to; /* who is at the other end */
    uint32_t index; /* in its pool */
    bool is_new;    /* what came from there before may lie in the relay socket still */
    struct watch watch;
};

/* struct usage_mark: what the database was last told of the allocation in this place of the engine's pool.  struct usage_told: what the usage
 * hook was. Each begins with the allocation's id. */
struct usage_mark {
    uint64_t id;
    msec_t lived;          /* how much of its life the database knows */
    int64_t active_minute; /* the last one, since 1970, of which it knows that data was carried */
};

struct usage_told {
    uint64_t id;
    struct usage usage;
};

/* struct marks: `count` of either, by the index of their allocation; none where nobody is told. */
struct marks {
    void *at;
    size_t count, size; /* size: of one */
};

/* struct tally: what a worker has counted for metric_of_worker, beside what others count anyway. */
struct tally {
    struct usage relayed[TRANSPORT_COUNT];
    uint64_t opened[TRANSPORT_COUNT], ended[METRIC_REASONS_MAX], refused[METRIC_REASONS_MAX];
    struct policy_counts gone;                /* of policies that others have replaced */
    struct policy_tally (*hooks)[HOOK_COUNT]; /* one for each file */
    uint64_t *numbers;                        /* of all rows, `places` of them */
    _Atomic uint64_t *board;                  /* the same, for main */
    size_t places;
};

#define CAPPED_MAX 64
#define TENANT_REALMS 64 /* a power of two */
#define TENANT_REALM_MS 1000

/* struct tenant_realm: the realm that the database has of a tenant; "": none. */
struct tenant_realm {
    char tenant[NAME_MAX_LEN + 1], realm[REALM_MAX_LEN + 1];
    msec_t until;
};

/* struct tenure: the time of one policy in its worker: it is made, it answers, and after its last answer it waits for what it began. What it fetches
 * and what wakes it are its own. */
struct tenure {
    struct worker *worker;
    struct policy *policy; /* NULL while it is made */
    struct loop *loop;     /* the worker's; at the start, whose loop does not turn yet, another while it is made */
    struct dns *dns;
    struct mail mail;      /* errands that have ended in other threads */
    struct letter *letters; /* taken from it and not read yet */
    struct watch due;      /* when hooks that wait go on */
    msec_t ends;           /* of a retired one: then it goes, whatever waits */
    struct tenure *next;
};

struct worker {
    const struct service *service;
    unsigned index;
    struct loop *loop;
    struct host host; /* the engine's; lives as long */
    struct engine *engine;
    struct policy *policy;       /* the one that answers: of `tenure`; NULL: none */
    struct tenure *tenure, *prepared, *retired; /* prepared: to take its place; retired: before it, while something waits */
    struct policy_letter *preparing;            /* to be answered when `prepared` has begun */
    atomic_uint *retirements;                   /* main's: how many retired ones there are, of all workers */
    struct shadow *shadow; /* NULL: none */
    struct crypto *crypto;
    struct store_reader *reader; /* NULL: no database */
    const struct revocations *revoked; /* main's, until another takes its place; NULL: nobody is */
    struct tenant_realm realms[TENANT_REALMS];
    struct streams *streams;
    struct peer_streams *peers;
    struct dtls *dtls;           /* NULL: no DTLS */
    struct udp_in *in;
    struct udp_out *out;
    struct listener_socket *sockets;
    size_t socket_count;
    const struct relay_way *way;
    struct pool relays, lines; /* of relay_by_sockets */
    uint32_t turn;             /* of the loop: how many there were */
    uint32_t looked_at;        /* whose overflows are counted next */
    uint64_t overflows;        /* of relay sockets */
    struct steered *steered; /* of relay_by_steering; else NULL */
    struct marks marks, told; /* of usage_mark, of usage_told */
    msec_t usage_asked;
    uint32_t lives_from; /* where in the pool the next turn of record_lives begins; 0: a round, at lives_at */
    msec_t lives_at;
    struct handle capped[CAPPED_MAX]; /* to be ended when the round of usage is over; who has no place is met in the next one */
    size_t capped_count;
    uint64_t shaken, shaken_before; /* handshakes that were over half a second ago; when their memory was last given back */
    int64_t unix_offset_ms; /* wall clock minus monotonic clock, taken twice a second */
    struct watch half, tenth, flush;
    struct mail mail;
    struct journal_page *page; /* NULL: no decision log */
    struct denials *denials;   /* NULL: nobody asks, there is no admin door */
    struct letter stop; /* posted once */
    struct foreign foreign;
    _Atomic(struct ring *) *inward; /* by the worker that puts; made on first use, by that one */
    bool has_passed;                /* packets into rings, since others were last roused */
    bool has_taken;                 /* packets out of rings, since the last flush */
    uint64_t lost;                  /* packets for which a ring had no room */
    uint64_t too_long;              /* datagrams that no DTLS record can hold; one from a socket is never as long */
    struct tally *tally;            /* NULL: nobody can ask */
    pthread_t thread;
    bool started, stopped;
};

/* worker_io.c: sockets and the way of a datagram through the engine */
int worker_io_open(struct worker *, struct refusal *);
void worker_io_start(struct worker *);
void worker_io_close(struct worker *);
void worker_deliver(struct worker *, const struct send *, bool lasting); /* lasting: the input lives until the next flush */
void worker_flush(struct worker *); /* send what was collected */
void worker_give_back(struct worker *); /* memory to the system, when many handshakes are over and few go on; twice a second */
int worker_receive(struct worker *, int fd, int most); /* udp_receive, with slots made free for half of it at least */

/* worker_steered.c: relayed addresses without a socket each.  steered_open: its sockets, with the privileges of the start. */
int steered_open(struct worker *, struct refusal *);
void steered_start(struct steered *);
void steered_flush(struct steered *);
bool steered_answer(struct steered *, const struct send *, bool lasting); /* to a client over UDP; false: it is to go by the socket of the listener */
void steered_free(struct steered *);
const struct udp_counts *steered_counts(const struct steered *);
uint64_t steered_overflows(const struct steered *);

/* worker_relay.c: a socket for each allocation. worker_lines_init: how many lines there may be.  worker_look: counts what found relay sockets full, of some
 * of them. */
void worker_lines_init(struct worker *);
void worker_look(struct worker *);

/* worker_mail.c: what crosses from one worker to another.  worker_pass: carries out SEND_TO_WORKER.  worker_leaves: for the streams.  worker_hold: for the
 * engine. */
int worker_mail_open(struct worker *);
void worker_mail_close(struct worker *);
void worker_hold(void *ctx, const struct flow *, bool holds);
void worker_pass(struct worker *, const struct send *);
void worker_leaves(void *ctx, struct connection *, unsigned heir);
void worker_end(struct worker *); /* worker.c: the loop's last turn */

/* worker_ring.c: packets that cross from one worker to another.  worker_pass_datagram: what a client sent.  worker_pass_on: if another worker wants what comes
 * from its 5-tuple: true if so.  worker_hand_over: carries out SEND_TO_HOLDER.  worker_rouse: those for whom there is something.  worker_rings_read: what is
 * there for this one.  worker_rings_release: what was read has been flushed. */
int worker_rings_open(struct worker *);
void worker_rings_close(struct worker *);
void worker_pass_datagram(struct worker *, unsigned to, const struct flow *, struct view bytes);
bool worker_pass_on(struct worker *, const struct flow *, struct view bytes);
void worker_hand_over(struct worker *, const struct send *);
void worker_rouse(struct worker *);
void worker_rings_read(struct worker *);
void worker_rings_release(struct worker *);

/* worker_tcp.c: the sockets of TCP allocations */
extern const struct tcp_host worker_tcp_host;
struct peer_streams *worker_peers_new(struct worker *);

/* decide.c: the chain of policies, then the built-in users and limits */
void worker_ask(void *ctx, const struct question *, struct verdict *);
uint32_t worker_hooks(const struct worker *);
int worker_unhash(void *ctx, const char *realm, struct view hash, char name[UNHASHED_MAX_LEN + 1]);
void worker_settle(struct worker *, const struct policy *, const struct question *, struct verdict *); /* what is built in, to what that policy said; kept in the decision log */

/* worker_wait.c: hooks that wait.  tenure_new: with a policy made of that, without world; `early`: before the worker's loop turns. NULL with the reason. */
struct tenure *tenure_new(struct worker *, struct policy_birth *, bool early, char *reason, size_t reason_cap);
void tenure_free(struct tenure *);
void worker_forget(void *ctx, struct ticket);
uint32_t worker_count(void *ctx, const char *kind, const char *tenant, const char *user);

/* worker_errand.c: what policies have done outside of them. errands_open: on this loop, instead of the one before, on which nothing is under way.
 * errands_close: what is under way has been cancelled. */
int errands_open(struct tenure *, struct loop *);
void errands_close(struct tenure *);
int errand_fetch(void *ctx, struct policy *, struct handle, const struct http_request *, void **out);
int errand_query(void *ctx, struct policy *, struct handle, const struct query *, void **out);
int errand_resolve(void *ctx, struct policy *, struct handle, const struct dns_question *, void **out);
const struct dns_answer *errand_recall(void *ctx, const struct dns_question *);
void errand_cancel(void *ctx, void *errand);

/* worker_policy.c: the policies, and the letters of server/reload.h.  worker_policy_tick: ten times a second: what waits has come to an end? */
int worker_policy_open(struct worker *, struct refusal *);
void worker_policy_close(struct worker *);
void worker_policy_tick(struct worker *, msec_t now);
void worker_policy_prepare(struct worker *, struct letter *);
void worker_policy_commit(struct worker *, struct letter *);
void worker_policy_abort(struct worker *, struct letter *);

/* worker_roster.c: the letter of server/roster.h */
void worker_roster(struct worker *, struct letter *);

/* worker_revoke.c: the letter of server/revoker.h, and the engine's question. */
void worker_revoke(struct worker *, struct letter *);
bool worker_is_revoked(void *ctx, const struct bearer *);

/* worker_metric.c: what it counts, and lays open for main twice a second.  metric_open: 0 or ERR_MEMORY; nothing is counted where there is
 * no door. metric_event, metric_usage: something happened.  metric_part: the counts of a policy that goes. */
int metric_open(struct worker *);
void metric_close(struct worker *);
void metric_event(struct worker *, const struct event *);
void metric_usage(struct worker *, const struct allocation *, const struct usage *delta);
void metric_part(struct worker *, const struct policy *);
void metric_publish(struct worker *);

/* worker_news.c: what is told of an event, to who follows it */
void worker_news(struct worker *, const struct event *);

/* worker_tenant.c: what is counted of tenants, for all workers together */
void worker_tenant_event(struct worker *, const struct event *);
void worker_tenant_usage(struct worker *, const struct allocation *, const struct usage *delta, int64_t unix_ms);

/* metering.c: meters of policies.  meter_usage: counts what was relayed.
 * meter_close_capped: ends whom meter_usage found over a cap. */
void meter_usage(struct worker *, const struct allocation *, const struct usage *delta, msec_t now);
void meter_close_capped(struct worker *, msec_t now);

/* record_rows.c: rows for the database: of an event; of what was relayed, twice a second; of allocations that live, a part of them twice a second, all within a
 * minute */
void record_rows(struct worker *, const struct event *);
void record_usage(struct worker *, const struct allocation *, const struct usage *delta, msec_t now);
void record_lives(struct worker *, msec_t now);

/* record_mark.c: what was told of an allocation: NULL without memory.  marks_trim: what the engine's highest allocation does not need goes back. */
struct usage_mark *record_mark(struct worker *, const struct allocation *);
struct usage_told *record_told(struct worker *, const struct allocation *);
void marks_trim(struct worker *);
void marks_close(struct worker *);

/* record.c: what is written down: log lines, the log and usage hooks. */
const char *record_tenant_of(const char *tenant, const char *realm);
const char *record_tenant(const struct allocation *); /* or its realm, where there is none */
const char *
record_transport(const struct allocation *); /* how the client comes, and how its peers do if not by datagrams: "udp", "tls", "tcp/tcp" */
void worker_tell(void *ctx, const struct event *);
void worker_remark(void *ctx, const struct event *);
void worker_audit(void *ctx, const char *type, const char *detail_json);
void worker_record_usage(struct worker *, msec_t now);
void worker_take_usage_verdict(struct worker *, const struct question *, const struct verdict *, msec_t now);

#endif
