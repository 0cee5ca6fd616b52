/* engine.h: the STUN/TURN engine of one worker: bytes and time in, at most one datagram out. It knows no socket API.
 *
 * Everything it keeps is reached by handles; everything it returns is borrowed until the next call. One thread uses an engine; engines
 * share only the ledger. RFC 8489, RFC 8656.
 */
#ifndef RELAY_TURN_ENGINE_H
#define RELAY_TURN_ENGINE_H

#include "ledger/connections.h"
#include "ledger/ports.h"
#include "ledger/quota.h"
#include "ledger/strangers.h"
#include "ledger/tenants.h"
#include "ledger/tickets.h"
#include "turn/allocation.h"
#include "turn/host.h"

#define ENGINE_HEADROOM 48 /* writable bytes before a peer's payload: the largest header written in front of it */
#define ENGINE_METHODS 7
#define ENGINE_TAILROOM 4  /* writable bytes behind it: padding */

struct engine;

struct relay_address {
    struct addr local; /* port 0 */
    struct addr shown; /* what clients are told and what peers use: external-ip, or the same */
    const char *pool;  /* whose allocations alone it is for; NULL: those of no pool */
};

/* struct alternates: clients are sent to them in turn. */
struct alternates {
    struct alternate *items;
    size_t count;
};

/* enum origin_change: how the place that a Binding answer leaves from differs from where its request came to. */
enum origin_change { ORIGIN_SAME, ORIGIN_PORT, ORIGIN_IP, ORIGIN_BOTH, ORIGINS };

/* struct origins: of one listener: the listeners that may answer in its place, by enum origin_change; RFC 5780 section 6.1. */
struct origins {
    struct origin {
        struct addr local; /* family ADDR_NONE: there is none */
        struct addr shown; /* what clients are told: behind external-ip, or the same */
        uint16_t listener;
    } at[ORIGINS];
};

/* struct engine_config: constant, shared by all engines, outlives them. */
struct engine_config {
    const char *realm;    /* default realm */
    const char *software; /* SOFTWARE, "" for none */
    bool fingerprint;     /* FINGERPRINT in every message (else only where the request had one) */
    bool strict_channels; /* 0x4000-0x4FFF only */
    uint8_t default_family; /* of an Allocate that asks for none: enum addr_family, or ADDR_NONE: the listener's */
    bool oauth;           /* THIRD-PARTY-AUTHORIZATION in challenges, ACCESS-TOKEN in requests; else that is 420 */
    const char *server_name; /* that the tokens are bound to; "" or NULL: the realm */
    bool offer_sha256;    /* PASSWORD-ALGORITHMS in challenges: SHA-256 and MD5; else every key is MD5 */
    bool offer_userhash;  /* challenges ask for USERHASH in place of USERNAME */
    bool classic;         /* RFC 3489 requests, without the cookie, are answered */
    bool mapped_address;  /* MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS in Binding answers */
    const struct origins *origins; /* of each listener: RFC 5780 is on; NULL: off */
    bool mobility;        /* tickets are given to those who ask, RFC 8016 */
    bool relaying;        /* false: no authentication is configured: Allocate is 403 */
    bool allow_loopback_peers;
    struct alternates alternates[TRANSPORT_COUNT]; /* where clients are sent instead; count 0: they stay */
    struct alternates siblings[TRANSPORT_COUNT];   /* the same, while it drains; count 0: they are refused */
    uint32_t nonce_lifetime_s;
    uint32_t max_lifetime_s, permission_lifetime_s, channel_lifetime_s;
    bool strict_expiry; /* every allocation ends when its key expires */
    uint32_t source_quota; /* allocations of one source address; 0: none */
    uint32_t total_quota, user_quota; /* 0: none; a policy may only tighten total_quota */
    uint32_t max_permissions, max_channels; /* per allocation */
    uint32_t max_pps, max_new_peers;        /* likewise, as struct limits has them */
    uint64_t max_user_bps;                  /* likewise */
    uint32_t max_tcp_peers_each;            /* per TCP allocation */
    uint32_t max_allocations, max_parked, max_tcp_peers; /* per engine; of allocations at most HOLDER_ALLOCATIONS */
    uint32_t max_parked_each; /* of a tenant */
    bool no_udp_relay;
    bool no_local_handover; /* what one allocation sends to another goes by their sockets */
    uint32_t park_deadline_ms;
    uint8_t nonce_key[32], mobility_key[32]; /* the same for every worker */
    struct hash_key hash_key;
    const struct relay_address *relays;
    uint32_t relay_count;
    const struct addr *listeners; /* own listening addresses (any = 0.0.0.0 matches every own address): never relayed to */
    uint32_t listener_count;
    const struct cidr_set *allowed_peers, *denied_peers; /* sealed; allowed opens holes in the built-in denial, denied wins over allowed */
};

