/* state.h: what an engine is made of; private to core/turn.
 *
 * Everything that lives longer than a call is in a pool and found by a keyed hash; one thread owns it all.
 */
#ifndef RELAY_TURN_STATE_H
#define RELAY_TURN_STATE_H

#include "base/crypto.h"
#include "base/table.h"
#include "turn/bounds.h"
#include "turn/engine.h"
#include "turn/peer.h"
#include "turn/retransmit.h"
#include "turn/tcp_peer.h"
#include "turn/wheel.h"

#define PEER_ERRORS_BPS 80    /* ICMP toward a client, an error counted as a byte: 10 at once and 10 a second */
#define PARKED_TENANTS 4096  /* counts of parked requests, by the hash of the tenant's name */
#define ENGINE_REPLY_MAX 2048 /* REALM and SOFTWARE of 763 bytes each fit */

struct channel;

struct engine {
    const struct engine_config *config;
    struct engine_shared shared;
    const struct host *host;
    uint32_t hooks;
    unsigned worker;
    int64_t unix_offset_ms; /* wall clock minus monotonic clock */
    uint64_t last_id;
    uint64_t ending; /* the decision that ends an allocation now; 0: none does */
    uint64_t indications; /* sent so far: their transaction ids */
    uint32_t redirects;   /* made so far: whose turn it is */
    msec_t drains_until;  /* 0: it does not drain */

    struct crypto *crypto;
    struct long_term_key no_ones_key; /* an unknown user's request is checked against it, to cost what a known one's does */
    struct peer_filter filter;
    struct peer_filter tcp_filter; /* the same, with the ports of TCP relays */

    struct pool allocations, permissions, channels, parked, tcp_peers;
    struct table by_flow, by_permission, by_number, by_peer, parked_by_flow, by_connection;
    struct bounds bounds; /* of the allocations */
    struct wheel wheel;
    struct chain moved;        /* allocations whose counts moved */
    struct chain active;       /* those that carried data lately, the one that rests longest first */
    uint64_t followed;         /* version of the tenants' limits that the allocations were last looked at for */
    uint32_t follow_at;        /* which one is next; 0: the round is over */
    uint32_t parked_of[PARKED_TENANTS];
    struct chain parked_order; /* the first has the earliest deadline */
    struct chain tcp_waiting;  /* likewise */
    struct retransmit *answers;

    struct engine_counts counts;
    struct flow reply_flow; /* of a request whose own copy is gone */
    uint8_t reply[ENGINE_REPLY_MAX];
};

int64_t engine_unix_ms(const struct engine *, msec_t now);

uint64_t engine_hash(const struct engine *, const void *key, size_t len);

/* engine_digest: stands for a name within a tenant, the same on every worker. */
uint64_t engine_digest(const struct engine *, const char *tenant, const char *name);

/* engine_forget: the host need not answer this ticket any more. */
void engine_forget(struct engine *, struct ticket);

/* allocation.c */
struct allocation *allocation_find(const struct engine *, const struct flow *); /* expired or not */

struct opening { /* what an allocation is to be made of */
    const struct flow *flow;
    const uint8_t *tid;
    uint8_t protocol; /* PROTOCOL_UDP or PROTOCOL_TCP */
    uint8_t family;
    bool has_family; /* the client or the configuration said which */
    bool has_additional; /* a second relayed address, of the other family than `family` */
    enum ports_want want;
    bool has_token, is_mobile;
    uint64_t token;
    uint32_t lifetime_s;
    struct limits limits;
    const struct metering *metering; /* NULL: none */
    const char *tenant, *user, *realm;
    const char *tags, *group, *pool; /* as struct labels has them */
    struct view username;
    struct long_term_key key;
    int64_t key_expires_unix_s;
    enum on_expiry on_expiry;
    bool is_minted;
};

/* struct shortage: why there is no allocation. */
struct shortage {
    const char *reason;
    struct gauge measure;
};

/* allocation_open: 0 and *out; or STUN_QUOTA or STUN_CAPACITY with the shortage, and everything given back. */
int allocation_open(struct engine *, const struct opening *, msec_t now, struct allocation **out, struct shortage *);

/* allocation_rename: its client has another USERNAME from now on; it still counts for the same user. 0 or ERR_MEMORY. */
int allocation_rename(struct allocation *, struct view username);

/* allocation_end: tells the closed event and gives everything back.  allocation_discard: the same, silently. */
void allocation_end(struct engine *, struct allocation *, const char *reason, const char *by, msec_t now);
void allocation_discard(struct engine *, struct allocation *);

/* allocation_lifetime: what is granted to a request for `lifetime_s` (0: not said), RFC 8656 section 7.2.  allocation_extend: from `now`
 * on. */
