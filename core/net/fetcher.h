/* fetcher.h: an HTTP client (net/http.h) on a thread and a loop of its own, for threads whose loops have packets to relay.
 *
 * Whether a URL may be asked is judged at once; everything else is the thread's, whose priority is low. Who asks is told there, under a
 * lock, and takes what came of it in a thread of his own.
 */
#ifndef RELAY_NET_FETCHER_H
#define RELAY_NET_FETCHER_H

#include "base/http.h"

#include <stdbool.h>
#include <stddef.h>

struct fetcher;
struct fetch;

/* fetcher_open: `rules` (net/http.h) outlive it. 0 and *out, ERR_MEMORY, ERR_SYSTEM.  fetcher_close: after the last fetch was cancelled or
 * told. NULL is fine. */
int fetcher_open(const char *const *rules, size_t rule_count, struct fetcher **out);
void fetcher_close(struct fetcher *);

/* struct fetch_ending: whom to tell, in the fetcher's thread, which must not wait there; may be before fetch_start returns. */
struct fetch_ending {
    void (*done)(void *owner);
    void *owner;
};

/* fetch_start: 0 and *out; ERR_BAD: no such URL; ERR_DENIED: it is not on the list; ERR_BUSY: too many; ERR_MEMORY.  fetch_cancel: true: it is gone, and
 * `done` is not called; false: `done` was called, it is still the caller's. */
int fetch_start(struct fetcher *, const struct http_request *, const struct fetch_ending *, struct fetch **out);
bool fetch_cancel(struct fetch *);

/* fetcher_settle: what `done` touches may go: whoever was told was told whole. NULL is fine. */
void fetcher_settle(struct fetcher *);

/* What came of it, once `done` was called. */
const struct http_response *fetch_response(const struct fetch *);
void fetch_free(struct fetch *);

#endif
