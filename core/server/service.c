/* service.c: build what all workers share, from the configuration. */
#include "server/service.h"

#include "base/clock.h"
#include "base/err.h"
#include "net/fetcher.h"
#include "net/udp.h"
#include "server/expiry.h"
#include "server/journal.h"
#include "server/own.h"
#include "server/process.h"
#include "server/steering.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUOTA_NAMES 262144
#define TICKETS 8192
#define MAX_PARKED 4096
#define MAX_TCP_PEERS 65536 /* of all workers */
#define MAX_TCP_PEERS_EACH 100

/* Peers of TCP allocations have a quarter of the descriptors; a quarter is left for relayed addresses. */
static uint32_t most_tcp_peers(uint32_t workers)
{
    const uint32_t share = process_descriptors() / 4, most = share < MAX_TCP_PEERS ? share : MAX_TCP_PEERS;
    return most > workers ? most / workers : 1; /* 0 would be no limit */
}

static const uint8_t default_families[] = {ADDR_NONE, ADDR_IPV4, ADDR_IPV6}; /* as the words of the option */

/* As coturn: what is said for a transport goes before what is said for both. */
static void fill_alternates(const struct config *config, struct alternates out[TRANSPORT_COUNT])
{
    out[TRANSPORT_UDP] = config->udp_alternates.count ? config->udp_alternates : config->alternates;
    out[TRANSPORT_TCP] = config->tcp_alternates.count ? config->tcp_alternates : config->alternates;
    out[TRANSPORT_TLS] = out[TRANSPORT_DTLS] = config->tls_alternates;
}

static void fill_siblings(const struct config *config, struct alternates out[TRANSPORT_COUNT])
{
    out[TRANSPORT_UDP] = out[TRANSPORT_TCP] = config->drain_servers;
    out[TRANSPORT_TLS] = out[TRANSPORT_DTLS] = config->tls_drain_servers;
}

static void fill_engine(struct service *service)
{
    const struct config *config = service->config;
    struct engine_config *engine = &service->engine;
    *engine = (struct engine_config){
        .realm = config->realm,
        .software = config->software,
        .fingerprint = config->fingerprint,
        .mobility = config->mobility,
        .strict_channels = config->strict_channels,
        .default_family = default_families[config->default_family],
        .oauth = config->oauth,
        .server_name = config->server_name,
        .offer_sha256 = config->offer_sha256,
        .offer_userhash = config->offer_userhash,
        .classic = config->rfc3489,
        .mapped_address = config->mapped_address || config->rfc5780, /* RFC 5780 section 6.1 */
        .origins = config->rfc5780_origins,
        .relaying = config->relaying,
        .allow_loopback_peers = config->allow_loopback_peers,
        .nonce_lifetime_s = config->nonce_lifetime_s,
        .max_lifetime_s = config->max_lifetime_s,
        .permission_lifetime_s = config->permission_lifetime_s,
        .channel_lifetime_s = config->channel_lifetime_s,
        .total_quota = config->total_quota,
        .user_quota = config->user_quota,
        .source_quota = config->source_quota,
        .strict_expiry = config->strict_expiry,
        .max_permissions = config->max_permissions,
        .max_channels = config->max_channels,
        .max_pps = config->max_pps,
        .max_new_peers = config->max_new_peers,
        .max_user_bps = config->max_user_bps,
        .max_tcp_peers_each = MAX_TCP_PEERS_EACH,
        .max_parked = MAX_PARKED,
        .max_parked_each = MAX_PARKED / 8,
        .max_tcp_peers = most_tcp_peers(config->workers),
        .no_udp_relay = config->no_udp_relay,
        .no_local_handover = config->no_local_handover,
        .park_deadline_ms = POLICY_WAIT_MS,
        .relays = config->relays,
        .relay_count = (uint32_t)config->relay_count,
        .allowed_peers = &config->allowed_peers,
        .denied_peers = &config->denied_peers,
    };
    fill_alternates(config, engine->alternates);
    fill_siblings(config, engine->siblings);
    crypto_random(engine->nonce_key, sizeof engine->nonce_key);
    crypto_random(engine->mobility_key, sizeof engine->mobility_key);
    crypto_random(&engine->hash_key, sizeof engine->hash_key);
    crypto_random(service->cookie_key, sizeof service->cookie_key);
}

