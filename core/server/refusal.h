/* refusal.h: why the start ends, as one line: `where: option: reason`.
 */
#ifndef RELAY_SERVER_REFUSAL_H
#define RELAY_SERVER_REFUSAL_H

#include "server/config.h"

#define REFUSAL_MAX 512

struct refusal {
    char text[REFUSAL_MAX];
};

/* refuse: fills the line: where the value of `option` was said ("default" if nowhere), and the reason. Returns ERR_SYSTEM, for the caller to return. */
int refuse(struct refusal *, const struct config *, const char *option, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* refuse_at: the same for one of the values of an option that has several. */
int refuse_at(struct refusal *, const char *where, const char *option, const char *reason);

/* refuse_listener: the same for an address that cannot be listened on; errno says why. */
int refuse_listener(struct refusal *, const struct config *, const struct addr *local, const char *kind);

#endif
