/* door.h: the admin door: HTTP for operators and tenants; answers are JSON, or a text of a row's own kind.
 *
 * It knows HTTP and nothing of the relay: what there is to ask are rows, filled by core/server. It runs in the thread of its owner: when
 * door_descriptor is readable, and once a second, door_run does all there is to do, and never waits. A row answers at once or later: until
 * then the connection is set aside.
 *
 * Whoever may open the unix socket is the operator: its mode is 0600. Who brings a key (Authorization: Bearer) is whom `admit` says that he is, also
 * there. A row is served only to who has a scope that it needs; its parameters and its body are read by its tables (admin/field.h) before it is
 * asked: who misspells a filter is not shown everything. What a row may show of which tenant is its own affair: door_may_see.
 *
 * What comes in is bounded: DOOR_CONNECTIONS at a time, the head of a request by DOOR_MEMORY, its body by its row, all of it by DOOR_TIMEOUT_S
 * without a byte.
 */
#ifndef RELAY_ADMIN_DOOR_H
#define RELAY_ADMIN_DOOR_H

#include "admin/field.h"
#include "base/addr.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DOOR_CONNECTIONS 64      /* at the unix socket */
#define DOOR_CONNECTIONS_TCP 256 /* at each other place; of one address DOOR_CONNECTIONS_EACH */
#define DOOR_CONNECTIONS_EACH 192
#define DOOR_PLACES 9
#define DOOR_MEMORY 16384
#define DOOR_TIMEOUT_S 10
#define DOOR_PART_MAX 508 /* of a name of a user */
#define DOOR_PARTS 3
#define DOOR_BODY_MAX 16384
#define DOOR_TENANT_MAX 128
#define DOOR_KEY_MAX 31
#define DOOR_HEADERS 4
#define DOOR_HEADER_MAX 255

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
    char tenant[DOOR_TENANT_MAX + 1]; /* "*": the operator, of all of them; "": nobody, at a row for anybody */
    char key[DOOR_KEY_MAX + 1];       /* the id of his API key; "": he came by the unix socket */
    unsigned scopes;
};

/* struct door_said: a status that a row answers with by itself, and when. What the door answers for it is not listed: 400, 401, 403, 413, 429, 500, 503. */
struct door_said {
    unsigned status; /* 0: the end */
    const char *when; /* a sentence without its full stop */
};

/* struct door_route: a path and what it is asked for. `serve` calls door_answer, now or later; once. Rows of the same path stand together. One row is one
 * operation of /openapi.json. */
struct door_route {
    const char *method, *path; /* GET is HEAD too; each {name} is one segment of the path, of at most DOOR_PART_MAX bytes; DOOR_PARTS at most */
    unsigned scope;
    const char *summary; /* a sentence without its full stop */
    void (*serve)(void *ctx, struct door_request *);
    const struct field *query, *body; /* NULL: there is none, and what comes is refused */
    size_t body_max;                  /* bytes; 0: DOOR_BODY_MAX if there is a `body`, else none. Without `body` what comes is the row's to read */
    const struct door_said *answers;
    const char *media; /* of what it answers when all is well; NULL: application/json */
};

/* struct door_pass: what `admit` makes of a key. */
struct door_pass {
    unsigned status;    /* 0: he is `caller`; 401, 429 or 503: he is refused */
    unsigned retry_s;   /* Retry-After; 0: none */
    const char *reason; /* for the answer */
    struct door_caller caller;
};

/* struct door_place: where a door listens. */
struct door_place {
    const char *path; /* of a unix socket; NULL: at `at`, over TCP */
    struct addr at;
};

/* struct door_certificate: PEM texts: a certificate with its chain, and its key. */
struct door_certificate {
    const char *chain, *key;
};

struct door_config {
    const struct door_place *places;
    size_t place_count; /* DOOR_PLACES at most */
    struct door_certificate certificate; /* {0}: no TLS; else all places over TCP speak it, from 1.2 on, and nothing else */
    const struct door_route *routes;
    size_t route_count;
    void *ctx;
    /* admit: who the bearer of this token is; nothing else is known of the request yet but door_source. NULL: keys open nothing. */
    void (*admit)(void *ctx, const struct door_request *, const char *token, struct door_pass *);
    /* told: a request was answered. NULL: nobody wants to know. */
    void (*told)(void *ctx, const struct door_request *, unsigned status);
};

/* door_open: listens at all places; a unix socket that nobody listens on is replaced. 0 and *out; or *failed, the place, and ERR_EXISTS: another program listens
 * there; ERR_BAD: the path is too long for a socket, or something else is there; ERR_DENIED: the certificate is not to be used; ERR_SYSTEM and errno;
 * ERR_MEMORY. `config` is copied, and the certificate; what else it points to outlives the door. */
int door_open(const struct door_config *, struct door **out, size_t *failed);

/* door_certify: connections that come from now on get this certificate; those that are there keep theirs. 0, or ERR_DENIED, ERR_MEMORY: all is as it was. */
int door_certify(struct door *, const struct door_certificate *);

/* door_stop: from now on no row is served: who comes is answered 503; who waits may be answered still. NULL is fine. */
void door_stop(struct door *);

/* door_close: requests that are not answered yet are answered 503; nobody's `door_answer` may follow. Removes the unix sockets. NULL is fine. */
void door_close(struct door *);

int door_descriptor(const struct door *);
void door_run(struct door *);

/* All that these give lives until the request is answered.
 *
 * door_body: what came with the request; of no length if nothing did.  door_value: a field of the row's `body`; NULL: it was not given; door_number,
 * door_text: as fields_number, fields_text of admin/field.h.  door_parameter: the same of the row's `query`; door_query: the text of a FIELD_TEXT or FIELD_CHOICE. */
const char *door_body(const struct door_request *, size_t *len);
const struct field_value *door_value(const struct door_request *, const char *name);
int64_t door_number(const struct door_request *, const char *name, int64_t otherwise);
const char *door_text(const struct door_request *, const char *name);
const struct field_value *door_parameter(const struct door_request *, const char *name);
const char *door_query(const struct door_request *, const char *name);

/* door_part: what stands for the first, second ... {name} of the row's path, decoded.  door_header: a header of the request; NULL: it has none. */
const char *door_part(const struct door_request *, unsigned index);
const char *door_header(const struct door_request *, const char *name);

/* door_caller: who asks.  door_is_operator: he may see all tenants.  door_may_see: whether what is of this tenant is his to see.  door_source: where he comes from; of no family: by the unix socket.
 * door_method, door_path: as they were sent. */
const struct door_caller *door_caller(const struct door_request *);
bool door_is_operator(const struct door_request *);
bool door_may_see(const struct door_request *, const char *tenant);
const struct addr *door_source(const struct door_request *);
const char *door_method(const struct door_request *);
const char *door_path(const struct door_request *);

/* door_say: a header of the answer to come; `name` is a constant, `value` is copied; DOOR_HEADERS of them at most. */
void door_say(struct door_request *, const char *name, const char *value);

/* door_answer: an HTTP status and an object, which it takes over (NULL: out of memory, 500). The request is gone. */
void door_answer(struct door_request *, unsigned status, json_t *body);

/* door_answer_text: the same with a text of that media type, from malloc. */
void door_answer_text(struct door_request *, unsigned status, const char *type, char *text);

/* door_refuse: the same with {"error": reason}.  door_refuse_field: 400 with {"error": "field: reason", "field": field}. */
void door_refuse(struct door_request *, unsigned status, const char *reason);
void door_refuse_field(struct door_request *, const char *field, const char *reason);

#endif
