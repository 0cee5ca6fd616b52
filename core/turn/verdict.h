/* verdict.h: a question to the policy and its answer, as plain data.
 *
 * The engine asks; the host (core/server: the chain of policies, then the built-in users) answers with a verdict. What fails, times out or makes no sense is
 * answered VERDICT_FAIL, and the engine refuses. VERDICT_SILENT means no opinion: the default of the hook applies (see the table in policies/README.md).
 */
#ifndef RELAY_TURN_VERDICT_H
#define RELAY_TURN_VERDICT_H

#include "base/cidr.h"
#include "base/clock.h"
#include "base/pool.h"
#include "turn/flow.h"
#include "wire/message.h"
#include "wire/token.h"

/* X(name) : the hooks that decide something while a request waits, and those that are told */
#define HOOKS(X)                                                                                                                           \
    X(init)                                                                                                                                \
    X(route)                                                                                                                               \
    X(authenticate)                                                                                                                        \
    X(authorize)                                                                                                                           \
    X(permission)                                                                                                                          \
    X(channel)                                                                                                                             \
    X(refresh)                                                                                                                             \
    X(usage)                                                                                                                               \
    X(log)                                                                                                                                 \
    X(save)                                                                                                                                \
    X(shutdown)

enum hook {
#define X(name) HOOK_##name,
    HOOKS(X)
#undef X
        HOOK_COUNT
};

#define HOOK_BIT(hook) (1u << (hook))

#define VERDICT_KEYS_MAX 8
#define NAME_MAX_LEN 128  /* tenant and user names that the policy chooses, without NUL */
#define REALM_MAX_LEN 127 /* in bytes; RFC 8489 section 14.9: fewer than 128 characters */
#define USERNAME_MAX_LEN 763
#define UNHASHED_MAX_LEN 508 /* of the name that a USERHASH stands for: as long as a client may send one, RFC 8489 section 14.3 */
#define REASON_MAX 96
#define TAGS_MAX 512       /* of an allocation: a credential's and the policies' together */
#define TAGS_GIVEN_MAX 128 /* of what one policy gives */

enum verdict_kind {
    VERDICT_SILENT,
    VERDICT_ALLOW,    /* authorize, refresh, usage: limits */
    VERDICT_DENY,     /* code, reason */
    VERDICT_KEY,      /* authenticate: user, tenant, keys, expires */
    VERDICT_LOOKUP,   /* authenticate: ask the users database for (tenant, user); the host resolves it to KEY or DENY 401 */
    VERDICT_TENANT,   /* route: tenant, realm */
    VERDICT_REDIRECT, /* route, authorize: 300 to `alternate` */
    VERDICT_REAUTH,   /* refresh: 438, the key is forgotten */
    VERDICT_CLOSE,    /* usage: end the allocation */
    VERDICT_FAIL,     /* the policy failed: 500 (see enum hook for the exceptions) */
    VERDICT_LATER,    /* parked: engine_resume follows */
    VERDICT_KINDS
};

/* enum on_expiry: what becomes of an allocation when its key expires: it keeps it; it is asked anew (438) by its next request; it ends. */
enum on_expiry { ON_EXPIRY_KEEP, ON_EXPIRY_REAUTH, ON_EXPIRY_STRICT };

struct long_term_key {
    uint8_t bytes[32];
    uint8_t len;     /* 16: MD5, 32: SHA-256; of a token 20 or 16: for MESSAGE-INTEGRITY, 32: for -SHA256 */
    bool of_token;   /* the mac_key of an access token (RFC 7635): the allocation ends when the key expires */
};

/* limit_strictest: the smaller of two limits of which 0 means none; limit_strictest_count: of allocations, seconds and the like. */
uint64_t limit_strictest(uint64_t a, uint64_t b);
uint32_t limit_strictest_count(uint32_t a, uint32_t b);

enum on_cap {
    ON_CAP_REFUSE,   /* nobody gets in any more */
    ON_CAP_THROTTLE, /* who is in, and who comes, has THROTTLE_BPS */
    ON_CAP_CLOSE     /* as REFUSE, and who relays is put out */
};

