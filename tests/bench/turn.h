/* turn.h: a TURN client for the load generator: over UDP or TCP, with long-term credentials.
 *
 * Built on core/wire, so it shares its reading of the protocol with the server; the client of tests/e2e does not. Every failure ends the
 * program with a reason: a load that is not as it was asked for must not be measured.
 */
#ifndef BENCH_TURN_H
#define BENCH_TURN_H

#include "base/addr.h"
#include "base/crypto.h"
#include "wire/integrity.h"
#include "wire/message.h"

#define TURN_PAYLOAD_MAX 1400
#define TURN_CHANNEL 0x4000 /* each client binds this one, to the peer */

struct turn_login {
    struct crypto *crypto;
    const char *user, *password;
};

struct turn {
    const struct turn_login *login;
    int fd;
    bool stream;
    struct addr relayed;
    uint8_t key[INTEGRITY_KEY_LEN], nonce[128], realm[128];
    size_t nonce_len, realm_len;
    size_t start, end; /* of `in`: what came and was not returned yet */
    uint8_t in[16384];
};

void turn_die(const char *what);

/* turn_open: a socket toward the server, and its challenge answered: realm and nonce are known. turn_allocate: learns `relayed`. turn_bind:
 * TURN_CHANNEL to `peer`, and with it a permission. turn_permit: the permission alone. turn_release: a Refresh with a lifetime of 0. They
 * wait for the answer. */
void turn_open(struct turn *, const struct turn_login *, const struct addr *server, bool stream);
void turn_allocate(struct turn *);
void turn_bind(struct turn *, const struct addr *peer);
void turn_permit(struct turn *, const struct addr *peer);
void turn_release(struct turn *);

/* turn_put_*: without waiting for an answer. */
void turn_put_binding(struct turn *);
void turn_put_allocate(struct turn *);
void turn_put_release(struct turn *);
void turn_put_channel(struct turn *, struct view payload);
void turn_put_send(struct turn *, const struct addr *peer, struct view payload);

/* turn_next: one frame that is there, without waiting; false: none. It is valid until the next call. turn_data: what a ChannelData or a
 * Data indication carries, empty for other frames. turn_is_granted: it is a success response to `method`; dies if it is an error response.
 */
bool turn_next(struct turn *, struct view *frame);
struct view turn_data(struct view frame);
bool turn_is_granted(struct view frame, uint16_t method);

#endif
