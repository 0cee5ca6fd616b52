/* allocation.h: one allocation: a 5-tuple, a relayed transport address, an identity, permissions, channels, counts. RFC 8656 section 3.2.
 *
 * Plain data in the engine's pool, reached by handle, so that it can be written out and read back. Others may read it; only core/turn
 * writes it.
 */
#ifndef RELAY_TURN_ALLOCATION_H
#define RELAY_TURN_ALLOCATION_H

#include "ledger/quota.h"
#include "ledger/tenants.h"
#include "turn/bucket.h"
#include "turn/chain.h"
#include "turn/pace.h"
#include "turn/verdict.h"

#define PROTOCOL_TCP 6 /* REQUESTED-TRANSPORT: as IP has them */
#define PROTOCOL_UDP 17

/* struct relayed: a relayed transport address. */
struct relayed {
    struct addr local; /* as bound */
    struct addr shown; /* as told to the client (external-ip) */
    int sock;          /* -1: there is none */
    uint32_t address;  /* index of the relay address */
};

/* struct rare: what few allocations have, which is known when they are opened: two relayed addresses, an even port whose sibling is reserved,
 * mobility, TCP peers. */
struct rare {
    struct relayed other;   /* of the other family, with ADDITIONAL-ADDRESS-FAMILY */
    uint8_t refused_family; /* the family that was asked for and not given, and why: ADDRESS-ERROR-CODE */
    int refused_code;
    uint64_t reservation; /* token of the sibling port while it is reserved, else 0 */
    uint32_t serial;      /* how often its client moved: of the last ticket */
    struct chain tcp_peers;
};

struct names;

/* What the way of a packet reads comes first and fills three lines of the cache: an item of the pool begins on a line. A field that seldom
 * has a value belongs behind a pointer: ten thousand idle allocations are ten thousand of these. */
struct allocation {
    struct handle self;
    struct flow flow, *next; /* next: where the client wants to be, on the heap, NULL: nowhere else; see mobility.h */
    msec_t expires;
    struct pace *pace; /* of limits.max_bps, max_pps, max_user_bps and max_new_peers; NULL: none is set */
    uint64_t group;    /* as ledger/ports.h has them */
    struct addr relayed; /* as bound */
    int sock;
    struct usage usage;
    struct links moved; /* among those whose counts moved since the last engine_usage */
    bool has_moved, is_adrift, is_mobile;
    bool is_active, is_minted; /* it carried data lately; by its USERNAME */
    uint8_t protocol;          /* of the relayed address: PROTOCOL_UDP or PROTOCOL_TCP */
    struct rare *rare;         /* NULL: it has nothing of that */

    uint64_t id; /* positive as int64, unique over workers and restarts: the key of the sessions table */
    uint32_t address;                           /* index of the relay address */
    uint32_t permissions, channels, tcp_peers;  /* how many; some may just have expired */
    struct chain permission_list, channel_list; /* in the engine's pools, the soonest to expire first */
    struct links due;                           /* in the slot of the wheel that is looked at when something of this allocation expires */
    uint32_t due_slot;
    struct quota_units units;
    struct links active;         /* among those that are */
    msec_t moved_at;             /* if it is active: when it last carried data */
    struct usage reported;       /* what `usage` was when it was last taken */
    const struct limits *limits; /* of the engine's bounds, as the next one */
    const struct limits *granted; /* `limits` as authorized: they are this, within its tenant's and what was said since */
    uint64_t said_bps;            /* by engine_limit; 0: nothing */
    struct tenant *entry;         /* of its tenant, in the ledger */
    uint64_t entry_version;       /* of the entry's limits, when they were last looked at */
    msec_t created;
    int64_t created_unix_ms;
    int64_t key_expires_unix_s;
    enum on_expiry on_expiry;
    uint8_t tid[STUN_TID_LEN];  /* of the Allocate: a retransmission gets the same answer */
    struct addr relayed_shown;  /* as told to the client (external-ip) */
    struct long_term_key key;   /* len 0: forgotten, the next request is authenticated anew */
    struct bucket errors;       /* of what peers' networks say: PEER_ERRORS_BPS */
    struct names *names; /* one heap block: the flow's strings and these, each NUL-terminated; the metering */
    const char *tenant, *user, *realm, *username;
    const char *tags, *group_name; /* as struct labels has them */
};

_Static_assert(offsetof(struct allocation, id) == 192, "what a packet reads is in three lines of the cache");

/* allocation_metering: which sum its bytes count into; NULL: none. */
const struct metering *allocation_metering(const struct allocation *);

#endif
