/* probe.h: does a TURN server work, from here, with this credential? One URL, step by step, up to a game's packets through the relay.
 *
 * Two allocations are made, each reached through the other's relayed address, so that every packet passes the relay twice. It works against any TURN
 * server; what the server itself says of a refusal is asked by who has the right to (server/command_probe.c).
 */
#ifndef RELAY_CLIENT_PROBE_H
#define RELAY_CLIENT_PROBE_H

#include "client/talk.h"

/* struct probe_url: of RFC 7064 and 7065: stun:, stuns:, turn:, turns: HOST[:PORT][?transport=udp|tcp]. */
struct probe_url {
    const char *text;
    char host[256];
    uint16_t port;
    enum dial_transport transport;
    bool is_stun; /* Binding alone */
};

/* probe_parse: 0; ERR_BAD: it is none.  probe_is_url: it begins as one. */
int probe_parse(const char *text, struct probe_url *out);
bool probe_is_url(const char *text);

/* probe_resolve: the first address of the host, with the port: 0; or ERR_NOT_FOUND, with why. */
int probe_resolve(const struct probe_url *, struct addr *out, const char **why);

enum probe_state { PROBE_WORKS, PROBE_FAILS, PROBE_DOUBTFUL };

/* struct probe_step: one thing that was tried. */
struct probe_step {
    const char *name; /* "resolve", "connect", "binding", "allocate", "permission", "game", "bulk", "release" */
    enum probe_state state;
    int code;         /* of an error response, 0: none */
    double ms;        /* it took; negative: no matter */
    char what[512];   /* what came of it */
    char advice[512]; /* "" if nothing is to be done */
};

/* struct probe_game: 60 packets of 100 bytes a second, there and back. */
struct probe_game {
    uint32_t sent, came;
    double p50_ms, p95_ms, p99_ms, jitter_ms;
};

#define PROBE_STEPS 8
#define PROBE_REALM_MAX 128

struct probe_report {
    struct probe_step steps[PROBE_STEPS];
    size_t count;
    bool works;
    char server[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX], mapped[ADDR_TEXT_MAX], relayed[ADDR_TEXT_MAX], realm[PROBE_REALM_MAX]; /* "": not known */
    struct probe_game game;
    double mbit_s;
};

struct probe_config {
    struct crypto *crypto;
    const struct probe_url *url;
    const char *user, *password; /* NULL: none */
    unsigned game_s, bulk_s;     /* 0: left out */
    bool trusts_everybody;
    int64_t unix_s;
    void (*told)(void *ctx, const struct probe_step *); /* as they come; NULL: nobody looks */
    void *ctx;
};

void probe_run(const struct probe_config *, struct probe_report *out);

#endif