static int open_log(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    service->log = log_new(config->log_file, config->verbose ? LOG_DEBUG : LOG_INFO);
    if (!service->log)
        return refuse(refusal, config, "log-file", "cannot open %s: %s", config->log_file, strerror(errno));
    return 0;
}

/* warn: to the log, or to who asked for a check. */
static void warn_of(const struct service *service, const struct config_file *file, const char *reason)
{
    char quote[REFUSAL_MAX];
    if (service->log)
        log_say(service->log, LOG_WARNING, "certificate", "file=%s reason=\"%s\"", log_quote(view_text(file->path), quote, sizeof quote),
                reason);
    else
        fprintf(stderr, "warning: %s: cert: %s %s\n", file->where, file->path, reason);
}

static void warn_of_dates(const struct service *service)
{
    char reason[TLS_TEXT_MAX];
    for (size_t i = 0; service->tls && i < service->config->cert_count; i++)
        if (tls_doubt(service->tls, i, clock_unix_ms() / 1000, reason))
            warn_of(service, &service->config->certs[i], reason);
}

static int open_tls(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    struct tls_fault fault;
    if (!config->cert_count || (config->no_tls && config->no_dtls))
        return 0;
    service->certificates = calloc(config->cert_count, sizeof *service->certificates);
    if (!service->certificates)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->cert_count; i++)
        service->certificates[i] = (struct tls_pair){.cert = config->certs[i].path, .pkey = config->pkeys[i].path};
    service->tls = tls_new(&(struct tls_config){service->certificates, config->cert_count}, &fault);
    if (!service->tls)
        return fault.in_key ? refuse_at(refusal, config->pkeys[fault.pair].where, "pkey", fault.text)
                            : refuse_at(refusal, config->certs[fault.pair].where, "cert", fault.text);
    warn_of_dates(service);
    return 0;
}

/* foresee_reload: without the privileges of the start a file may be out of reach. */
static void foresee_reload(const struct service *service)
{
    const struct config *config = service->config;
    for (size_t i = 0; service->tls && i < config->cert_count; i++) {
        const struct config_file *files[] = {&config->certs[i], &config->pkeys[i]};
        for (size_t k = 0; k < 2; k++)
            if (access(files[k]->path, R_OK) != 0)
                warn_of(service, files[k], "cannot be read again, as proc-user: it is used as it is until the next start");
    }
}

void service_tell_certificates(struct service *service)
{
    expiry_tell(service->news, service->tls, service->certificates, service->config->cert_count);
}

static void reload_certificates(struct service *service)
{
    const size_t count = service->config->cert_count;
    struct tls_fault fault;
    char quote[TLS_TEXT_MAX];
    if (!service->tls)
        return;
    if (tls_load(service->tls, &(struct tls_config){service->certificates, count}, &fault) != 0) {
        service->certificate_loads[1]++;
        log_say(service->log, LOG_ERROR, "certificates_kept", "option=%s reason=%s", fault.in_key ? "pkey" : "cert",
                log_quote(view_text(fault.text), quote, sizeof quote));
        return;
    }
    service->certificate_loads[0]++;
    log_say(service->log, LOG_INFO, "certificates_loaded", "count=%zu", count);
    news_tell(service->news, NEWS_CERTIFICATES_RELOADED, NEWS_OPERATOR, NEWS(NEWS_NUMBER(count)));
    warn_of_dates(service);
    service_tell_certificates(service);
}

void service_renew(struct service *service)
{
    if (service->tls && tls_renew(service->tls) != 0)
        log_say(service->log, LOG_ERROR, "ticket_keys_kept", "reason=\"out of memory\"");
}

