/* door.h: the admin door: HTTP on a unix socket, for the operator of this machine alone; answers are JSON, or a text of a row's own kind.
 *
 * It knows HTTP and nothing of the relay: what there is to ask are rows, filled by core/server. It runs in the thread of its owner: when
 * door_descriptor is readable, and once a second, door_run does all there is to do, and never waits. A row answers at once or later: until
 * then the connection is set aside. A query parameter that the row does not name is refused: who misspells a filter is not shown
 * everything.
 *
 * Whoever may open the socket may do everything: its mode is 0600. What comes in is bounded all the same: DOOR_CONNECTIONS at a time, the head of a
 * request by DOOR_MEMORY, its body by its row, all of it by DOOR_TIMEOUT_S without a byte.
 */
#ifndef RELAY_ADMIN_DOOR_H
#define RELAY_ADMIN_DOOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DOOR_CONNECTIONS 64
#define DOOR_MEMORY 16384
#define DOOR_TIMEOUT_S 10
#define DOOR_PART_MAX 127

#define DOOR_PARTS 3

struct door;
struct door_request;

/* What a caller may do. A row needs one of these, or none: then anybody may ask who reaches the door; with DOOR_OPERATOR only the operator may. */
#define DOOR_ANYBODY 0u
#define DOOR_MINT 1u
#define DOOR_USAGE_READ 2u
#define DOOR_ADMIN 4u
#define DOOR_SCOPES (DOOR_MINT | DOOR_USAGE_READ | DOOR_ADMIN)
#define DOOR_OPERATOR 8u

/* struct door_caller: who asks. Rows of core/server show him nothing of another tenant than his own. */
struct door_caller {
    const char *tenant; /* "*": the operator, of all of them */
    const char *key;    /* the id of his API key; "": he came by the unix socket */
    unsigned scopes;
};

/* struct door_route: a path and what it is asked for. `serve` calls door_answer, now or later; once. Rows of the same path stand together. */
struct door_route {
    const char *method, *path; /* GET is HEAD too; each * in the path is one segment of it, of at most DOOR_PART_MAX bytes; DOOR_PARTS at most */
    unsigned scope;
    size_t body_max;
    void (*serve)(void *ctx, struct door_request *);
    const char *const *query; /* the names of its parameters, NULL at the end; NULL: it has none */
};

struct door_config {
    const char *path; /* of the socket */
    const struct door_route *routes;
    size_t route_count;
    void *ctx;
};

/* door_open: listens; a socket at `path` that nobody listens on is replaced. 0 and *out, or ERR_EXISTS: another program listens there; ERR_BAD: the
 * path is too long for a socket, or something else is there; ERR_SYSTEM and errno; ERR_MEMORY. `config` is copied, what it points to outlives the door. */
int door_open(const struct door_config *, struct door **out);

/* door_close: requests that are not answered yet are answered 503; nobody's `door_answer` may follow. Removes the socket. NULL is fine. */
void door_close(struct door *);

int door_descriptor(const struct door *);
void door_run(struct door *);

/* door_body: what came with the request; of no length if nothing did. Lives until it is answered. */
const char *door_body(const struct door_request *, size_t *len);

/* door_query: the value of a parameter that the row names; NULL: it was not said.  door_part: what stands for the first, second ... * of the row's
 * path. Both are decoded, and live until the request is answered.  door_header: a header of the request; NULL: it has none. */
const char *door_query(const struct door_request *, const char *name);
const char *door_part(const struct door_request *, unsigned index);
const char *door_header(const struct door_request *, const char *name);

/* door_caller: lives until the request is answered.  door_may_see: whether what is of this tenant is his to see. */
const struct door_caller *door_caller(const struct door_request *);
bool door_may_see(const struct door_request *, const char *tenant);

/* door_answer: an HTTP status and an object, which it takes over (NULL: out of memory, 500). The request is gone. */
void door_answer(struct door_request *, unsigned status, json_t *body);

/* door_answer_text: the same with a text of that media type, from malloc. */
void door_answer_text(struct door_request *, unsigned status, const char *type, char *text);

/* door_refuse: the same with {"error": reason}. */
void door_refuse(struct door_request *, unsigned status, const char *reason);

#endif
