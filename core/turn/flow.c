/* flow.c: names and kinds of transports. */
#include "turn/flow.h"

bool flow_is_stream(const struct flow *flow)
{
    return flow->transport == TRANSPORT_TCP || flow->transport == TRANSPORT_TLS;
}

const char *transport_name(uint8_t transport)
{
    static const char *const names[] = {
        [TRANSPORT_UDP] = "udp",
        [TRANSPORT_TCP] = "tcp",
        [TRANSPORT_TLS] = "tls",
        [TRANSPORT_DTLS] = "dtls",
    };
    return transport < sizeof names / sizeof *names ? names[transport] : "unknown";
}