uint32_t allocation_lifetime(const struct engine *, const struct limits *, uint32_t lifetime_s);
void allocation_extend(struct engine *, struct allocation *, uint32_t lifetime_s, msec_t now);

/* allocation_bound: its limits from now on, of all that set some. False without memory.  allocation_shorten: it
 * lives no longer than its key, if its limits say so. */
bool allocation_bound(struct engine *, struct allocation *, msec_t now);
void allocation_shorten(struct engine *, struct allocation *, msec_t now);

/* allocation_expire: its time is over: ends it, and says why. */
void allocation_expire(struct engine *, struct allocation *, msec_t now);

/* allocation_look: something of it may have expired: drops that, ends it, or puts it back into the wheel. */
void allocation_look(struct engine *, struct allocation *, msec_t now);

/* allocation_count: a packet was relayed; `in` from the client. For every packet.  allocation_move: something is to be told by the next
 * engine_usage. */
void allocation_count(struct engine *, struct allocation *, bool in, size_t bytes);
void allocation_move(struct engine *, struct allocation *);
struct chain_of allocation_moved_chain(const struct engine *);

/* relayed.c: relayed_open: a socket on a free port as wished, into the allocation. 0 or STUN_CAPACITY with the shortage.  relayed_close:
 * gives it all back. */
int relayed_open(struct engine *, struct allocation *, const struct opening *, msec_t now, struct shortage *);
void relayed_close(struct engine *, struct allocation *);

/* relayed_sock: from which socket of the allocation a peer of this family is reached; -1: from none.  relayed_close_one: of two, gives back
 * the one of this family. */
int relayed_sock(const struct allocation *, uint8_t family);
bool relayed_has_both(const struct allocation *); /* two, one of each family */
void relayed_close_one(struct engine *, struct allocation *, uint8_t family);

/* relayed_has_family: whether a pool ("": the addresses of no pool; NULL: any) has an address of it. */
bool relayed_has_family(const struct engine *, const char *pool, uint8_t family);
bool relayed_is_own(const struct allocation *, const struct addr *local); /* an address of the allocation, as bound */

/* tenancy.c: tenancy_limits: what its tenant's limits are to an allocation.  tenancy_refuse: 0, or why the tenant may have no more now. */
struct limits tenancy_limits(const struct engine *, const struct tenant *, msec_t now);
int tenancy_refuse(const struct engine *, const struct tenant *, struct shortage *, msec_t now);

/* tenancy_wake: it is active from now on; false: as many are as may.  tenancy_moved: it carried data.  tenancy_rest: it is idle.  tenancy_sweep:
 * so are those that have rested long enough. */
bool tenancy_wake(struct engine *, struct allocation *, msec_t now);
void tenancy_moved(struct engine *, struct allocation *, msec_t now);
void tenancy_rest(struct engine *, struct allocation *);
void tenancy_sweep(struct engine *, msec_t now);

/* tenancy_ask: whether a packet may pass: PACE_LIMITS, or the limit that says no; for every packet.  tenancy_drop: counts what may not. */
enum pace_limit tenancy_take(struct engine *, struct allocation *, unsigned way, size_t bytes, msec_t now);
void tenancy_drop(struct allocation *, enum pace_limit);

static inline enum pace_limit tenancy_ask(struct engine *engine, struct allocation *allocation, unsigned way, size_t bytes, msec_t now)
{
    return allocation->pace ? tenancy_take(engine, allocation, way, bytes, now) : PACE_LIMITS;
}

/* relay.c: the data path. No malloc, lock, log, policy or copy.  relay_to_peer: `channel` is bound to the peer; NULL: it was named by a Send. */
struct send relay_to_peer(struct engine *, struct allocation *, struct channel *channel, const struct addr *peer, struct view data, msec_t now);
struct send relay_channel_data(struct engine *, const struct flow *, struct view in, msec_t now);

/* relay_hand_over: SEND_TO_HOLDER, of this engine: what becomes of the packet there; its payload lies in `in`. */
struct send relay_hand_over(struct engine *, const struct send *, struct packet in, msec_t now);

/* relay_drop: counts what is dropped.  relay_shut: the same, of what went to or came from where the allocation may not. */
struct send relay_drop(uint64_t *count);
struct send relay_shut(struct engine *, const struct allocation *);

/* relay_tid: the transaction id of an indication: unpredictable, without a system call for each. */
void relay_tid(struct engine *, uint8_t tid[STUN_TID_LEN]);

/* tcp_relay.c: ends what waited too long; the answer to a Connect request among them, or SEND_NOTHING. */
struct send tcp_relay_overdue(struct engine *, msec_t now);

/* indication_send.c: a Send indication. */
struct send indication_send(struct engine *, const struct flow *, const struct message *, msec_t now);

#endif