#define THROTTLE_BPS 64000

/* struct metering: which sum the relayed bytes of an allocation count into. Plain data of the host. */
struct metering {
    void *meter; /* the host's, which lives as long as the process; NULL: none */
    uint64_t cap; /* bytes in a period; 0: none */
    enum on_cap on_cap;
    char key[NAME_MAX_LEN + 1];
};

/* struct limits: 0 means "not said"; the configuration's value applies, or none. Strictest wins where several policies speak. */
struct limits {
    uint32_t total_quota, realm_quota, user_quota; /* allocations */
    uint32_t max_lifetime_s;
    uint32_t max_permissions, max_channels;
    uint32_t max_pps, max_new_peers; /* packets a second, each direction; peer addresses a second that it had no permission for */
    uint64_t max_bps, max_user_bps;  /* bits a second, each direction: of the allocation; of all that its user has */
    bool is_strict; /* the allocation ends when its key expires */
    const struct cidr_set *acl; /* peers granted without asking `permission`; others are asked, or refused if there is no hook. Lives as long as the process. */
};

/* LIMIT_NUMBERS: those of struct limits that are numbers. */
#define LIMIT_NUMBERS(X)                                                                                                                   \
    X(total_quota)                                                                                                                         \
    X(realm_quota)                                                                                                                         \
    X(user_quota)                                                                                                                          \
    X(max_lifetime_s)                                                                                                                      \
    X(max_permissions)                                                                                                                     \
    X(max_channels)                                                                                                                        \
    X(max_pps)                                                                                                                             \
    X(max_new_peers)                                                                                                                       \
    X(max_bps)                                                                                                                             \
    X(max_user_bps)

/* limits_equal: they come to the same. */
bool limits_equal(const struct limits *, const struct limits *);

/* limits_tighten: of each number the stricter one, and strict if one is. */
void limits_tighten(struct limits *, const struct limits *more);

/* struct labels: what an allocation is called; "" each: nothing. The group is its tenant's: it exchanges packets with relayed addresses of
 * the same group of the same tenant alone. */
struct labels {
    char tags[TAGS_MAX]; /* "k=v,k=v" */
    char group[NAME_MAX_LEN + 1];
    char pool[NAME_MAX_LEN + 1]; /* of relay addresses */
};

/* labels_add: tags "k=v,k=v", which take the place of those of the same names. False, and nothing is added: there is no room. */
bool labels_add(struct labels *, const char *tags);

#define DOMAIN_MAX_LEN 255 /* RFC 8489 section 14.16 */

/* struct alternate: another server that clients are sent to. */
struct alternate {
    struct addr servers[2];          /* ALTERNATE-SERVER: one, or one of each family; ADDR_NONE: none */
    char domain[DOMAIN_MAX_LEN + 1]; /* ALTERNATE-DOMAIN, for TLS and DTLS: whose its certificate is; "": the same name as here */
};

/* struct gauge: what a refusal is about: how much there is of it, and how much there may be; of what, and in which unit, the reason says. Both 0: it is about no
 * number. */
struct gauge {
    int64_t held, limit;
};

struct verdict {
    enum verdict_kind kind;
    int code;
    struct gauge measure; /* DENY */
    int64_t expires_unix_s; /* KEY: 0 = never */
    enum on_expiry on_expiry; /* KEY */
    bool is_minted;         /* KEY: the username is of wire/minted.h, and signed: what it says counts */
    uint8_t key_count;
    struct long_term_key keys[VERDICT_KEYS_MAX]; /* tried in order: rotation */
    struct limits limits;
    struct labels labels; /* ALLOW, of authorize */
    struct metering metering;   /* likewise */
    struct alternate alternate; /* REDIRECT */
    uint64_t decision;          /* CLOSE: of the question; 0: it was no question's */
    char reason[REASON_MAX];
    char by[REASON_MAX]; /* who decided: "quota.lua:12", or "core" */
    char tenant[NAME_MAX_LEN + 1], user[NAME_MAX_LEN + 1], realm[REALM_MAX_LEN + 1]; /* KEY: user "" is the username as sent */
};

