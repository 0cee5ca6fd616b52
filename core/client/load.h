/* load.h: a load on a TURN server, any: many clients from one thread, what is delivered of it and how late, and what that costs the server.
 *
 * Everything the server is asked for is given back, at the end, on SIGINT and SIGTERM, and when something fails. Packets carry the time and the number they left with.
 */
#ifndef RELAY_CLIENT_LOAD_H
#define RELAY_CLIENT_LOAD_H

#include "client/calls.h"
#include "client/probe.h"

#include <sys/types.h>

#define LOAD_BYTES_MIN 16 /* of a payload: a packet says when it left, which it is and whose */
#define LOAD_BYTES_MAX 8192
#define LOAD_HEADER_MAX 64 /* around a payload */
#define LOAD_GSO_MAX 65000u
#define LOAD_CLIENTS_MAX 1000000
#define LOAD_BURST_MAX 64
#define LOAD_WINDOW_MAX 100000
#define LOAD_PIDS_MAX 64
#define LOAD_FROM_MAX 64
#define LOAD_WHY_MAX 512

enum load_kind {
    LOAD_RELAY,    /* data through allocations */
    LOAD_BINDING,  /* Binding requests */
    LOAD_ALLOCATE, /* a client that comes, from a port of its own, is challenged, allocates, and gives back */
    LOAD_HOLD,     /* allocations that are there, each with a permission and a channel */
};

enum load_direction {
    LOAD_UP,   /* from clients to the generator's peer */
    LOAD_DOWN, /* from the peer to clients */
    LOAD_BOTH, /* in turns */
    LOAD_PAIR, /* from each client to another, through both their allocations */
};

/* struct load_progress: told once a second. */
struct load_progress {
    const char *phase;
    uint64_t done, of; /* clients of the phase, or packets that came of those sent */
    double seconds;    /* of the phase */
};

struct load_config {
    struct crypto *crypto;
    const struct probe_url *url;
    const char *user, *password; /* NULL: none */
    bool trusts_everybody;
    enum load_kind kind;
    enum load_direction direction;
    bool gso;   /* a burst is one datagram, which the system parts */
    bool sends; /* Send and Data indications, not ChannelData */
    uint32_t clients;
    uint32_t rate, window;     /* packets a second, or that many on their way: one is 0 */
    uint32_t packets, seconds; /* one may be 0; else whichever is over first */
    uint32_t bytes, burst;     /* of a payload; packets of one client, back to back */
    struct addr peer; /* of the generator's own socket that clients reach; of ADDR_NONE: the address that the server is reached from */
    struct addr from[LOAD_FROM_MAX]; /* addresses that clients come from, in turns */
    size_t from_count;
    pid_t pids[LOAD_PIDS_MAX]; /* the server's processes and kernel threads */
    size_t pid_count;
    void (*told)(void *ctx, const struct load_progress *); /* NULL: nobody looks */
    void *ctx;
};

struct load_report {
    char why[LOAD_WHY_MAX]; /* "": nothing failed */
    bool is_stopped;        /* by a signal, before the end */
    char server[ADDR_TEXT_MAX];

    /* of setting up, and of giving back */
    uint32_t clients;
    double setup_s;
    uint64_t challenges, retransmissions, ports_taken, unreleased;

    /* of the traffic; `allocate`: a packet is a cycle, and its latency that of the Allocate, with the challenge */
    uint64_t sent, delivered, refused;
    uint64_t unsent;       /* what the system here had no room for; part of `sent` */
    uint64_t dropped_here; /* what came and found the generator's own buffers full, as the system counts it */
    int refused_code;      /* the last */
    double seconds;
    double p50_us, p99_us, p999_us, jitter_us;
    double share_least, share_median; /* of the mean of what clients got */

    /* of the server's processes */
    bool has_cost;
    double cpu_s; /* while those were delivered */
    uint64_t calls, calls_packets;  /* system calls, and what was delivered meanwhile: in a part of the run that counts for nothing else */
    char calls_why[CALLS_WHY_MAX];  /* there are none; "": they were not asked for, or they were counted */
    double held_s;
    bool has_memory;
    uint64_t resident_before, resident_held, resident_after, kernel_before, kernel_held, kernel_after; /* bytes */
};

/* load_run: 0, or ERR_SYSTEM: out->why says what failed; what was measured until then is in the report. */
int load_run(const struct load_config *, struct load_report *out);

#endif
