/* ask.h: one question to an admin door, as the commands ask it; waits for the answer. */
#ifndef RELAY_ADMIN_ASK_H
#define RELAY_ADMIN_ASK_H

#include <jansson.h>
#include <stddef.h>

#define ASK_TIMEOUT_S 60
#define ASK_ANSWER_MAX ((size_t)16 << 20)

/* ask_door: `method` of `path` at the socket. 0: *status, and *body, an object that the caller lets go. Else negative, with the reason in `error`:
 * nobody listens, it may not be opened, no answer came, or one that is no JSON. */
int ask_door(const char *socket, const char *method, const char *path, long *status, json_t **body, char *error, size_t error_cap);

#endif
