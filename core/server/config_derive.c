/* config_derive.c: what follows from the options: listeners, relayed addresses, workers, and whether anybody may relay. Runs when nothing
 * is wrong. */
#include "server/interfaces.h"
#include "server/loader.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_MAX 256

static void add_listener(struct loader *loader, struct addr addr, uint16_t port)
{
    struct config *config = loader->config;
    struct addr *item;
    addr.port = port;
    for (size_t i = 0; i < config->listener_count; i++)
        if (addr_equal(&config->listeners[i], &addr))
            return;
    if ((item = loader_append(loader, &config->listeners, &config->listener_count, sizeof *item)) != NULL)
        *item = addr;
}

static void derive_listeners(struct loader *loader)
{
    struct config *config = loader->config;
    const bool tls = !config->no_tls || !config->no_dtls;
    if (!config->listening_ip_count) {
        config->listens_everywhere = true;
        config->listening_ips = loader_room(loader, 2 * sizeof *config->listening_ips);
        if (!config->listening_ips)
            return;
        config->listening_ips[config->listening_ip_count++] = addr_v4((const uint8_t[4]){0}, 0);
        config->listening_ips[config->listening_ip_count++] = addr_v6((const uint8_t[16]){0}, 0);
    }
    for (size_t i = 0; i < config->listening_ip_count; i++) {
        add_listener(loader, config->listening_ips[i], config->listening_port);
        if (config->rfc5780)
            add_listener(loader, config->listening_ips[i], config->alt_listening_port);
        if (tls)
            add_listener(loader, config->listening_ips[i], config->tls_listening_port);
        if (tls && config->rfc5780)
            add_listener(loader, config->listening_ips[i], config->alt_tls_listening_port);
        if (config->tcp_proxy_port)
            add_listener(loader, config->listening_ips[i], config->tcp_proxy_port);
    }
}

static void add_relay(struct loader *loader, const struct addr *local)
{
    struct config *config = loader->config;
    struct relay_address *item;
    for (size_t i = 0; i < config->relay_count; i++)
        if (addr_equal(&config->relays[i].local, local))
            return;
    if ((item = loader_append(loader, &config->relays, &config->relay_count, sizeof *item)) != NULL)
        *item = (struct relay_address){.local = *local, .shown = *local};
}

static void add_interfaces(struct loader *loader, enum addr_family family, bool loopback)
{
    struct addr found[INTERFACES_MAX];
    const size_t count = interfaces_addresses(family, loopback, found);
    for (size_t i = 0; i < count; i++)
        add_relay(loader, &found[i]);
}

/* As coturn: the addresses of relay-ip, else those of listening-ip, else those of the interfaces; loopback only when there is nothing else.
 */
static void derive_relays(struct loader *loader)
{
    const struct config *config = loader->config;
    const bool named = config->relay_ip_count > 0;
    const struct addr *from = named ? config->relay_ips : config->listening_ips;
    const size_t count = named ? config->relay_ip_count : config->listening_ip_count;
    for (int loopback = 0; loopback < 2 && !config->relay_count; loopback++)
        for (size_t i = 0; i < count; i++)
            if (addr_is_any(&from[i]))
                add_interfaces(loader, from[i].family, loopback);
            else
                add_relay(loader, &from[i]);
    if (config->relaying && !config->relay_count && !loader->out_of_memory)
        loader_error(loader, NULL, "relay-ip", "no address to relay from was found: name one");
}

/* A pair shows its private address only; a lone public address shows every address of its family that no pair shows. */
static struct config_external *external_of(const struct config *config, const struct addr *local)
{
    struct config_external *lone = NULL;
    for (size_t i = 0; i < config->external_count; i++) {
        struct config_external *external = &config->externals[i];
        if (external->local.family && addr_equal_ip(&external->local, local))
            return external;
        if (!external->local.family && external->shown.family == local->family)
            lone = external;
    }
    return lone;
}

struct addr loader_shown(struct loader *loader, const struct addr *local)
{
    struct config_external *external = external_of(loader->config, local);
    if (!external)
        return *local;
    struct addr shown = external->shown;
    shown.port = local->port;
    external->is_used = true;
    return shown;
}

static void derive_shown(struct loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; i < config->relay_count; i++)
        config->relays[i].shown = loader_shown(loader, &config->relays[i].local);
}

static struct relay_address *relay_at(const struct config *config, const struct addr *local)
{
    for (size_t i = 0; i < config->relay_count; i++)
        if (addr_equal_ip(&config->relays[i].local, local))
            return &config->relays[i];
    return NULL;
}

