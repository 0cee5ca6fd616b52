/* ask.h: one question to an admin door, as the commands ask it; waits for the answer. */
#ifndef RELAY_ADMIN_ASK_H
#define RELAY_ADMIN_ASK_H

#include "base/bytes.h"

#include <jansson.h>
#include <stddef.h>

#define ASK_TIMEOUT_S 60
#define ASK_ANSWER_MAX ((size_t)16 << 20)

#define ASK_PATH_MAX 4096

/* ask_put: a parameter to a path that is being written, encoded; NULL: nothing.  ask_put_part: a segment of it, encoded. */
void ask_put(struct slab *path, const char *name, const char *value);
void ask_put_part(struct slab *path, const char *part);

/* ask_door: `method` of `path` at the socket. 0: *status, and *body, an object that the caller lets go. Else negative, with the reason in
 * `error`: nobody listens, it may not be opened, no answer came, or one that is no JSON.  ask_door_text: the same, with whatever it said,
 * from malloc, NUL at the end. */
/* ask_door_with: with a body of JSON, unless it is NULL. */
int ask_door_with(const char *socket, const char *method, const char *path, const char *body, long *status, json_t **answer, char *error, size_t error_cap);
int ask_door(const char *socket, const char *method, const char *path, long *status, json_t **body, char *error, size_t error_cap);
int ask_door_text(const char *socket, const char *method, const char *path, long *status, char **text, char *error, size_t error_cap);

/* ask_follow: GET of what has no end, with one more header, "Name: value", unless it is NULL: `each` is given the bytes of an answer of 200
 * as they come, until it says false, the door ends it, or nothing at all came for ASK_SILENCE_S. As ask_door_text otherwise: *text is what
 * another status came with. */
#define ASK_SILENCE_S 40
typedef bool ask_follow_fn(void *ctx, const char *bytes, size_t len);
struct ask_follow {
    const char *path, *header;
    ask_follow_fn *each;
    void *ctx;
};
int ask_follow(const char *socket, const struct ask_follow *, long *status, char **text, char *error, size_t error_cap);

#endif
