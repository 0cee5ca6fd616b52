/* strangers.h: what those whom nobody knows may cost, by source address (addr_source): answers a second, wrong logins a minute.
 *
 * A table of fixed size, shared by every worker, without locks: whoever comes from however many addresses takes no memory. Two sources that
 * fall to one place share what it may: a flood from many addresses gets no more by that, and the key is random.
 */
#ifndef RELAY_LEDGER_STRANGERS_H
#define RELAY_LEDGER_STRANGERS_H

#include "base/addr.h"
#include "base/clock.h"

#include <stdbool.h>

/* struct strangers_limits: of one source; 0: none. */
struct strangers_limits {
    uint32_t answers;  /* a second */
    uint32_t failures; /* wrong logins a minute */
};

/* What an answer costs: a Binding answer is hardly larger than its request, and clients behind one NAT ask often. */
#define STRANGERS_ANSWER 10
#define STRANGERS_BINDING 1

enum strangers_login {
    STRANGERS_LOGIN_FEW,   /* it may be answered */
    STRANGERS_LOGIN_FIRST, /* the first too many in a minute */
    STRANGERS_LOGIN_MANY
};

struct strangers;

struct strangers *strangers_new(struct strangers_limits); /* NULL without memory */
void strangers_free(struct strangers *);

/* strangers_answer: whether somebody from there may be answered; takes what it costs, if so. */
bool strangers_answer(struct strangers *, const struct addr *from, unsigned cost, msec_t now);

/* strangers_fail: a login from there was wrong. */
enum strangers_login strangers_fail(struct strangers *, const struct addr *from, msec_t now);

/* strangers_failures: how many wrong logins a minute are answered; 0: all. */
uint32_t strangers_failures(const struct strangers *);

#endif