static void reload_mint_secrets(struct service *service)
{
    char why[REFUSAL_MAX], quote[REFUSAL_MAX];
    if (!service->mint_secrets)
        return;
    if (mint_secrets_read(service->mint_secrets, why, sizeof why) == 0)
        log_say(service->log, LOG_INFO, "mint_secrets_loaded", "files=%zu", service->config->mint_secret_file_count);
    else
        log_say(service->log, LOG_ERROR, "mint_secrets_kept", "reason=%s", log_quote(view_text(why), quote, sizeof quote));
}

void service_reload(struct service *service)
{
    log_reopen(service->log);
    if (!journal_reopen(service->journal))
        log_say(service->log, LOG_WARNING, "decision_log_kept", "reason=\"%s\"", strerrordesc_np(errno));
    reload_certificates(service);
    reload_mint_secrets(service);
}

/* --check-config looks at a configuration, beside a server that may be running on it: it listens nowhere and writes nothing. */
static bool is_check(const struct config *config)
{
    return config->action == CONFIG_CHECK;
}

static enum stream_door door_of(const struct config *config, const struct addr *local)
{
    if (config->tcp_proxy_port)
        return local->port == config->tcp_proxy_port ? DOOR_PROXIES : DOOR_CLIENTS;
    return config->proxies.count ? DOOR_BOTH : DOOR_CLIENTS;
}

/* A port that another program holds would be shared in silence (SO_REUSEPORT): ask first. */
static int open_listener(struct service *service, const struct addr *local, struct refusal *refusal)
{
    const struct config *config = service->config;
    const bool wants_dtls = service->tls && !config->no_dtls, wants_tls = service->tls && !config->no_tls;
    const enum stream_door door = door_of(config, local);
    struct listener listener = {.local = *local,
                                .udp = door != DOOR_PROXIES && (!config->no_udp || wants_dtls),
                                .stream = !config->no_tcp || wants_tls,
                                .door = door};
    addr_format(local, listener.name);
    const bool udp_taken = listener.udp && !is_check(config) && udp_is_taken(local);
    if (udp_taken && errno == EAFNOSUPPORT && config->listens_everywhere)
        return 0;
    if (udp_taken || (listener.stream && !is_check(config) && stream_is_taken(local)))
        return refuse_listener(refusal, config, local, udp_taken ? "udp" : "tcp");
    if (listener.udp || listener.stream)
        service->listeners[service->listener_count++] = listener;
    return 0;
}

static int open_listeners(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    service->listeners = calloc(config->listener_count + 1, sizeof *service->listeners);
    if (!service->listeners)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->listener_count; i++) {
        const int err = open_listener(service, &config->listeners[i], refusal);
        if (err)
            return err;
    }
    if (service->listener_count == 0)
        return refuse(refusal, config, "no-udp", "nothing to listen for: leave a transport on, or give cert and pkey for TLS");
    if (is_check(config))
        service->listener_count = 0;
    service->own = own_listeners(config, &service->engine.listener_count);
    service->engine.listeners = service->own;
    return service->own ? 0 : ERR_MEMORY;
}

static int open_ledger(struct service *service)
{
    const struct config *config = service->config;
    struct engine_shared *ledger = &service->ledger;
    ledger->quota = quota_new(QUOTA_NAMES);
    ledger->tenants = tenants_new(TENANTS_MAX);
    atomic_init(&service->capacity.most, config->bps_capacity);
    ledger->server = &service->capacity;
    ledger->ports = ports_new((uint32_t)config->relay_count, config->min_port, config->max_port);
    ledger->tcp_ports = ports_new((uint32_t)config->relay_count, config->min_port, config->max_port);
    ledger->tickets = ledger->ports ? tickets_new(TICKETS, ledger->ports) : NULL;
    ledger->connections = connections_new(MAX_TCP_PEERS);
    ledger->strangers = strangers_new((struct strangers_limits){config->unauthorized_ratelimit ? config->unauthorized_rps : 0, config->max_failed_logins});
    return ledger->quota && ledger->tenants && ledger->ports && ledger->tcp_ports && ledger->tickets && ledger->connections && ledger->strangers ? 0 : ERR_MEMORY;
}

