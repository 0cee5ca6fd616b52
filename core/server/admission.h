/* admission.h: the admin door's porter: keys are looked up, and what was changed or refused is in the log. Main's. */
#ifndef RELAY_SERVER_ADMISSION_H
#define RELAY_SERVER_ADMISSION_H

#include "server/keyring.h"
#include "server/service.h"

struct admission {
    const struct service *service; /* NULL: nobody is let in by a key yet */
    struct keyring *keys;          /* NULL: there is no database, and there are no keys */
    struct store_reader *reader;   /* NULL: not opened yet */
};

/* admission_open: 0 or ERR_MEMORY. admission_close: after the door. */
int admission_open(struct admission *, const struct service *);
void admission_close(struct admission *);

/* admission_admit, admission_told: what struct door_config asks for. */
void admission_admit(struct admission *, const struct door_request *, const char *token, struct door_pass *out);
void admission_told(const struct admission *, const struct door_request *, unsigned status);

#endif
