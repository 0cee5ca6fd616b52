/* probe_url.c: URLs of STUN and TURN servers. */
#include "client/probe.h"

#include "base/err.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define PORT_PLAIN 3478
#define PORT_SECURE 5349

static const struct scheme {
    const char *name;
    bool is_stun, is_secure;
} schemes[] = {{"stun:", true, false}, {"stuns:", true, true}, {"turn:", false, false}, {"turns:", false, true}};

static const struct scheme *scheme_of(const char *text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(text, schemes[i].name, strlen(schemes[i].name)) == 0)
            return &schemes[i];
    return NULL;
}

bool probe_is_url(const char *text)
{
    return scheme_of(text) != NULL;
}

/* host_of: a name, an address, or an IPv6 address in brackets: how much of the text it is; 0: it is none. */
static size_t host_of(const char *text, struct probe_url *out)
{
    const bool has_brackets = *text == '[';
    const size_t len = has_brackets ? strcspn(text, "]") : strcspn(text, ":?");
    const struct view host = has_brackets ? view_of(text + 1, len - 1) : view_of(text, len);
    struct addr address;
    if (host.len == 0 || host.len >= sizeof out->host || (has_brackets && text[len] != ']'))
        return 0;
    view_copy(host, out->host, sizeof out->host);
    if (has_brackets ? addr_parse_ip(host, &address) != 0 : !addr_is_domain(host) && addr_parse_ip(host, &address) != 0)
        return 0;
    return has_brackets ? len + 1 : len;
}

static bool transport_of(const char *query, bool is_secure, enum dial_transport *out)
{
    if (!*query)
        *out = is_secure ? DIAL_TLS : DIAL_UDP;
    else if (strcmp(query, "?transport=udp") == 0)
        *out = is_secure ? DIAL_DTLS : DIAL_UDP;
    else if (strcmp(query, "?transport=tcp") == 0)
        *out = is_secure ? DIAL_TLS : DIAL_TCP;
    else
        return false;
    return true;
}

int probe_parse(const char *text, struct probe_url *out)
{
    const struct scheme *scheme = scheme_of(text);
    *out = (struct probe_url){.text = text};
    if (!scheme)
        return ERR_BAD;
    const char *at = text + strlen(scheme->name);
    const size_t host_len = host_of(at, out);
    if (!host_len)
        return ERR_BAD;
    at += host_len;
    out->is_stun = scheme->is_stun;
    out->port = scheme->is_secure ? PORT_SECURE : PORT_PLAIN;
    if (*at == ':') {
        const size_t len = strcspn(++at, "?");
        if (addr_parse_port(view_of(at, len), &out->port) != 0 || !out->port)
            return ERR_BAD;
        at += len;
    }
    return transport_of(at, scheme->is_secure, &out->transport) ? 0 : ERR_BAD;
}

int probe_resolve(const struct probe_url *url, struct addr *out, const char **why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    const int err = getaddrinfo(url->host, NULL, &hints, &found);
    *why = err ? gai_strerror(err) : "it has no address";
    if (err || !found)
        return ERR_NOT_FOUND;
    struct sockaddr_storage at = {0};
    memcpy(&at, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    *out = addr_from_sockaddr(&at);
    out->port = url->port;
    return 0;
}
