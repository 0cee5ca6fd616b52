/* mint_answer.c: see mint_answer.h. */
#include "server/mint_answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOST_MAX 300

/* ---- where the server is ---- */

static const struct way {
    const char *name;
    unsigned bit;
    const char *scheme, *transport;
    bool is_secure;
} ways[] = {
    {"udp", MINT_UDP, "turn", "udp", false},
    {"tcp", MINT_TCP, "turn", "tcp", false},
    {"tls", MINT_TLS, "turns", "tcp", true},
    {"dtls", MINT_DTLS, "turns", "udp", true},
};
#define WAYS (sizeof ways / sizeof *ways)

unsigned mint_transport(const char *name)
{
    for (size_t i = 0; i < WAYS; i++)
        if (strcmp(ways[i].name, name) == 0)
            return ways[i].bit;
    return 0;
}

unsigned mint_transports(const struct config *config)
{
    const bool has_certificate = config->cert_count > 0;
    return (config->no_udp ? 0 : MINT_UDP) | (config->no_tcp ? 0 : MINT_TCP) | (config->no_tls || !has_certificate ? 0 : MINT_TLS) |
           (config->no_dtls || !has_certificate ? 0 : MINT_DTLS);
}

/* address_of: the first that is said: as it is seen from outside, as it is listened on, or that it relays from. */
static const struct addr *address_of(const struct config *config)
{
    if (config->external_count)
        return &config->externals[0].shown;
    for (size_t i = 0; i < config->listening_ip_count; i++)
        if (!addr_is_any(&config->listening_ips[i]))
            return &config->listening_ips[i];
    return config->relay_count ? &config->relays[0].shown : NULL;
}

static const char *host_of_address(const struct addr *addr, char out[HOST_MAX])
{
    char text[ADDR_TEXT_MAX];
    snprintf(out, HOST_MAX, addr->family == ADDR_IPV6 ? "[%s]" : "%s", addr_format_ip(addr, text));
    return out;
}

static const char *host_of(const struct config *config, char out[HOST_MAX])
{
    struct addr said;
    const struct addr *addr = address_of(config);
    if (config->public_host && addr_parse_ip(view_text(config->public_host), &said) == 0)
        addr = &said;
    else if (config->public_host)
        addr = NULL;
    if (addr)
        return host_of_address(addr, out);
    snprintf(out, HOST_MAX, "%s", config->public_host ? config->public_host : "localhost");
    return out;
}

const char *mint_door(const struct config *config, char out[MINT_DOOR_MAX])
{
    char host[HOST_MAX];
    size_t i = 0;
    out[0] = 0;
    while (i < config->door_count && config->doors[i].path)
        i++;
    if (i == config->door_count)
        return out;
    const struct addr *at = &config->doors[i].at;
    snprintf(out, MINT_DOOR_MAX, "%s://%s:%u", config->admin_cert ? "https" : "http",
             addr_is_any(at) ? host_of(config, host) : host_of_address(at, host), at->port);
    return out;
}

/* chosen: what the order names; else UDP and TLS, else what there is. */
static unsigned chosen(const struct config *config, unsigned transports)
{
    const unsigned there = mint_transports(config);
    if (transports)
        return transports & there;
    return there & (MINT_UDP | MINT_TLS) ? there & (MINT_UDP | MINT_TLS) : there;
}

json_t *mint_urls(const struct config *config, unsigned transports)
{
    char host[HOST_MAX];
    json_t *urls = json_array();
    const unsigned bits = chosen(config, transports);
    host_of(config, host);
    for (size_t i = 0; i < WAYS; i++)
        if (bits & ways[i].bit)
            json_array_append_new(urls, json_sprintf("%s:%s:%u?transport=%s", ways[i].scheme, host,
                                                     ways[i].is_secure ? config->tls_listening_port : config->listening_port, ways[i].transport));
    return urls;
}

/* ---- the forms ---- */

static json_t *as_ice(const struct config *config, const struct mint_order *order, const struct mint_credential *credential)
{
    return json_pack("{s:[{s:o, s:s, s:s}], s:s, s:I}", "iceServers", "urls", mint_urls(config, order->transports), "username",
                     credential->username, "credential", credential->password, "credentialId", credential->cid, "expiresAt",
                     (json_int_t)credential->expires_unix_s);
}

static json_t *as_uberti(const struct config *config, const struct mint_order *order, const struct mint_credential *credential)
{
    return json_pack("{s:s, s:s, s:I, s:o}", "username", credential->username, "password", credential->password, "ttl",
                     (json_int_t)order->ttl_s, "uris", mint_urls(config, order->transports));
}

/* date_of: RFC 2822, as Twilio has it. */
static json_t *date_of(int64_t unix_s)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t time = (time_t)unix_s;
    struct tm at = {0};
    gmtime_r(&time, &at);
    return json_sprintf("%s, %02d %s %d %02d:%02d:%02d +0000", days[at.tm_wday], at.tm_mday, months[at.tm_mon], at.tm_year + 1900,
                        at.tm_hour, at.tm_min, at.tm_sec);
}

static json_t *as_twilio(const struct config *config, const struct mint_order *order, const struct mint_credential *credential)
{
    json_t *servers = json_array(), *urls = mint_urls(config, order->transports), *url;
    size_t i;
    json_array_foreach(urls, i, url)
        json_array_append_new(servers, json_pack("{s:O, s:O, s:s, s:s}", "url", url, "urls", url, "username", credential->username,
                                                 "credential", credential->password));
    json_decref(urls);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "account_sid", order->tenant, "username", credential->username, "password",
                     credential->password, "ttl", json_sprintf("%lld", (long long)order->ttl_s), "date_created",
                     date_of(credential->made_unix_s), "date_updated", date_of(credential->made_unix_s), "ice_servers", servers);
}

enum mint_format mint_format(const char *name)
{
    static const char *const names[] = {
#define X(name) #name,
        MINT_FORMATS(X)
#undef X
    };
    enum mint_format format = MINT_FORMAT_ice;
    while (name && format < MINT_FORMAT_COUNT && strcmp(names[format], name) != 0)
        format++;
    return format;
}

json_t *mint_answer(const struct config *config, const struct mint_order *order, const struct mint_credential *credential, enum mint_format format)
{
    static json_t *(*const forms[MINT_FORMAT_COUNT])(const struct config *, const struct mint_order *, const struct mint_credential *) = {
        [MINT_FORMAT_ice] = as_ice, [MINT_FORMAT_uberti] = as_uberti, [MINT_FORMAT_twilio] = as_twilio};
    return forms[format](config, order, credential);
}
