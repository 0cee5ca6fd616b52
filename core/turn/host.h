/* host.h: what the engine asks of the world: sockets for relayed addresses, decisions, and an ear for events.
 *
 * core/server fills it for a worker, tests/engine/world.c for a test on a virtual clock.
 */
#ifndef RELAY_TURN_HOST_H
#define RELAY_TURN_HOST_H

#include "turn/verdict.h"

/* struct tcp_host: the sockets of TCP allocations. What becomes of them comes back by the calls of turn/tcp_relay.h. */
struct tcp_host {
    /* listen: on `local`; 0 and *sock, or ERR_BUSY or ERR_SYSTEM as relay_open.  close: connections that came or went there stay. */
    int (*listen)(void *ctx, const struct addr *local, struct handle allocation, int *sock);
    void (*close)(void *ctx, int sock);

    /* connect: from the address of `sock`; 0 and *conn: engine_peer_connected or engine_peer_failed follows with `peer`. ERR_MEMORY without a descriptor or
     * memory, ERR_SYSTEM where the system knows no way to it.  drop: close it with its client's, when what was read is sent; nothing more is told of it. */
    int (*connect)(void *ctx, int sock, const struct addr *to, struct handle peer, int *conn);
    void (*drop)(void *ctx, int conn);

    /* splice: the client's connection `link` is its data connection now: from the next byte on it carries what the other does, both ways. False if it is gone. */
    bool (*splice)(void *ctx, int conn, uint64_t link, struct handle peer);
};

struct host {
    void *ctx;
    uint32_t hooks; /* HOOK_BIT of each hook that somebody answers; others are not asked. `authenticate` must be there, or nobody gets in */

    /* relay_open: bind a UDP socket to `local`; what it receives comes back by engine_from_peer with `owner`. 0 and *sock (>= 0); ERR_BUSY if the port is
     * taken by another program; ERR_SYSTEM. */
    int (*relay_open)(void *ctx, const struct addr *local, struct handle owner, int *sock);
    void (*relay_close)(void *ctx, int sock);

    const struct tcp_host *tcp; /* NULL: nothing is relayed over TCP */

    /* hold: whether the 5-tuple has an allocation from now on. */
    void (*hold)(void *ctx, const struct flow *flow, bool holds);

    /* ask: fills *verdict (zeroed by the engine). VERDICT_LATER keeps question->ticket for engine_resume; only authenticate and authorize may; without a
     * ticket ({0}: no room) it is a refusal. */
    void (*ask)(void *ctx, const struct question *question, struct verdict *verdict);

    /* forget: the request of a ticket does not wait any more: its connection is gone, or there was no memory to keep it. NULL: nobody cares. */
    void (*forget)(void *ctx, struct ticket ticket);
    void (*tell)(void *ctx, const struct event *event);

    /* remark: what is no event, for who asks why: 438, because of a nonce that was once good, or because a hook said so; that packets of an
     * allocation were dropped because of a limit (code 0). NULL: nobody cares. */
    void (*remark)(void *ctx, const struct event *event);

    /* is_revoked: whether whoever this is was shut out, although the credential is good: the request is refused (401). NULL: nobody is. */
    bool (*is_revoked)(void *ctx, const struct bearer *);

    /* unhash: the username of a USERHASH (32 bytes) in `realm`, as a C string: 0, or an error: then a policy may know it. NULL: none is known. */
    int (*unhash)(void *ctx, const char *realm, struct view hash, char name[UNHASHED_MAX_LEN + 1]);
};

#endif