/* verdict_take_token: what a client may sign with that shows a token with this mac_key (20 or 32 bytes): the key, as RFC 7635 has it, or of 20
 * bytes the first 16, as every version of coturn does, its clients too. */
void verdict_take_token(struct verdict *, struct view mac_key);

struct request;

/* verdict_take_minted: ALLOW, of a request whose credential was minted: what its name says is what the allocation is called, and limits, which tighten those that are
 * there; tags of the verdict stand before those of the same names. Of any other request nothing. False: the tags do not fit together. */
bool verdict_take_minted(struct verdict *, const struct request *);

/* struct usage: 64-bit, never wraps in practice. "in": received from the client; "out": sent to the client. Payload bytes, without TURN framing. */
struct usage {
    uint64_t bytes_in, bytes_out, packets_in, packets_out;
};

/* struct ticket: names a parked request; stale tickets are recognised. */
struct ticket {
    struct handle parked;
};

/* struct request: one request as the policy sees it; borrowed, dead when the call returns. */
struct request {
    uint64_t id; /* decision id */
    const struct flow *flow;
    const struct message *message;
    struct view username;            /* as sent, or what USERHASH stands for; empty before authentication is tried, and while nobody knows the hash */
    struct view userhash;            /* 32 bytes, or empty */
    const char *tenant, *realm, *user; /* tenant "" and user "" until they are known */
    uint8_t family, protocol;        /* requested: 4 or 6; 17 = UDP */
    uint32_t lifetime_s;             /* requested, 0 if absent */
    bool even_port, has_reservation;
    bool wants_sha256; /* the client signs with a SHA-256 key; keys of the other kind are not tried */
    bool is_minted;    /* from authorize on: `username` is a minted credential's, and signed */
    struct view access_token; /* ACCESS-TOKEN, whose key is wanted then; {NULL, 0}: none */
    const char *server_name;  /* that tokens are bound to */
};

/* struct bearer: who shows a credential that is good: what a revocation goes by. Borrowed. */
struct bearer {
    const char *tenant, *user; /* tenant: or the realm, where there is none */
    const char *tags;          /* as struct labels has them */
    struct view username;      /* as sent */
    bool is_minted;            /* it is of wire/minted.h, and signed */
    int64_t expires_unix_s;    /* of the credential; 0: never */
};

struct allocation;

/* struct question: what is asked; the fields that a hook has are in POLICY: others are NULL or 0. */
struct question {
    enum hook hook;
    uint64_t decision; /* as in the event that tells of it */
    msec_t now;
    int64_t unix_ms;
    struct ticket ticket;
    const struct request *request;       /* all but usage */
    const struct allocation *allocation; /* permission, channel, refresh, usage */
    const struct addr *peer;             /* permission, channel */
    uint16_t channel;
    uint16_t method;            /* permission: CREATE_PERMISSION, CHANNEL_BIND or CONNECT */
    const struct usage *delta;  /* usage */
    bool closing;               /* usage: the last one */
};

enum event_type { EVENT_ALLOCATED, EVENT_DENIED, EVENT_REFRESHED, EVENT_PERMISSION, EVENT_CLOSED, EVENT_AUTH_FAILED, EVENT_POLICY_ERROR };

const char *event_name(enum event_type); /* "allocated", ... as the log hook shows it */

/* struct event: told after the reply is made; borrowed. */
struct event {
    enum event_type type;
    uint64_t decision;
    int code;
    uint16_t method;
    enum hook hook;            /* that decided; HOOK_COUNT: none */
    bool is_proven;            /* the client's address is its own: it showed a nonce, or has a connection */
    struct gauge measure;
    const char *reason, *by; /* never NULL */
    const struct flow *flow;
    const char *tenant, *realm, *user; /* never NULL */
    struct view username;              /* as sent, unverified */
    const struct addr *peer;           /* permission, or NULL */
    const struct allocation *allocation; /* or NULL */
    struct usage delta;                /* closed: what was not yet reported */
    msec_t now;
    int64_t unix_ms;
};

#endif
