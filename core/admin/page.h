/* page.h: the pages that the binary carries: core/admin/pages, as they are. */
#ifndef RELAY_ADMIN_PAGE_H
#define RELAY_ADMIN_PAGE_H

#include "admin/door.h"

/* struct page: where it is served, its media type, its bytes as a C string. */
struct page {
    const char *path, *media, *text;
};

/* Made from the directory when the program is built; the last has no path. */
extern const struct page pages[];

/* page_serve: of a row whose path is one of them. */
void page_serve(void *ctx, struct door_request *);

/* PAGE_ROWS: their rows. */
#define PAGE_ROWS                                                                                                                          \
    {.method = "GET", .path = "/", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "The dashboard", .media = "text/html"},          \
        {.method = "GET", .path = "/dashboard.css", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "Its looks", .media = "text/css"}, \
        {.method = "GET", .path = "/dashboard.js", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "Its program",                   \
         .media = "text/javascript"},                                                                                                      \
        {.method = "GET", .path = "/test", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "The tester, for browsers", .media = "text/html"}, \
        {.method = "GET", .path = "/test.css", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "Its looks", .media = "text/css"},   \
        {.method = "GET", .path = "/test.words.js", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "What it says, in English, Korean and Japanese", \
         .media = "text/javascript"},                                                                                                      \
        {.method = "GET", .path = "/test.js", .scope = DOOR_ANYBODY, .serve = page_serve, .summary = "Its program", .media = "text/javascript"},

#endif
