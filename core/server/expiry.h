/* expiry.h: certificates whose time is over soon, as news: at the start, when they were read anew, and every day. Main's. */
#ifndef RELAY_SERVER_EXPIRY_H
#define RELAY_SERVER_EXPIRY_H

#include "net/tls.h"
#include "server/news.h"

#define EXPIRY_DAYS 14

/* expiry_tell: those of `pairs`, which `tls` has. NULL: there are none. */
void expiry_tell(struct news *, const struct tls *, const struct tls_pair *pairs, size_t count);

#endif
