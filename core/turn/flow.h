/* flow.h: where a client's bytes come from and how to answer: the 5-tuple, and what its handshake told.
 *
 * The first three fields are the 5-tuple and the identity of an allocation. The way back is `listener` for datagrams, and for streams `link`,
 * a name that the worker gave the connection, opaque here. The strings borrow from the connection, are "" when there is none, and live as
 * long as it does.
 */
#ifndef RELAY_TURN_FLOW_H
#define RELAY_TURN_FLOW_H

#include "base/addr.h"

#include <string.h>

enum transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_DTLS, TRANSPORT_COUNT };

struct flow {
    struct addr client, server;
    uint8_t transport; /* enum transport */
    uint8_t mark;      /* of what was received: DSCP and ECN of the IP header; of a connection its DSCP */
    uint16_t listener; /* index of the listener in the configuration */
    uint64_t link;
    const char *sni, *alpn;
};

/* FLOW_KEY_LEN: the 5-tuple is the first bytes of a flow, without padding: what flows are hashed and compared by. */
#define FLOW_KEY_LEN (2 * ADDR_KEY_LEN + 1)

/* flow_equal: the same 5-tuple. */
static inline bool flow_equal(const struct flow *a, const struct flow *b)
{
    return memcmp(a, b, FLOW_KEY_LEN) == 0;
}

/* flow_is_stream: TCP and TLS: frames follow each other, ChannelData is padded. */
bool flow_is_stream(const struct flow *flow);

/* transport_name: "udp", "tcp", "tls", "dtls". */
const char *transport_name(uint8_t transport);

#endif
