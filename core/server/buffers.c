/* buffers.c: the buffers of listening sockets, as they were got. */
#include "server/buffers.h"

#define KIB 1024

/* remedy: "": nothing is missing. */
static const char *remedy(struct udp_buffer_sizes got)
{
    const bool few_in = got.receive < UDP_LISTEN_BUFFER, few_out = got.send < UDP_LISTEN_BUFFER;
    if (few_in && few_out)
        return "raise net.core.rmem_max and net.core.wmem_max, or start with CAP_NET_ADMIN";
    if (few_in)
        return "raise net.core.rmem_max, or start with CAP_NET_ADMIN";
    return few_out ? "raise net.core.wmem_max, or start with CAP_NET_ADMIN" : "";
}

void buffers_print(const struct service *service, FILE *out)
{
    const struct udp_buffer_sizes got = service->buffers;
    fprintf(out, "%-16s%u KiB to receive, %u KiB to send", "socket buffers", got.receive / KIB, got.send / KIB);
    if (remedy(got)[0])
        fprintf(out, "; %d are wanted: %s", UDP_LISTEN_BUFFER / KIB, remedy(got));
    fputc('\n', out);
}

void buffers_log(const struct service *service)
{
    const struct udp_buffer_sizes got = service->buffers;
    char quote[256];
    if (remedy(got)[0])
        log_say(service->log, LOG_WARNING, "socket_buffers", "receive=%u send=%u wanted=%d remedy=%s", got.receive, got.send, UDP_LISTEN_BUFFER,
                log_quote(view_text(remedy(got)), quote, sizeof quote));
    else
        log_say(service->log, LOG_INFO, "socket_buffers", "receive=%u send=%u", got.receive, got.send);
}
