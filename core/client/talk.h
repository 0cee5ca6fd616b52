/* talk.h: a client's side of a conversation with a TURN server, over one connection: requests with their answers, and data.
 *
 * A request is sent again over datagrams as RFC 8489 section 6.2.1 has it, answers a challenge (401, 438) by itself, once, and waits for its
 * answer; data that come meanwhile are passed over.
 */
#ifndef RELAY_CLIENT_TALK_H
#define RELAY_CLIENT_TALK_H

#include "net/dial.h"
#include "wire/build.h"
#include "wire/integrity.h"
#include "wire/message.h"

#define TALK_TEXT_MAX 768
#define TALK_REQUEST_MAX 2048
#define TALK_CHANNEL 0x4000
#define TALK_DATA_MAX 1500

struct talk {
    struct dial *dial;
    struct crypto *crypto;
    const char *user, *password; /* NULL: none */
    msec_t patience_ms;          /* for an answer */

    size_t realm_len, nonce_len;
    uint8_t realm[TALK_TEXT_MAX], nonce[TALK_TEXT_MAX];
    uint8_t key[INTEGRITY_KEY_LEN];
    bool is_challenged;

    struct build build; /* the request that is made */
    uint8_t request[TALK_REQUEST_MAX];
    uint8_t tid[STUN_TID_LEN];
    struct message answer; /* the last one; of `answered` */
    uint8_t answered[TALK_REQUEST_MAX];
    int code;              /* of it; 0: success */
    bool asked_for_password; /* the last 401 came to a request that was not signed */
    uint32_t took_us;      /* from the request, sent for the last time, to its answer */
};

/* talk_ask: a request of `method`, whose attributes `put` adds (NULL: none), each time that it is made. 0: there is an answer, of t->code; ERR_NOT_FOUND: none
 * came in time; ERR_SYSTEM: the connection broke. */
typedef void talk_put_fn(struct build *, const void *ctx);
int talk_ask(struct talk *, uint16_t method, talk_put_fn *put, const void *ctx);

/* talk_reason: the phrase that came with an error.  talk_realm: of the challenge. Both fit for a terminal, cut to `cap`. */
void talk_reason(const struct talk *, char *out, size_t cap);
void talk_realm(const struct talk *, char *out, size_t cap);

/* talk_put_data: over TALK_CHANNEL, which is bound; `len` at most TALK_DATA_MAX.  talk_data: what came over it: 0, or as dial_receive; other frames are
 * passed over. */
int talk_put_data(struct talk *, struct view data);
int talk_data(struct talk *, msec_t timeout_ms, struct view *data);

#endif