static void derive_pool(struct loader *loader, const struct config_pool *pool)
{
    char text[ADDR_TEXT_MAX];
    struct relay_address *relay = relay_at(loader->config, &pool->address);
    if (!relay)
        loader_error(loader, pool->where, "relay-pool", "%s is no relay address: name it in relay-ip as well", addr_format_ip(&pool->address, text));
    else if (relay->pool && strcmp(relay->pool, pool->name) != 0)
        loader_error(loader, pool->where, "relay-pool", "%s is in the pool %s: an address is in one", addr_format_ip(&pool->address, text), relay->pool);
    else
        relay->pool = pool->name;
}

static void derive_pools(struct loader *loader)
{
    const struct config *config = loader->config;
    size_t pooled = 0;
    for (size_t i = 0; i < config->pool_count && config->relaying; i++)
        derive_pool(loader, &config->pools[i]);
    for (size_t i = 0; i < config->relay_count; i++)
        pooled += config->relays[i].pool != NULL;
    if (pooled && pooled == config->relay_count)
        loader_note(loader, NULL, "relay-pool", "every relay address is in a pool: allocations to which no policy gives one are refused (508 no_port)");
}

static void warn_unused(struct loader *loader)
{
    const struct config *config = loader->config;
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < config->external_count; i++)
        if (!config->externals[i].is_used)
            loader_warning(loader, config->externals[i].where, "external-ip", "no relay address is behind %s, so it has no effect: see relay-ip",
                           addr_format_ip(&config->externals[i].shown, text));
}

static void derive_relaying(struct loader *loader)
{
    struct config *config = loader->config;
    const bool authenticates = config->user_count || config->secret_count || config->mint_secret_file_count || config->userdb || config->policy_count;
    config->relaying = authenticates && !config->stun_only;
    if (!authenticates && !config->stun_only)
        loader_warning(loader, NULL, "lt-cred-mech",
                       "no authentication is configured, so nothing is relayed: add user, use-auth-secret, mint-secret-file, userdb or policy");
    if (!config->realm)
        config->realm = config->relaying ? "relay" : "";
}

/* Two names of coturn's that are no files. */
static void derive_log(struct loader *loader)
{
    struct config *config = loader->config;
    if (config->log_file && strcmp(config->log_file, "syslog") == 0)
        loader_warning(loader, config_where(config, "log-file"), "log-file",
                       "there is no syslog, the log goes to stdout: let systemd or logger pass it on");
    else if (!config->log_file || strcmp(config->log_file, "-") != 0)
        return;
    config->log_file = "stdout";
}

static void derive_numbers(struct config *config)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    config->workers = config->relay_threads;
    if (!config_where(config, "relay-threads"))
        config->workers = processors < 1 ? 1 : processors > WORKERS_MAX ? WORKERS_MAX : (uint32_t)processors;
    if (!config->workers)
        config->workers = 1;
    config->max_bps = 8 * (uint64_t)config->max_bytes_per_second;
    config->bps_capacity = 8 * (uint64_t)config->capacity_bytes_per_second;
    config->max_user_bps = 8 * (uint64_t)config->max_user_bytes_per_second;
    config->nonce_lifetime_s = config->stale_nonce_s ? config->stale_nonce_s : CONFIG_NONCE_FOREVER_S;
    if (!config->software)
        config->software = "";
    cidr_seal(&config->proxies);
    cidr_seal(&config->allowed_peers);
    cidr_seal(&config->denied_peers);
}

/* In a working copy the program is one directory below the root, beside lua/; elsewhere it is installed. */
void config_lua_dir(char out[CONFIG_PATH_MAX])
{
    char path[CONFIG_PATH_MAX];
    struct stat info;
    snprintf(out, CONFIG_PATH_MAX, "%s", RELAY_DATA_DIR "/lua");
    const ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof "/lua/relay");
    if (len <= 0)
        return;
    path[len] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return;
        *slash = 0;
    }
    const size_t root = strlen(path);
    memcpy(path + root, "/lua/relay", sizeof "/lua/relay");
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        view_copy(view_of(path, root + strlen("/lua")), out, CONFIG_PATH_MAX);
}

static void derive_lua_dir(struct loader *loader)
{
    char path[CONFIG_PATH_MAX];
    if (loader->config->lua_dir)
        return;
    config_lua_dir(path);
    loader->config->lua_dir = loader_keep(loader, view_text(path));
}

void loader_derive(struct loader *loader)
{
    derive_relaying(loader);
    derive_listeners(loader);
    derive_relays(loader);
    derive_shown(loader);
    derive_pools(loader);
    loader_derive_discovery(loader);
    loader_derive_admin(loader);
    warn_unused(loader);
    derive_log(loader);
    derive_numbers(loader->config);
    derive_lua_dir(loader);
}
