/* http.h: one HTTP exchange as plain data: what is asked, and what came back. Who asks and who fetches do not know each other. */
#ifndef RELAY_BASE_HTTP_H
#define RELAY_BASE_HTTP_H

#include "base/bytes.h"
#include "base/clock.h"

#define HTTP_BODY_MAX ((size_t)1 << 20)     /* of an answer */
#define HTTP_HEADERS_MAX ((size_t)32 << 10) /* of an answer, all together */

struct http_header {
    const char *name, *value; /* of an answer: the name in lower case */
};

/* struct http_request: borrowed. */
struct http_request {
    const char *method, *url; /* "GET" or "POST" */
    const struct http_header *headers;
    size_t header_count;
    struct view body;
    msec_t timeout_ms;
};

/* struct http_response: borrowed. */
struct http_response {
    const char *error; /* NULL: there is an answer; else "timeout", "connect", "resolve", "tls", "private", "too large" or "failed" */
    int status;
    const struct http_header *headers;
    size_t header_count;
    struct view body;
};

#endif
