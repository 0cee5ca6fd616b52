/* config.h: the configuration as final typed values: what the file and the command line said, checked as a whole.
 *
 * config_load reads the file named by -c (no other place is looked in), then the command line, which wins: a later value of a single option replaces the
 * earlier one, repeatable options add up. Every error is collected, not the first one alone. Names are never resolved. All strings and arrays belong to the
 * config and live until config_close; it is constant after config_load and may be read by every thread. The options themselves are the rows of
 * server/option.h.
 */
#ifndef RELAY_SERVER_CONFIG_H
#define RELAY_SERVER_CONFIG_H

#include "policy/policy.h"
#include "turn/engine.h"

#include <stdio.h>

#define CONFIG_OPTIONS_MAX 160 /* room for the rows of server/option.h */

/* enum config_action: what the command line asks for; the others print something and end. */
enum config_action { CONFIG_RUN, CONFIG_CHECK, CONFIG_EXAMPLE, CONFIG_HELP, CONFIG_VERSION, CONFIG_MANUAL };

/* struct config_user: user=name:password or user=name:0xKEY. */
struct config_user {
    const char *name;
    const char *password; /* NULL when has_key */
    bool has_key;
    uint8_t key[16]; /* MD5(name:realm:password) */
};

/* struct config_external: external-ip=public[/private]. */
struct config_external {
    struct addr shown, local; /* local: family ADDR_NONE when it was not said */
    const char *where;
    bool is_used; /* some address is shown as it */
};

/* struct config_pool: relay-pool=name=address: one of the relay addresses. */
struct config_pool {
    const char *name, *where;
    struct addr address;
};

/* struct config_file: a file, and where it was named. */
struct config_file {
    const char *path, *where;
};

/* struct config_door: a place of the admin door, and where it was named. */
struct config_door {
    const char *path; /* of a unix socket; NULL: `at` */
    struct addr at;
    const char *where, *option;
};

/* enum config_steering: whether relay ports are to do without a socket each; in the order of the option's words. */
enum config_steering { CONFIG_STEER_AUTO, CONFIG_STEER_ON, CONFIG_STEER_OFF };

/* struct config: zero and "not said" mean the same only where the comment says so. */
struct config {
    enum config_action action;

    /* listeners */
    struct addr *listening_ips; /* as said; 0.0.0.0 and :: when nothing was */
    size_t listening_ip_count;
    bool listens_everywhere;   /* listening-ip was not said: a family that the system lacks may be left out */
    struct addr *listeners;    /* what to listen on: each listening address with listening_port and, with TLS or DTLS, tls_listening_port; with rfc5780 also with their alternates */
    size_t listener_count;     /* every listener speaks every protocol that is on */
    uint16_t listening_port, tls_listening_port;
    uint16_t alt_listening_port, alt_tls_listening_port;
    uint16_t tcp_proxy_port;   /* 0: none; among the listeners, for streams alone */
    struct cidr_set proxies;   /* sealed; who begins with a PROXY header: on tcp_proxy_port, or on every port when there is none */
    bool no_udp, no_tcp;       /* plain STUN and TURN over UDP, over TCP */
    bool no_tls, no_dtls;      /* both true without cert and pkey: tls_new is not needed then */
    struct config_file *certs, *pkeys; /* PEM files, readable when they were checked; the n-th key is of the n-th certificate */
    size_t cert_count, pkey_count;     /* the same; 0: there is no TLS and no DTLS */

    /* relayed addresses */
    struct addr *relay_ips; /* as said */
    size_t relay_ip_count;
    struct config_external *externals;
    size_t external_count;
    struct config_pool *pools; /* an item for each address of each */
    size_t pool_count;
    struct relay_address *relays; /* what to relay from; without relay-ip the listening addresses, or those of the interfaces */
    size_t relay_count;
    uint16_t min_port, max_port;
    bool no_udp_relay, no_tcp_relay; /* not both, unless stun_only */
    bool no_local_handover;
    uint8_t steering; /* enum config_steering */
    uint8_t sends_frames; /* 1: past packet filters, where steering is on */

    /* where clients are sent instead: those of udp_ and tcp_ come before `alternates` for plain UDP and TCP; TLS and DTLS have their own */
    struct alternates alternates, udp_alternates, tcp_alternates, tls_alternates;
    struct alternates drain_servers, tls_drain_servers; /* the same while this one drains: UDP and TCP; TLS and DTLS */
    uint32_t drain_deadline_s; /* 0: SIGTERM ends at once */

    /* who may relay */
    bool relaying;        /* there is a way to authenticate, and stun-only was not said */
    bool lt_cred_mech;
    bool stun_only;
    const char *realm;    /* the default realm; "relay" when a policy alone decides; "" when nothing relays */
    struct config_user *users;
    size_t user_count;
    bool use_auth_secret; /* also true when a static-auth-secret is given */
    const char **secrets; /* static-auth-secret, in the order given */
    size_t secret_count;
    const char **mint_secret_files; /* of the master secrets of minted credentials, in the order given */
    size_t mint_secret_file_count;
    const char *public_host; /* in the URLs of minted credentials; NULL: not said */
    uint32_t mint_rate;      /* credentials a second with one key; 0: no limit */
    const char *userdb;   /* SQLite file; NULL: no database */
    uint32_t usage_keep_minutes, usage_keep_hours, usage_keep_days, sessions_keep; /* days; 0: for good */
    bool oauth;
    const char *server_name; /* that access tokens are bound to; NULL: the realm */

