/* scene.h: a question for a hook, made up: a client of documentation's addresses, and what JSON says otherwise; for relay eval and
 * bench-policy.
 *
 * {"user": "ann", "src": "198.51.100.7:5000"} are members of the first thing that the hook is shown, as lua/README.md has them. The others
 * have their own name: {"user": "ann", "peer": "203.0.113.5"}, {"tenant": "acme", "req": {"lifetime": 600}}.
 */
#ifndef RELAY_POLICY_SCENE_H
#define RELAY_POLICY_SCENE_H

#include "turn/allocation.h"

#define SCENE_HASH_LEN 32

struct scene {
    struct question question; /* of the hook, or all but hook, now and unix_ms empty for log */
    struct event event;       /* of log */

    /* what they show; may be changed between two questions */
    struct flow flow;
    struct request request;
    struct message message;
    struct allocation allocation;
    struct labels labels; /* its tags */
    struct addr peer;
    struct usage delta;

    /* what JSON said of them */
    const char *origin, *software;
    int64_t now_s, created_s, expires_s, seconds; /* 0: nothing */
    uint16_t method;
    uint8_t hash[SCENE_HASH_LEN], message_bytes[2048];
    void *json; /* texts are there */
};

/* scene_open: for `hook`, at this time (of the monotonic clock, and of the wall's unless JSON says `now`), with `json` (NULL: nothing): 0;
 * ERR_BAD with a reason in `error`; or ERR_NOT_FOUND: nobody is asked that hook (init, save, shutdown). scene_close whatever the result. */
int scene_open(struct scene *, enum hook hook, msec_t now, int64_t unix_ms, const char *json, char *error, size_t error_cap);
void scene_close(struct scene *);

#endif
