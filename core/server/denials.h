/* denials.h: the last refusals of a worker, with limits and values, for relay explain.
 *
 * They lie in memory alone, DENIALS of a server in all, of one source address (of IPv6 a /64) DENIALS_EACH: whoever asks for refusals pushes out his own. Those whose address nobody
 * vouches for have a small share of their own, so that a flood of forged ones pushes out no others; a challenge (the first 401) is no refusal, and costs nothing
 * here. The worker writes, main reads, and a lock that is free but for that moment is between them.
 */
#ifndef RELAY_SERVER_DENIALS_H
#define RELAY_SERVER_DENIALS_H

#include "turn/verdict.h"

#define DENIALS 4096
#define DENIALS_EACH 16

#define DENIAL_USERNAME_MAX 255

/* struct denial: what happened; texts are cut, and a name that is a signed token has lost its signature. Who came with the name of a
 * minted credential is filed under the tenant and the user in it, verified or not. */
struct denial {
    int64_t serial; /* in the order of time */
    uint64_t decision;
    int64_t unix_ms;
    enum event_type type;
    int code;
    uint16_t method;
    uint8_t transport;
    enum hook hook; /* HOOK_COUNT: the core's */
    struct addr client, peer;
    struct gauge measure;
    const char *peer_kind; /* of peer_not_allowed; lives as long as the process */
    char reason[REASON_MAX], by[REASON_MAX];
    char tenant[NAME_MAX_LEN + 1], realm[REALM_MAX_LEN + 1], user[NAME_MAX_LEN + 1], username[DENIAL_USERNAME_MAX + 1];
    char revision[16];
};

struct denials;

/* denials_new: of one of so many workers; NULL without memory. */
struct denials *denials_new(unsigned workers);
void denials_free(struct denials *);

/* denials_put: one more. `peer_kind` and `revision` are no part of the event. */
void denials_put(struct denials *, const struct event *, const char *peer_kind, const char *revision);

/* denials_name: a username to show: cut, and of a compact JWS without its signature; returns `out`. */
char *denials_name(struct view name, char *out, size_t cap);

/* denials_find: copies of those that are wanted, the last one first, at most `cap` of them into `out`: how many. Any thread; `wants` may not come back here. */
typedef bool denials_fn(const void *ctx, const struct denial *);
size_t denials_find(struct denials *, denials_fn *wants, const void *ctx, struct denial *out, size_t cap);

#endif
