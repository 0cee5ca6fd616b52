/* scene.h: a question for a hook, made up: a client of documentation's addresses, and what JSON (said.h) says otherwise; for relay eval,
 * bench-policy and replay.
 */
#ifndef RELAY_POLICY_SCENE_H
#define RELAY_POLICY_SCENE_H

#include "turn/allocation.h"

struct json_t; /* jansson's */

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
    struct json_t *json; /* of scene_open_text: texts are there */
};

/* struct scene_plan: for which hook, and when: by the monotonic clock, and by the wall's unless JSON says another `now`.  bare: what is not
 * said is not known; else it is that of ann. */
struct scene_plan {
    enum hook hook;
    msec_t now;
    int64_t unix_ms;
    bool bare;
};

/* scene_open: with an object, which lives as long (NULL: nothing is said): 0; ERR_BAD with a reason in `error`; or ERR_NOT_FOUND: nobody is
 * asked that hook (init, save, shutdown).  scene_open_text: of JSON as text.  scene_close whatever the result. */
int scene_open(struct scene *, const struct scene_plan *, struct json_t *, char *error, size_t error_cap);
int scene_open_text(struct scene *, const struct scene_plan *, const char *text, char *error, size_t error_cap);
void scene_close(struct scene *);

#endif
