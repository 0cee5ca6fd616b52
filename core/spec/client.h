/* client.h: a client of a world: one 5-tuple that sends real STUN messages and reads the answers from the wire.
 *
 * Every request is one whole exchange: unsigned first, then signed with what the challenge told.
 */
#ifndef RELAY_SPEC_CLIENT_H
#define RELAY_SPEC_CLIENT_H

#include "spec/world.h"

#include "wire/integrity.h"

#define MESSAGE_MAX 4096
#define PEERS_MAX 64

struct client {
    struct flow flow;
    char sni[256], alpn[64], listener[128];
    int64_t transaction; /* the last one, 0: none */
    int answer;          /* to it, in the registry */
    uint8_t request[MESSAGE_MAX], reply[MESSAGE_MAX];
    size_t request_len, reply_len;
    struct message message; /* of `reply` */
    char realm[256], nonce[256];
    uint8_t key[INTEGRITY_SHA1_LEN]; /* MD5, or what came with a token */
    uint8_t key_len;
    bool has_key;
    struct addr peers[PEERS_MAX]; /* that it was permitted, the last ones */
    size_t peer_count;
};

/* client_of: the client that `client` of the fields at `at` names, made by its first request. Raises. */
struct client *client_of(struct world *, int at);

/* client_request: pushes the answer to a request of `kind` with the fields at `at`. Raises for an answer that no client would take. */
void client_request(struct world *, struct client *, const char *kind, int at);

/* answer.c: fields of the answer, into the table at the top: of the allocation; of the answer's message.  answer_push_refused: pushes the
 * table of a refusal. */
void answer_put_allocation(struct world *, const struct allocation *);
void answer_put_message(lua_State *, const struct message *);
void answer_push_refused(struct world *, const struct client *, int code);

/* traffic.c: payload instead of a request; pushes the answer. */
void client_traffic(struct world *, struct client *, int at);

/* client_allocation: of this 5-tuple, or NULL. */
const struct allocation *client_allocation(const struct world *, const struct client *);

#endif
