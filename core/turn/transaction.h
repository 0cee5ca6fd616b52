/* transaction.h: one request on its way through the engine: what it said, who sent it, and why it is refused.
 *
 * A step returns 0 (go on), a STUN code (refused), or TRANSACTION_PARKED (the policy answers later). reply.c turns the code into bytes.
 * Lives on the stack; a parked transaction is copied and opened again (park.h).
 */
#ifndef RELAY_TURN_TRANSACTION_H
#define RELAY_TURN_TRANSACTION_H

#include "turn/state.h"

#define TRANSACTION_PARKED (-1)

/* struct identity: who this is, from the route hook and authentication. */
struct identity {
    struct long_term_key key;
    int64_t key_expires_unix_s;
    enum on_expiry on_expiry;
    bool is_minted;                      /* USERNAME is a minted credential's */
    bool wants_sha256;                   /* PASSWORD-ALGORITHM: the client signs with a SHA-256 key */
    char unhashed[UNHASHED_MAX_LEN + 1]; /* the name that USERHASH stands for; "": not known */
    char tenant[NAME_MAX_LEN + 1], user[NAME_MAX_LEN + 1], realm[REALM_MAX_LEN + 1];
};

#define TICKET_TEXT_LEN 32 /* of MOBILITY-TICKET */

struct answer { /* what a reply says beside its code */
    uint32_t lifetime_s;
    uint64_t reservation;
    uint32_t connection_id;
    struct addr relayed, other; /* other: family ADDR_NONE: none */
    uint8_t refused_family;     /* ADDRESS-ERROR-CODE, with refused_code */
    int refused_code;
    struct alternate alternate; /* the client's family first */
    uint8_t origin;   /* enum origin_change: where a Binding answer leaves from */
    uint16_t port;    /* RESPONSE-PORT: to which port; 0: to the one that asked */
    bool has_padding; /* PADDING, with `padding` */
    uint16_t padding;
    uint16_t unknown[MESSAGE_UNKNOWN_MAX];
    uint8_t unknown_count;
    char ticket[TICKET_TEXT_LEN + 1]; /* "": none */
};

struct parked_request;

struct transaction {
    struct engine *engine;
    const struct flow *flow;
    struct message message;
    msec_t now;
    uint64_t decision;
    struct allocation *allocation; /* of the 5-tuple, live, or NULL */
    struct identity identity;
    bool is_authentic;           /* MESSAGE-INTEGRITY was right: the answer is signed with identity.key */
    bool is_moving;              /* `allocation` is not of the 5-tuple but of the ticket, see mobility.h */
    bool is_denied;              /* told as an event although not authentic */
    bool is_bad_login;           /* told as auth_failed */
    bool is_proven;              /* the nonce is one that we gave to this address */
    enum hook hook;              /* that refused; HOOK_COUNT: none */
    struct gauge measure;      /* of the refusal */
    struct parked_request *copy; /* of a resumed transaction: used again if it parks again */
    struct answer answer;
    struct addr peer; /* that it is about, family ADDR_NONE: none; told when the request is denied */
    char reason[REASON_MAX], by[REASON_MAX];
};

/* transaction_username: USERNAME as sent, or the name that USERHASH stands for; empty before that is looked up. */
struct view transaction_username(const struct transaction *);

/* transaction_refuse: `code`, with a reason of the core's for the event. */
int transaction_refuse(struct transaction *, int code, const char *reason);

/* transaction_exceed: the same, of something of which there is so much already. */
int transaction_exceed(struct transaction *, int code, const char *reason, struct gauge);

/* transaction_tell: an event about this transaction; `peer` may be NULL. */
void transaction_tell(struct transaction *, enum event_type, int code, const struct addr *peer);

/* transaction_tell_stale: the client, of whom something is known, is asked to sign anew. */
void transaction_tell_stale(const struct transaction *);

/* transaction_unknown: 420, or 0 if the request has nothing in it that must be understood and is not: a type without a row, or of a usage
 * that is off here or not for this method. */
int transaction_unknown(struct transaction *);

/* transaction_is_owner: the request came from the user who made the allocation of this 5-tuple, or refreshes with a token of the same
 * tenant what was made with a token: the name there is a key's, and keys change (RFC 7635 section 9). */
bool transaction_is_owner(const struct transaction *);

/* transaction_server_name: that tokens must be bound to.  transaction_is_strict: the allocation ends when the key expires, by `limits` or any
 * other word.  transaction_key_left_s: whole seconds that the key is still good for; UINT32_MAX: it bounds nothing.  transaction_lifetime: what is granted to a request for `lifetime_s`: no more than the key is good for, and than the server drains. */
const char *transaction_server_name(const struct transaction *);
bool transaction_is_strict(const struct transaction *, const struct limits *);
uint32_t transaction_key_left_s(const struct transaction *, const struct limits *);
uint32_t transaction_lifetime(const struct transaction *, const struct limits *, uint32_t lifetime_s);

/* transaction_left_s: of its allocation: whole seconds, at least 1. */
uint32_t transaction_left_s(const struct transaction *);

/* method.c: a row for each request that is answered */
struct method {
    uint16_t method;
    bool needs_auth, needs_allocation;
    int (*handle)(struct transaction *);
    int (*resume)(struct transaction *, struct verdict *); /* of a transaction that was parked by `handle` */
};

const struct method *method_find(uint16_t method);
size_t method_row(uint16_t method); /* ENGINE_METHODS: it has none */

int request_binding(struct transaction *);
int request_allocate(struct transaction *);
int request_allocate_resume(struct transaction *, struct verdict *);
int request_refresh(struct transaction *);
int request_permission(struct transaction *);
int request_channel(struct transaction *);
int request_connect(struct transaction *);
int request_connection_bind(struct transaction *);

/* request_connection_bind.c: the allocation whose pending connection a ConnectionBind names, if the name in it is its user's; else NULL.
 * connection_bind_elsewhere: whether the connection waits on another worker, and on which. */
struct allocation *connection_bind_allocation(const struct engine *, const struct message *);
bool connection_bind_elsewhere(const struct engine *, const struct flow *, const struct message *, unsigned *worker);

/* engine_finish (engine.c): answers a request that waited for something else than the policy; frees it. */
struct outcome {
    int code;
    struct answer answer;
    struct addr peer;
};
struct send engine_finish(struct engine *, struct parked_request *, const struct outcome *, msec_t now);

/* request_permission.c, for ChannelBind and Connect too.  permission_judge: 0 if the peer may be permitted: its family, the filter, the
 * policy; else the refusal.  permission_refuse: 403 for a peer that the filter shuts out.  permission_grant: 0 if the peer has a permission
 * now, *added if it is new; else the refusal.  permission_confirm: the request it was for is granted: it lives anew from now on.
 * permission_take_back: it is not: the last so many go.  permission_pace: whether there may be a new peer now; else the refusal.
 * permission_unpace: so many are none. */
int permission_judge(struct transaction *, const struct addr *peer);
int permission_refuse(struct transaction *);
int permission_grant(struct transaction *, const struct addr *peer, bool *added);
void permission_confirm(struct transaction *, const struct addr *peer);
void permission_take_back(struct transaction *, uint32_t added);
int permission_pace(struct transaction *);
void permission_unpace(struct transaction *, uint32_t count);

#endif
