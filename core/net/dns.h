/* dns.h: a DNS client on a loop: lookups side by side, what was answered is kept for as long as its TTL says. The only room that knows c-ares.
 *
 * Names are whole: no search domain is put behind them, and no file of hosts is read. An answer is kept for at most DNS_KEEP_MAX_S, that there
 * is none for DNS_KEEP_NONE_S, a failure not at all; DNS_KEPT answers are. Over UDP, and over TCP what does not fit.
 */
#ifndef RELAY_NET_DNS_H
#define RELAY_NET_DNS_H

#include "base/addr.h"
#include "base/dns.h"
#include "net/loop.h"

#define DNS_LOOKUPS_MAX 256 /* under way at a time */
#define DNS_KEPT 1024
#define DNS_KEEP_MAX_S 300
#define DNS_KEEP_NONE_S 5

struct dns;
struct dns_lookup;

/* dns_new: asks `servers`, or if there are none those of /etc/resolv.conf, which is read now. NULL without memory.  dns_free: what has not ended is
 * given up; no `done` is called. */
struct dns *dns_new(struct loop *, const struct addr *servers, size_t server_count);
void dns_free(struct dns *);

/* dns_recall: the answer that is known already, until the next call; NULL: it has to be asked for. */
const struct dns_answer *dns_recall(struct dns *, const struct dns_question *);

/* struct dns_ending: whom to tell, once, never from within dns_start. */
struct dns_ending {
    void (*done)(void *owner, const struct dns_answer *);
    void *owner;
};

/* dns_start: 0 and *out, which is gone when `done` is called; ERR_BAD: it is no name; ERR_BUSY: too many; ERR_MEMORY.  dns_cancel: `done` is not called;
 * what the servers still answer is kept all the same. */
int dns_start(struct dns *, const struct dns_question *, const struct dns_ending *, struct dns_lookup **out);
void dns_cancel(struct dns_lookup *);

#endif
