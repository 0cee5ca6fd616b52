/* refusal.c: why the start ends. */
#include "server/refusal.h"

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int refuse(struct refusal *refusal, const struct config *config, const char *option, const char *format, ...)
{
    const char *where = config_where(config, option);
    va_list args;
    const int len = snprintf(refusal->text, sizeof refusal->text, "%s: %s: ", where ? where : "default", option);
    if (len < 0 || (size_t)len >= sizeof refusal->text)
        return ERR_SYSTEM;
    va_start(args, format);
    vsnprintf(refusal->text + len, sizeof refusal->text - (size_t)len, format, args);
    va_end(args);
    return ERR_SYSTEM;
}

int refuse_at(struct refusal *refusal, const char *where, const char *option, const char *reason)
{
    snprintf(refusal->text, sizeof refusal->text, "%s: %s: %.*s", where, option, REFUSAL_MAX / 2, reason);
    return ERR_SYSTEM;
}

static const char *port_option(const struct config *config, uint16_t port)
{
    if (port == config->tcp_proxy_port)
        return "tcp-proxy-port";
    if (port == config->tls_listening_port)
        return "tls-listening-port";
    if (config->rfc5780 && port == config->alt_listening_port)
        return "alt-listening-port";
    return config->rfc5780 && port == config->alt_tls_listening_port ? "alt-tls-listening-port" : "listening-port";
}

int refuse_listener(struct refusal *refusal, const struct config *config, const struct addr *local, const char *kind)
{
    char text[ADDR_TEXT_MAX];
    return refuse(refusal, config, errno == EADDRNOTAVAIL ? "listening-ip" : port_option(config, local->port), "cannot listen on %s (%s): %s", addr_format(local, text), kind,
                  strerror(errno));
}
