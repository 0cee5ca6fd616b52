/* config_check.c: the rules that take more than one option to judge. Each is told where the option was said that makes it a rule. */
#include "server/loader.h"

#include <string.h>
#include <sys/stat.h>

static void check_ports(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->min_port <= config->max_port)
        return;
    const char *name = config_where(config, "max-port") ? "max-port" : "min-port";
    loader_error(loader, config_where(config, name), name, "min-port %u is above max-port %u", config->min_port, config->max_port);
}

static void check_files(struct loader *loader, const char *option, const struct config_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int err = file_unreadable(files[i].path);
        if (err)
            loader_error(loader, files[i].where, option, "%s cannot be read: %s", files[i].path, strerror(err));
    }
}

/* Without a certificate TLS and DTLS are off, which is how coturn starts too; half of one is a mistake. */
static void check_tls(struct loader *loader)
{
    struct config *config = loader->config;
    const size_t pairs = config->cert_count < config->pkey_count ? config->cert_count : config->pkey_count;
    if (config->no_tls && config->no_dtls)
        return;
    if (!config->cert_count && !config->pkey_count) {
        loader_note(loader, NULL, "cert", "there is none, so there is no TLS and no DTLS");
        config->no_tls = config->no_dtls = true;
    } else if (config->cert_count > pairs) {
        loader_error(loader, config->certs[pairs].where, "cert", "needs pkey, its private key");
    } else if (config->pkey_count > pairs) {
        loader_error(loader, config->pkeys[pairs].where, "pkey", "needs cert, its certificate");
    } else {
        check_files(loader, "cert", config->certs, pairs);
        check_files(loader, "pkey", config->pkeys, pairs);
    }
}

/* A port of its own is open to proxies alone; without a word about them only this machine's are trusted. */
static void check_proxies(struct loader *loader)
{
    struct config *config = loader->config;
    const char *where = config_where(config, "tcp-proxy-port"), *from = config_where(config, "proxy-protocol-from");
    struct cidr_range range;
    if (config->no_tcp && config->no_tls && (where || from))
        loader_error(loader, where ? where : from, where ? "tcp-proxy-port" : "proxy-protocol-from", "is of no use without TCP and TLS");
    else if (where && (config->tcp_proxy_port == config->listening_port || config->tcp_proxy_port == config->tls_listening_port))
        loader_error(loader, where, "tcp-proxy-port", "needs a port of its own: nobody comes to it without a PROXY header");
    if (!where || from)
        return;
    loader_warning(loader, where, "tcp-proxy-port", "only proxies on this machine may connect to it: name others with proxy-protocol-from");
    for (size_t i = 0; i < 2; i++)
        if (cidr_parse(view_text(i ? "::1" : "127.0.0.0/8"), &range) != 0 || cidr_add(&config->proxies, &range) != 0)
            loader->out_of_memory = true;
}

static void check_transports(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->no_udp && config->no_tcp && config->no_tls && config->no_dtls)
        loader_error(loader, config_where(config, "no-udp"), "no-udp",
                     "nothing is left to listen for: leave no-udp or no-tcp out, or give cert and pkey");
}

static void check_relays(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->no_udp_relay && config->no_tcp_relay && !config->stun_only)
        loader_error(loader, config_where(config, "no-udp-relay"), "no-udp-relay", "nothing is left to relay: leave no-tcp-relay out, or use stun-only");
}

static void check_relay_ips(struct loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; i < config->relay_ip_count; i++)
        if (addr_is_any(&config->relay_ips[i]))
            loader_error(loader, config_where(config, "relay-ip"), "relay-ip",
                         "an address of all zeroes cannot be relayed from: name the address itself");
}

/* Of external addresses without a private one there can be one of each family. */
static void check_externals(struct loader *loader)
{
    const struct config *config = loader->config;
    for (size_t i = 0; i < config->external_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_external *first = &config->externals[j], *second = &config->externals[i];
            const bool same = first->local.family ? addr_equal_ip(&first->local, &second->local)
                                                  : !second->local.family && first->shown.family == second->shown.family;
            if (same)
                loader_error(loader, second->where, "external-ip",
                             "was said before: several take the form PUBLIC/PRIVATE, one for each private address");
        }
}

static void check_secrets(struct loader *loader)
{
    struct config *config = loader->config;
    config->use_auth_secret |= config->secret_count > 0;
    if (config->use_auth_secret && !config->secret_count && !config->userdb)
        loader_error(loader, config_where(config, "use-auth-secret"), "use-auth-secret",
                     "needs a secret: add static-auth-secret, or userdb with secrets in it");
    if (config->secret_count > VERDICT_KEYS_MAX)
        loader_error(loader, config_where(config, "static-auth-secret"), "static-auth-secret",
                     "%d are tried for a request and %zu are given: retire the oldest", VERDICT_KEYS_MAX, config->secret_count);
}