    /* limits */
    uint32_t total_quota, user_quota; /* allocations; 0: no limit */
    uint64_t bps_capacity;            /* likewise of all together */
    uint64_t max_bps;                 /* bits a second of one allocation, each direction (max-bps counts bytes); 0: no limit */
    uint64_t max_user_bps;            /* likewise, of all allocations of a user */
    uint32_t max_pps, max_new_peers;  /* of one allocation, a second; 0: no limit */
    uint32_t max_permissions, max_channels; /* of one allocation; never 0 */
    uint32_t source_quota;            /* allocations of one source address; 0: no limit */
    bool unauthorized_ratelimit;      /* strangers of one source get `unauthorized_rps` answers a second over UDP */
    uint32_t unauthorized_rps;
    uint32_t max_failed_logins;       /* of one source, answered in a minute; 0: no limit */
    uint8_t strict_expiry;            /* 1: an allocation ends with its credential */
    uint32_t nonce_lifetime_s;        /* never 0: stale-nonce=0 is CONFIG_NONCE_FOREVER_S */
    uint32_t max_lifetime_s, channel_lifetime_s, permission_lifetime_s;
    struct cidr_set allowed_peers, denied_peers; /* sealed */
    bool allow_loopback_peers;

    /* protocol */
    bool fingerprint;
    bool mobility;
    bool strict_channels;
    uint8_t default_family; /* 0: the listener's; 1: IPv4; 2: IPv6 */
    bool offer_sha256, offer_userhash;
    bool no_dscp; /* what is relayed loses the DSCP and the ECN that it came with */
    bool rfc5780;                  /* not when no-rfc5780 was said */
    const struct origins *rfc5780_origins; /* of each listener, with rfc5780; else NULL */
    bool mapped_address, rfc3489;  /* stun-backward-compatibility, rfc3489-compatibility; not when no-stun-backward-compatibility was said */
    const char *software; /* "" for none */

    /* policies */
    const char **policies; /* files, in order */
    size_t policy_count;
    struct policy_param *params;
    size_t param_count;
    struct policy_secret *policy_secrets;
    size_t policy_secret_count;
    const char *lua_dir; /* never NULL */
    const char **webhook_allow; /* hosts and URLs that webhooks may go to, whatever their address is */
    size_t webhook_allow_count;
    bool no_public_webhooks;
    const char **policy_http; /* hosts and URLs that they may ask */
    size_t policy_http_count;
    struct addr *policy_dns; /* name servers for them; none: the system's */
    size_t policy_dns_count;
    bool policy_watch;
    const char **shadows; /* files, in order */
    size_t shadow_count;
    struct policy_param *shadow_params;
    size_t shadow_param_count;
    const char *decision_log; /* NULL: none */
    uint32_t decision_log_sample;
    const char *decision_log_key; /* NULL: names are written as they are */

    /* the admin door */
    const char *admin_socket; /* its unix socket, by whichever option; NULL: none */
    struct config_door *admin_listens; /* as said */
    size_t admin_listen_count;
    struct config_door *doors; /* all places, the unix socket first; 0: there is no door */
    size_t door_count;
    const char *admin_cert, *admin_pkey; /* NULL: no TLS there */
    uint32_t admin_rate;      /* requests a second of one key; 0: no limit */

    /* process */
    uint32_t workers; /* never 0 */
    const char *log_file; /* as log_new takes it; NULL: standard output */
    bool verbose;
    const char *pidfile, *proc_user, *proc_group; /* NULL: none */
    const char *file;                             /* -c; NULL: none */

    /* private */
    bool no_rfc5780, no_stun_compatibility, origin_only_with_rfc5780;
    uint32_t max_bytes_per_second, capacity_bytes_per_second, max_user_bytes_per_second, stale_nonce_s, relay_threads;
    const char *origins[CONFIG_OPTIONS_MAX]; /* by row of the option: where the value in force was said, NULL: default */
    void *memory;                            /* what config_close gives back */
};

#define CONFIG_NONCE_FOREVER_S 31536000

/* struct config_report: lines without newline, "file:line: option: reason" or "command line: option: reason"; never a secret. */
struct config_report {
    char **errors, **warnings, **notes; /* notes: not wrong, worth a line */
    size_t error_count, warning_count, note_count;
};

/* config_load: 0, or ERR_BAD when the report has errors, ERR_MEMORY. For the actions that only print nothing is read or checked. Both structs are
 * initialised here and must be closed whatever the result. */
int config_load(struct config *, int argc, char **argv, struct config_report *);
void config_close(struct config *);
void config_report_close(struct config_report *);

/* config_where: where the value of `option` (a long name of the table) was said: "relay.conf:12", "command line"; NULL: it is the default. */
const char *config_where(const struct config *, const char *option);

/* config_lua_dir: where lua/relay is if nobody says. */
#define CONFIG_PATH_MAX 4096
void config_lua_dir(char out[CONFIG_PATH_MAX]);

/* config_print: what would run: listeners, relayed addresses, realm, ways to authenticate, policies, limits; no secrets. */
void config_print(const struct config *, FILE *);

#endif
