/* config_discovery.c: RFC 5780: what it needs of the listening addresses and ports, and which listener answers in place of which. */
#include "server/loader.h"

/* The four ports in pairs: what "change port" leads to; a port for proxies leads nowhere. */
static uint16_t other_port(const struct config *config, uint16_t port)
{
    const uint16_t pairs[][2] = {{config->listening_port, config->alt_listening_port},
                                 {config->tls_listening_port, config->alt_tls_listening_port}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (size_t side = 0; side < 2; side++)
            if (pairs[i][side] == port)
                return pairs[i][!side];
    return port;
}

/* other_ip: the next listening address of the same family, of the last one the first; NULL: there is no other. */
static const struct addr *other_ip(const struct config *config, const struct addr *addr)
{
    const size_t count = config->listening_ip_count;
    size_t at = 0;
    while (at < count && !addr_equal_ip(&config->listening_ips[at], addr))
        at++;
    for (size_t step = 1; step < count; step++) {
        const struct addr *next = &config->listening_ips[(at + step) % count];
        if (next->family == addr->family && !addr_equal_ip(next, addr))
            return next;
    }
    return NULL;
}

static void check_alt_port(struct loader *loader, const char *name, uint16_t beside, uint16_t *port)
{
    const struct config *config = loader->config;
    const char *where = config_where(config, name);
    if (!config->rfc5780 && where)
        loader_warning(loader, where, name, "is listened on with rfc5780 only");
    else if (config->rfc5780 && *port == 0 && beside == UINT16_MAX)
        loader_error(loader, where ? where : config_where(config, "rfc5780"), name, "there is no port after %u: name another", beside);
    else if (config->rfc5780 && *port == 0)
        *port = (uint16_t)(beside + 1);
}

/* A port in two roles would have two others. */
static void check_alt_ports(struct loader *loader)
{
    struct config *config = loader->config;
    check_alt_port(loader, "alt-listening-port", config->listening_port, &config->alt_listening_port);
    check_alt_port(loader, "alt-tls-listening-port", config->tls_listening_port, &config->alt_tls_listening_port);
    const bool tls = !config->no_tls || !config->no_dtls;
    const struct {
        const char *name;
        uint16_t port;
    } ports[] = {{"listening-port", config->listening_port},
                 {"alt-listening-port", config->alt_listening_port},
                 {"tcp-proxy-port", config->tcp_proxy_port},
                 {"tls-listening-port", config->tls_listening_port},
                 {"alt-tls-listening-port", config->alt_tls_listening_port}};
    for (size_t i = 1; config->rfc5780 && i < (tls ? 5 : 3); i++)
        for (size_t j = 0; j < i; j++)
            if (ports[i].port && ports[i].port == ports[j].port)
                loader_error(loader, config_where(config, "rfc5780"), "rfc5780", "%s and %s are both %u", ports[j].name, ports[i].name,
                             ports[i].port);
}

static void check_addresses(struct loader *loader)
{
    const struct config *config = loader->config;
    bool has_pair = false, has_any = config->listening_ip_count == 0;
    for (size_t i = 0; i < config->listening_ip_count; i++) {
        has_any |= addr_is_any(&config->listening_ips[i]);
        has_pair |= other_ip(config, &config->listening_ips[i]) != NULL;
    }
    if (config->rfc5780 && (has_any || !has_pair))
        loader_error(loader, config_where(config, "rfc5780"), "rfc5780",
                     "needs two addresses of a family to answer from: name them with listening-ip, each by itself");
}

void loader_check_discovery(struct loader *loader)
{
    struct config *config = loader->config;
    config->rfc5780 &= !config->no_rfc5780;
    config->mapped_address &= !config->no_stun_compatibility;
    config->rfc3489 &= !config->no_stun_compatibility;
    check_alt_ports(loader);
    check_addresses(loader);
}

static struct origin origin_at(struct loader *loader, struct addr addr, uint16_t port)
{
    const struct config *config = loader->config;
    addr.port = port;
    struct origin origin = {.local = addr, .shown = loader_shown(loader, &addr)};
    while (origin.listener < config->listener_count && !addr_equal(&config->listeners[origin.listener], &addr))
        origin.listener++;
    return origin;
}

/* Clients would take one public address for the other, and every NAT for the friendliest. */
static void check_shown(struct loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; i < config->listening_ip_count; i++) {
        const struct addr *other = other_ip(config, &config->listening_ips[i]);
        const struct addr here = loader_shown(loader, &config->listening_ips[i]), there = other ? loader_shown(loader, other) : (struct addr){0};
        char text[ADDR_TEXT_MAX];
        if (!other || !addr_equal_ip(&here, &there))
            continue;
        loader_error(loader, config_where(config, "external-ip"), "external-ip",
                     "rfc5780 needs two addresses, but two listening-ip are shown as %s: write PUBLIC/PRIVATE for each", addr_format_ip(&here, text));
        return;
    }
}

void loader_derive_discovery(struct loader *loader)
{
    struct config *config = loader->config;
    struct origins *all = config->rfc5780 ? loader_room(loader, config->listener_count * sizeof *all) : NULL;
    for (size_t i = 0; all && i < config->listener_count; i++) {
        const struct addr *at = &config->listeners[i], *other = other_ip(config, at);
        const uint16_t port = other_port(config, at->port);
        all[i].at[ORIGIN_SAME] = origin_at(loader, *at, at->port);
        if (port == at->port)
            continue; /* for proxies: their clients could not come to another address of ours */
        all[i].at[ORIGIN_PORT] = origin_at(loader, *at, port);
        if (other) {
            all[i].at[ORIGIN_IP] = origin_at(loader, *other, at->port);
            all[i].at[ORIGIN_BOTH] = origin_at(loader, *other, port);
        }
    }
    config->rfc5780_origins = all;
    if (all)
        check_shown(loader);
}