/* The realm is part of every key, and of the answer that asks for one. A policy may choose its own. */
static void check_realm(struct loader *loader)
{
    const struct config *config = loader->config;
    const struct {
        const char *option;
        bool needs;
    } rules[] = {
        {"user", config->user_count > 0},
        {"static-auth-secret", config->secret_count > 0},
        {"use-auth-secret", config->use_auth_secret},
        {"lt-cred-mech", config->lt_cred_mech},
        {"userdb", config->userdb && !config->policy_count},
    };
    if (config->realm || config->stun_only)
        return;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].needs) {
            loader_error(loader, config_where(config, rules[i].option), rules[i].option,
                         "needs a realm: add realm=NAME, such as realm=example.org");
            return;
        }
}

static void check_oauth(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->oauth && !config->userdb && !config->policy_count)
        loader_error(loader, config_where(config, "oauth"), "oauth",
                     "needs the keys of authorization servers: add userdb and run relay oauth add, or a policy");
    if (!config->oauth && config->server_name)
        loader_note(loader, config_where(config, "server-name"), "server-name", "is of no use without oauth");
}

/* Without a password there is only the MD5 key: clients that take SHA-256 when it is offered would be locked out. */
static void check_sha256(struct loader *loader)
{
    const struct config *config = loader->config;
    bool has_password = config->use_auth_secret || config->mint_secret_file_count || config->policy_count > 0 || config->userdb, has_md5 = false;
    for (size_t i = 0; i < config->user_count; i++) {
        has_password |= !config->users[i].has_key;
        has_md5 |= config->users[i].has_key;
    }
    if (!config->offer_sha256)
        return;
    const char *where = config_where(config, "offer-sha256");
    if (!has_password)
        loader_error(loader, where, "offer-sha256",
                     "nobody has a SHA-256 key: it takes user=NAME:PASSWORD, static-auth-secret, userdb or a policy");
    else if (has_md5)
        loader_warning(loader, where, "offer-sha256",
                       "users whose key is kept as MD5 (NAME:0xKEY) cannot log in with clients that take SHA-256");
}

/* A client that is asked for USERHASH sends no name (RFC 8489 section 9.2.5): it must be possible to find everybody by it. */
static void check_userhash(struct loader *loader)
{
    const struct config *config = loader->config;
    if (config->offer_userhash && (config->use_auth_secret || config->mint_secret_file_count))
        loader_error(loader, config_where(config, "offer-userhash"), "offer-userhash",
                     "a name under a secret is not known before it is sent, so it cannot be found by its hash: remove one of them");
}

static void check_minting(struct loader *loader)
{
    const struct config *config = loader->config;
    struct addr addr;
    if (!config->public_host)
        return;
    const char *where = config_where(config, "public-host");
    if (addr_parse_ip(view_text(config->public_host), &addr) != 0 && !addr_is_domain(view_text(config->public_host)))
        loader_error(loader, where, "public-host", "a name or an address without a port expected");
    else if (!config->mint_secret_file_count)
        loader_note(loader, where, "public-host", "is of no use without mint-secret-file");
}

/* As coturn: a number alone turns nothing on. */
static void check_strangers(struct loader *loader)
{
    const char *where = config_where(loader->config, "unauthorized-ratelimit-rps");
    if (where && !loader->config->unauthorized_ratelimit)
        loader_warning(loader, where, "unauthorized-ratelimit-rps", "is of no use without unauthorized-ratelimit: strangers are answered without a limit");
}

static void check_policy(struct loader *loader)
{
    const struct config *config = loader->config;
    struct stat info;
    if (config->lua_dir && (stat(config->lua_dir, &info) != 0 || !S_ISDIR(info.st_mode)))
        loader_error(loader, config_where(config, "lua-dir"), "lua-dir", "%s is no directory", config->lua_dir);
    if (config->shadow_param_count && !config->shadow_count)
        loader_error(loader, config->shadow_params[0].where, "shadow-set", "is of no use without a shadow: add shadow=FILE");
    if (config->policy_count || config_where(config, "policy"))
        return;
    if (config->shadow_count)
        loader_error(loader, config_where(config, "shadow"), "shadow", "is of no use without a policy: add policy=FILE");
    for (size_t i = 0; i < config->param_count; i++)
        loader_error(loader, config->params[i].where, "set", "%s is of no use without a policy: add policy=FILE", config->params[i].name);
    if (config->policy_secret_count)
        loader_error(loader, config_where(config, "secret"), "secret", "is of no use without a policy: add policy=FILE");
}

void loader_check(struct loader *loader)
{
    check_ports(loader);
    check_tls(loader);
    check_proxies(loader);
    check_transports(loader);
    check_relays(loader);
    check_relay_ips(loader);
    check_externals(loader);
    check_secrets(loader);
    check_realm(loader);
    check_oauth(loader);
    check_sha256(loader);
    check_userhash(loader);
    check_minting(loader);
    loader_check_discovery(loader);
    check_policy(loader);
    check_strangers(loader);
}
