/* service.h: what all workers share: configuration, ledger, shared policy state, log, store, certificates. Built before the workers, closed after them.
 *
 * Constant while workers run, except the ledger's atomics and what store, log, policy_shared and tls guard themselves.
 */
#ifndef RELAY_SERVER_SERVICE_H
#define RELAY_SERVER_SERVICE_H

#include "net/steer.h"
#include "net/stream.h"
#include "net/udp.h"
#include "policy/policy.h"
#include "server/mint_secret.h"
#include "server/news.h"
#include "server/refusal.h"
#include "server/shadow.h"
#include "store/inquiry.h"
#include "store/store.h"
#include "turn/engine.h"

/* struct listener: one listening address; each worker has a socket of each kind for it. */
struct listener {
    struct addr local;
    char name[ADDR_TEXT_MAX]; /* of its address, for metrics */
    bool udp, stream;
    enum stream_door door;
};

struct mint;
struct worker;
struct clerk;
struct events;
struct drain;
struct revoker;

struct service {
    const struct config *config;
    struct engine_config engine;
    struct engine_shared ledger;
    struct rate_pair capacity; /* of the whole server */
    struct policy_config policy;
    struct policy_shared *policy_shared; /* NULL: no policy */
    struct policy_edition *edition;      /* what the workers' first policies are made of; main takes it over when they have been */
    struct shadow_kit shadow;
    struct log *log;
    struct journal *journal; /* NULL: no decision log */
    struct store *store; /* NULL: no database */
    _Atomic msec_t drains_until; /* 0: it does not drain; INT64_MAX: without a deadline; workers look ten times a second */
    struct drain *drain;     /* main's, likewise */
    struct revoker *revoker; /* main's, from when workers start */
    const struct revocations *revoked; /* with which workers begin */
    struct clerk *clerk; /* main's, from when workers start until they have ended; NULL: no database */
    struct fetcher *fetcher;     /* NULL: no policy */
    struct inquiries *inquiries; /* NULL: no database, or no policy that could ask */
    struct mint *mint; /* NULL: nobody can ask for credentials; main's */
    struct mint_secrets *mint_secrets; /* NULL: no minted credentials; guards itself */
    struct steer *steer; /* NULL: relayed addresses have a socket each */
    bool holds_ports;    /* of `steer`: by a socket each, which receives nothing: else the system might give them to other programs */
    struct udp_buffer_sizes buffers; /* that listening sockets get */
    char unsteered[STEER_WHY_MAX]; /* why there is no `steer`, if it was wanted; else "" */
    struct tls *tls;     /* NULL: no certificate; guards its certificates itself */
    struct tls_pair *certificates; /* the files of config->certs and config->pkeys */
    uint64_t certificate_loads[2]; /* read anew: done, refused; main's */
    int64_t started_unix_s;
    uint8_t cookie_key[32];
    struct listener *listeners;
    size_t listener_count;
    struct worker **workers; /* config->workers of them, main's; to post letters to */
    struct news *news;       /* NULL: nobody can ask, and there is no database to tell others of it */
    struct events *events;   /* main's, as long as its loop turns; NULL: nobody can ask */
    struct tenancy *tenancy; /* main's */
    struct webhooks *webhooks; /* main's, as the clerk; NULL: there is no database */
    struct addr *own; /* engine.listeners: every own address and port that listens */
};

/* service_open: logs, certificates, listeners (is one taken by another program?), ledger; with the privileges that the process was started with. 0, or
 * negative with the refusal. */
int service_open(struct service *, const struct config *, struct refusal *);

/* service_open_store: the database and the policies' shared state; after privileges are dropped, so that their files belong to the right user. */
int service_open_store(struct service *, struct refusal *);

/* service_reload: opens the logs anew, after rotation, and reads the certificates anew: what is wrong with one keeps all as they were, and the log says
 * so. Main's. */
void service_reload(struct service *);

/* service_tell_certificates: server/expiry.h; when they were read anew they are told anyway. */
void service_tell_certificates(struct service *);

/* service_renew: what gets old by itself: the keys of session tickets. Every hour; main's. */
void service_renew(struct service *);

/* metering.c.  meter_source: where sums of before are read.  meter_keep: queues the sums that have changed for the database; twice a second, and when the
 * workers have ended; main's. */
struct policy_meters meter_source(struct service *);
void meter_keep(struct service *);

void service_close(struct service *);

#endif