int service_open(struct service *service, const struct config *config, struct refusal *refusal)
{
    *service = (struct service){.config = config, .started_unix_s = clock_unix_ms() / 1000, .buffers = udp_buffers_try()};
    snprintf(refusal->text, sizeof refusal->text, "relay: out of memory");
    fill_engine(service);
    int err = is_check(config) ? 0 : open_log(service, refusal);
    if (!err && !is_check(config))
        err = journal_open(config, &service->journal, refusal);
    if (!err)
        err = open_tls(service, refusal);
    if (!err)
        err = open_listeners(service, refusal);
    if (!err)
        err = open_ledger(service);
    if (!err)
        err = steering_open(service, refusal);
    if (!err)
        err = mint_secrets_open(config, &service->mint_secrets, refusal);
    if (!err && !is_check(config) && (config->door_count || config->userdb) && !(service->news = news_new()))
        err = ERR_MEMORY;
    return err;
}

static int open_database(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    char reason[REFUSAL_MAX] = "";
    if (!config->userdb)
        return 0;
    const int err = is_check(config) ? store_check(config->userdb, reason, sizeof reason)
                                     : store_open(config->userdb, service->log, &service->store, reason, sizeof reason);
    if (service->store)
        store_keep(service->store, &(struct store_keep){.minutes = config->usage_keep_minutes,
                                                        .hours = config->usage_keep_hours,
                                                        .days = config->usage_keep_days,
                                                        .sessions = config->sessions_keep});
    return err ? refuse(refusal, config, "userdb", "%s", reason) : 0;
}

int service_open_store(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    const int err = open_database(service, refusal);
    if (err)
        return err;
    foresee_reload(service);
    if (config->policy_count == 0)
        return 0;
    service->policy = (struct policy_config){
        .files = config->policies,
        .file_count = config->policy_count,
        .params = config->params,
        .param_count = config->param_count,
        .secrets = config->policy_secrets,
        .secret_count = config->policy_secret_count,
        .lua_dir = config->lua_dir,
        .workers = config->workers,
        .hash_key = service->engine.hash_key,
        .meters = meter_source(service),
        .measures = service->journal != NULL,
    };
    char reason[REFUSAL_MAX];
    if (service->store && inquiries_open(config->userdb, &service->inquiries, reason, sizeof reason) != 0)
        return refuse(refusal, config, "userdb", "%s", reason);
    if (fetcher_open(config->policy_http, config->policy_http_count, &service->fetcher) != 0)
        return refuse(refusal, config, "policy-http", "the thread that asks cannot be started");
    service->edition = policy_edition_new(&service->policy, reason, sizeof reason);
    if (!service->edition)
        return refuse(refusal, config, "policy", "%s", reason);
    service->policy_shared = policy_shared_new(&service->policy);
    return service->policy_shared ? shadow_kit_open(service, refusal) : ERR_MEMORY;
}

void service_close(struct service *service)
{
    shadow_kit_close(&service->shadow);
    policy_edition_free(service->edition);
    policy_shared_free(service->policy_shared);
    inquiries_close(service->inquiries);
    fetcher_close(service->fetcher);
    store_close(service->store);
    strangers_free(service->ledger.strangers);
    connections_free(service->ledger.connections);
    tickets_free(service->ledger.tickets);
    ports_free(service->ledger.tcp_ports);
    ports_free(service->ledger.ports);
    quota_free(service->ledger.quota);
    tenants_free(service->ledger.tenants);
    steer_close(service->steer);
    tls_free(service->tls);
    mint_secrets_free(service->mint_secrets);
    news_free(service->news);
    free(service->certificates);
    free(service->listeners);
    free(service->own);
    crypto_wipe(service->engine.nonce_key, sizeof service->engine.nonce_key);
    crypto_wipe(service->engine.mobility_key, sizeof service->engine.mobility_key);
    journal_close(service->journal);
    log_free(service->log);
}
