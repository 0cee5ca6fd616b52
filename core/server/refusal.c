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

int refuse_listener(struct refusal *refusal, const struct config *config, const struct addr *local, const char *kind)
{
    const char *port = local->port == config->tcp_proxy_port       ? "tcp-proxy-port"
                       : local->port == config->tls_listening_port ? "tls-listening-port"
                                                                   : "listening-port";
    char text[ADDR_TEXT_MAX];
    return refuse(refusal, config, errno == EADDRNOTAVAIL ? "listening-ip" : port, "cannot listen on %s (%s): %s", addr_format(local, text), kind,
                  strerror(errno));
}