/* struct engine_shared: the ledger. */
struct engine_shared {
    struct quota *quota;
    struct tenants *tenants;
    struct rate_pair *server; /* bits a second of all that is relayed; NULL: there is no limit */
    struct ports *ports;     /* of UDP relays */
    struct ports *tcp_ports; /* of TCP relays */
    struct tickets *tickets;
    struct connections *connections;
    struct strangers *strangers; /* NULL: they are answered without limits */
};

/* SEND_TO_WORKER: the bytes, as they came, are for another worker's engine, and so is the flow from now on if it is a connection.
 * SEND_TO_HOLDER: the payload is for an allocation of another worker's engine: its engine_from_peer, without a socket on the way. */
enum send_to { SEND_NOTHING, SEND_TO_CLIENT, SEND_TO_PEER, SEND_TO_WORKER, SEND_TO_HOLDER };

struct send {
    enum send_to to;
    struct view bytes;       /* borrows the input if it is_relayed, else the engine's reply buffer until the next call; TO_WORKER: the input */
    bool is_relayed;
    const struct flow *flow; /* TO_CLIENT: whom, TO_WORKER: from whom; borrowed likewise */
    int sock;                /* TO_PEER: from which relay socket */
    struct addr peer;        /* TO_PEER: whom; TO_HOLDER: from which of our own relayed addresses */
    struct holder holder;    /* TO_HOLDER: whom */
    bool dont_fragment;      /* TO_PEER: with DF, RFC 8656 section 14; else without */
    unsigned worker;         /* TO_WORKER: the number of its engine, another than this one's */
    uint8_t mark;            /* of the IP header: what is relayed keeps the one it came with, where a datagram can; answers have none */
};

/* struct peer_error: what an ICMP or ICMPv6 packet said of a datagram to `peer`. */
struct peer_error {
    struct addr peer;
    uint8_t type, code;
    uint32_t data; /* the MTU of the next link, where the type has one */
};

/* struct packet: `len` bytes at `at`, with ENGINE_HEADROOM before and ENGINE_TAILROOM behind that may be overwritten. */
struct packet {
    uint8_t *at;
    size_t len;
    uint8_t mark; /* DSCP and ECN of the IP header, RFC 8656 sections 13 to 16 */
};

/* engine_new: `worker` numbers the engine (0..255) for ids. NULL without memory. */
struct engine *engine_new(const struct engine_config *, const struct engine_shared *, const struct host *, unsigned worker);

/* engine_free: closes every relay socket and gives everything back, without telling events. */
void engine_free(struct engine *);

/* engine_clock: what the wall clock says at `now`; call at start and about once a second. */
void engine_clock(struct engine *, msec_t now, int64_t unix_ms);

/* engine_id: for an allocation or a decision: positive as int64, never the same twice, over workers and restarts: 42 bits of milliseconds, 13 to
 * count within one, 8 for the worker. */
uint64_t engine_id(struct engine *, msec_t now);

/* engine_peer_kind: what keeps this peer from being relayed to, in a word or three: "private". Lives as long as the process. */
const char *engine_peer_kind(const struct engine *, const struct addr *peer);

/* engine_hooks: the host's hooks changed (a policy was loaded). */
void engine_hooks(struct engine *, uint32_t hooks);

/* engine_from_client: the mark is the flow's. What goes to another client of this engine is written upon where it lies; nothing else is. */
struct send engine_from_client(struct engine *, const struct flow *, struct packet in, msec_t now);
struct send engine_from_peer(struct engine *, struct handle owner, const struct addr *from, struct packet in, msec_t now);

