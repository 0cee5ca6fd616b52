/* rule.h: what may be asked over HTTP: URLs, and the rules of a list (net/http.h). Private to the room. */
#ifndef RELAY_NET_RULE_H
#define RELAY_NET_RULE_H

#include <curl/curl.h>
#include <stddef.h>

/* struct place: a URL in its parts. */
struct place {
    char *scheme, *host, *port, *path;
};

/* place_parse: the handle of a URL and its parts; both are the caller's, also when it is none: then NULL. */
CURLU *place_parse(const char *text, struct place *out);
void place_close(struct place *);

/* rules_judge: 0, or ERR_DENIED: none of them has it. */
int rules_judge(const char *const *rules, size_t rule_count, const struct place *);

#endif
