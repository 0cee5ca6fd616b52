/* enrol.h: what is kept of a user: his keys, made of his password, and his USERHASH; for the command line and the admin door. */
#ifndef RELAY_SERVER_ENROL_H
#define RELAY_SERVER_ENROL_H

#include "base/opaque.h"
#include "store/desk.h"

#define ENROL_PASSWORD_MAX 512

/* enrol: fills keys and USERHASH of a user whose realm and name are prepared (base/opaque.h), from the password, or from `key`, 0x and 32 hex digits: one of them is
 * NULL. 0; ERR_BAD: no password or no such key, `why` says what is wrong with it; ERR_SYSTEM: libcrypto cannot do it (FIPS mode?). */
struct enrolment {
    const char *password, *key;
};
int enrol(struct desk_user *, const struct enrolment *, char why[OPAQUE_WHY_MAX]);

#endif
