/* http.h: an HTTP client on a loop: exchanges side by side, connections kept open, nothing that is not on its list.
 *
 * HTTP and HTTPS, whose certificates are checked against the system's authorities. No redirect is followed, no proxy of the environment
 * used, no cookie kept. An answer has at most HTTP_BODY_MAX and HTTP_HEADERS_MAX bytes; all that have not ended HTTP_ALL_MAX.
 *
 * The list is of hosts and of URLs. HOST is that host on the port of the scheme, HOST:PORT on that one, over either scheme;
 * http://HOST[:PORT]/PATH is that URL and what is below it. The only room that knows libcurl.
 */
#ifndef RELAY_NET_HTTP_H
#define RELAY_NET_HTTP_H

#include "base/http.h"
#include "net/loop.h"

#define HTTP_ALL_MAX ((size_t)64 << 20)
#define HTTP_EXCHANGES_MAX 16384

struct http;
struct http_exchange;

/* http_judge: 0, ERR_BAD: no such URL; ERR_DENIED: it is not on the list. */
int http_judge(const char *const *rules, size_t rule_count, const char *url);

/* http_rule_check: NULL if `rule` may be on the list, else what is wrong. */
const char *http_rule_check(const char *rule);

/* http_new: `rules` outlive it. NULL without memory.  http_free: what has not ended is given up; no `done` is called. */
struct http *http_new(struct loop *, const char *const *rules, size_t rule_count);
void http_free(struct http *);

/* http_let_public: what no rule has may be asked too, over HTTPS at public addresses: a name that leads to another is answered "private". 0 or
 * ERR_MEMORY.  http_check: what http_start would say of the URL. */
int http_let_public(struct http *);
int http_check(const struct http *, const char *url);

/* struct http_ending: whom to tell, once, never from within http_start. */
struct http_ending {
    void (*done)(void *owner, const struct http_response *);
    void *owner;
};

/* http_start: 0 and *out, which is gone when `done` is called; ERR_BAD: no such URL; ERR_DENIED: it is not on the list; ERR_BUSY: too many;
 * ERR_MEMORY.  http_cancel: `done` is not called. */
int http_start(struct http *, const struct http_request *, const struct http_ending *, struct http_exchange **out);
void http_cancel(struct http_exchange *);

#endif
