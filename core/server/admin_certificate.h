/* admin_certificate.h: the certificate of the admin door: its files are read, judged as those of TURN are, and given to the door. Main's.
 */
#ifndef RELAY_SERVER_ADMIN_CERTIFICATE_H
#define RELAY_SERVER_ADMIN_CERTIFICATE_H

#include "admin/door.h"
#include "base/log.h"
#include "net/tls.h"
#include "server/refusal.h"

struct admin_certificate {
    struct tls_pair pair;
    struct tls *judge; /* NULL: there is no certificate */
    char *chain, *key; /* PEM; NULL: none */
};

/* admin_certificate_open: 0, also if none was said; or negative with the refusal. */
int admin_certificate_open(struct admin_certificate *, const struct config *, struct refusal *);
void admin_certificate_close(struct admin_certificate *);

/* admin_certificate_reload: reads the files anew and gives the door what is in them; what cannot be used keeps the old ones, and the log
 * says so. */
void admin_certificate_reload(struct admin_certificate *, struct door *, struct log *);

/* admin_certificate_foresee: without the privileges of the start its files may be out of reach: then the log says so. */
void admin_certificate_foresee(const struct admin_certificate *, struct log *);

#endif
