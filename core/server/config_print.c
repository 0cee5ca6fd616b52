/* config_print.c: what --check-config says would run: everything but secrets. */
#include "server/config.h"

#include <string.h>

static void print_text(FILE *out, const char *label, const char *text)
{
    char quote[256];
    log_quote(view_text(text), quote, sizeof quote);
    quote[strlen(quote) - 1] = 0;
    fprintf(out, "%-16s%s\n", label, quote + 1);
}

static void print_listeners(const struct config *config, FILE *out)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct addr *listener = &config->listeners[i];
        const bool proxied = listener->port == config->tcp_proxy_port;
        fprintf(out, "%-16s%s%s%s%s%s%s\n", "listen", addr_format(listener, text), config->no_udp || proxied ? "" : " udp",
                config->no_tcp ? "" : " tcp", config->no_tls ? "" : " tls", config->no_dtls || proxied ? "" : " dtls",
                proxied ? " behind proxies" : "");
    }
    if (config->proxies.count)
        fprintf(out, "%-16s%zu ranges, with a PROXY header\n", "proxies", config->proxies.count);
}

static void print_doors(const struct config *config, FILE *out)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < config->door_count; i++)
        if (config->doors[i].path)
            print_text(out, "admin", config->doors[i].path);
        else
            fprintf(out, "%-16s%s%s\n", "admin", addr_format(&config->doors[i].at, text), config->admin_cert ? " tls" : "");
}

static void print_certificates(const struct config *config, FILE *out)
{
    for (size_t i = 0; i < config->cert_count && !(config->no_tls && config->no_dtls); i++)
        print_text(out, "certificate", config->certs[i].path);
}

static void print_relays(const struct config *config, FILE *out)
{
    char local[ADDR_TEXT_MAX], shown[ADDR_TEXT_MAX];
    for (size_t i = 0; config->relaying && i < config->relay_count; i++) {
        const struct relay_address *relay = &config->relays[i];
        const bool mapped = !addr_equal_ip(&relay->local, &relay->shown);
        fprintf(out, "%-16s%s ports %u-%u%s%s%s%s%s%s\n", "relay", addr_format_ip(&relay->local, local), config->min_port, config->max_port,
                config->no_udp_relay ? "" : " udp", config->no_tcp_relay ? "" : " tcp",
                mapped ? " shown as " : "", mapped ? addr_format_ip(&relay->shown, shown) : "", relay->pool ? " pool " : "",
                relay->pool ? relay->pool : "");
    }
    if (!config->relaying)
        fprintf(out, "%-16snothing: STUN only\n", "relay");
}

static void print_alternates(FILE *out, const char *label, const struct alternates *list)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++) {
        const char *domain = list->items[i].domain;
        fprintf(out, "%-16s%s clients to %s%s%s\n", "redirect", label, addr_format(&list->items[i].servers[0], text), *domain ? " of " : "",
                domain);
    }
}

static void print_ways_in(const struct config *config, FILE *out)
{
    if (!config->relaying)
        return;
    print_text(out, "realm", config->realm);
    if (config->user_count)
        fprintf(out, "%-16s%zu in the configuration\n", "users", config->user_count);
    if (config->use_auth_secret)
        fprintf(out, "%-16s%zu in the configuration%s\n", "secrets", config->secret_count,
                config->userdb ? ", others in the database" : "");
    for (size_t i = 0; i < config->mint_secret_file_count; i++)
        print_text(out, "minted under", config->mint_secret_files[i]);
    if (config->userdb)
        print_text(out, "database", config->userdb);
    if (config->oauth)
        print_text(out, "tokens for", config->server_name ? config->server_name : config->realm);
    for (size_t i = 0; i < config->policy_count; i++)
        print_text(out, "policy", config->policies[i]);
    for (size_t i = 0; i < config->shadow_count; i++)
        print_text(out, "shadow", config->shadows[i]);
    for (size_t i = 0; i < config->param_count; i++)
        fprintf(out, "%-16s%s=%s (%s)\n", "set", config->params[i].name, config->params[i].value, config->params[i].where);
    for (size_t i = 0; i < config->policy_secret_count; i++)
        fprintf(out, "%-16s%s from %s\n", "secret", config->policy_secrets[i].name, config->policy_secrets[i].path);
}

static void print_limit(FILE *out, const char *label, uint64_t value, const char *unit)
{
    if (value)
        fprintf(out, "%-16s%llu%s\n", label, (unsigned long long)value, unit);
    else
        fprintf(out, "%-16snone\n", label);
}

static void print_limits(const struct config *config, FILE *out)
{
    print_limit(out, "total quota", config->total_quota, " allocations");
    print_limit(out, "user quota", config->user_quota, " allocations");
    print_limit(out, "capacity", config->bps_capacity, " bit/s for all allocations, each direction");
    print_limit(out, "source quota", config->source_quota, " allocations");
    print_limit(out, "strangers", config->unauthorized_ratelimit ? config->unauthorized_rps : 0, " answers a second for a source address, over UDP");
    print_limit(out, "failed logins", config->max_failed_logins, " answered in a minute for a source address");
    print_limit(out, "rate", config->max_bps, " bit/s for an allocation, each direction");
    print_limit(out, "packets", config->max_pps, " a second for an allocation, each direction");
    print_limit(out, "user rate", config->max_user_bps, " bit/s for a user, each direction");
    print_limit(out, "new peers", config->max_new_peers, " a second for an allocation");
    fprintf(out, "%-16sallocation %u s, permission %u s, channel %u s, nonce %u s\n", "lifetimes", config->max_lifetime_s,
            config->permission_lifetime_s, config->channel_lifetime_s, config->nonce_lifetime_s);
    fprintf(out, "%-16srefused: not globally reachable%s; allowed ranges %zu, denied ranges %zu\n", "peers",
            config->allow_loopback_peers ? ", but for loopback" : "", config->allowed_peers.count, config->denied_peers.count);
}

void config_print(const struct config *config, FILE *out)
{
    print_text(out, "file", config->file ? config->file : "none");
    print_listeners(config, out);
    print_certificates(config, out);
    print_relays(config, out);
    print_alternates(out, "udp and tcp", &config->alternates);
    print_alternates(out, "udp", &config->udp_alternates);
    print_alternates(out, "tcp", &config->tcp_alternates);
    print_alternates(out, "tls and dtls", &config->tls_alternates);
    print_alternates(out, "udp and tcp, while it drains", &config->drain_servers);
    print_alternates(out, "tls and dtls, while it drains", &config->tls_drain_servers);
    print_ways_in(config, out);
    print_limits(config, out);
    print_doors(config, out);
    fprintf(out, "%-16s%u\n", "workers", config->workers);
    print_text(out, "log", config->log_file ? config->log_file : "stdout");
}