/* engine_peer_error: an error that a relay socket was told: a Data indication with ICMP, if the client may know; a few a second for each allocation. */
struct send engine_peer_error(struct engine *, struct handle owner, const struct peer_error *, msec_t now);

/* engine_resume: the verdict for a parked request; nothing happens for a stale ticket. */
struct send engine_resume(struct engine *, struct ticket, const struct verdict *, msec_t now);

/* engine_drain: from now on no Allocate is granted: who asks is sent to the engine_config's `siblings`, or refused (508); and no Refresh for
 * longer than until then. 0: that is over; INT64_MAX: for ever. */
void engine_drain(struct engine *, msec_t until);

/* engine_flow_closed: a client's connection is gone: its allocation ends, or waits for its client if it is mobile, and its parked requests are dropped. */
void engine_flow_closed(struct engine *, const struct flow *, msec_t now);

/* engine_sweep: once a second or oftener: ends what has expired. Parked requests past their deadline are answered one by one by
 * engine_next_overdue (SEND_NOTHING: no more). */
void engine_sweep(struct engine *, msec_t now);
struct send engine_next_overdue(struct engine *, msec_t now);

/* engine_usage: for each allocation whose counts moved since the last call: the difference. Verdicts of the usage hook are applied by the caller through
 * engine_close and engine_limit. */
typedef void engine_usage_fn(void *ctx, const struct allocation *, const struct usage *delta);
void engine_usage(struct engine *engine, engine_usage_fn *tell, void *ctx, msec_t now);

/* engine_close: end an allocation now; the closed event tells the verdict's `reason` and `by`.  engine_limit: change its bit rate, up to
 * what was granted at first (0: to that). False if stale, or without memory. */
bool engine_close(struct engine *, struct handle, const struct verdict *, msec_t now);
bool engine_limit(struct engine *, struct handle, uint64_t max_bps, msec_t now);

/* engine_follow: what was changed of tenants is so for their allocations: they are bound by other limits, or end. Ten times a second: it looks at some thousands. */
void engine_follow(struct engine *, msec_t now);

/* engine_close_all: end every allocation with closed events (shutdown). */
void engine_close_all(struct engine *, const char *reason, msec_t now);

uint32_t engine_allocations(const struct engine *);
const struct allocation *engine_allocation_at(const struct engine *, uint32_t from); /* walk: the first live one with pool index >= from */

/* enum engine_mute: why a request is not answered: its source has had its answers of this second, or its wrong logins of this minute. */
enum engine_mute { MUTE_STRANGER, MUTE_LOGIN, ENGINE_MUTES };

/* enum engine_handover: where the allocation is that a client's packet is handed to: in the same engine, or another worker's. */
enum engine_handover { HANDOVER_SAME, HANDOVER_OTHER, ENGINE_HANDOVERS };

/* struct engine_counts: since engine_new; one writer, read them in the worker. */
struct engine_counts {
    uint64_t bindings, allocated, refused, closed, auth_failed, policy_errors;
    uint64_t relayed_in, relayed_out;                     /* packets relayed from and to clients */
    uint64_t handed_over[ENGINE_HANDOVERS];               /* of those from clients: to allocations of this server, without a socket */
    uint64_t dropped_no_permission, dropped_malformed;
    uint64_t paced[PACE_LIMITS]; /* dropped, by the limit that said no */
    uint64_t dropped_not_in_group; /* between an allocation that has a group and somebody who is not in it */
    uint64_t muted[ENGINE_MUTES]; /* not answered, by enum engine_mute */
    uint64_t repeated;                              /* requests that were answered as before */
    uint64_t answered[ENGINE_METHODS][STUN_PLACES]; /* all others, by method (engine_method) and code */
};
const struct engine_counts *engine_counts(const struct engine *);

/* engine_method: of a row of `answered`. */
uint16_t engine_method(size_t row);

/* engine_parked: how many requests wait for an answer of the policies. */
uint32_t engine_parked(const struct engine *);

#endif
