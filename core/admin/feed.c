/* feed.c: a response of libmicrohttpd that is read piece by piece, and its connection, which is set aside while there is nothing. */
#include "admin/feed.h"

#include <microhttpd.h>
#include <stdlib.h>

#define BLOCK 4096

struct feed {
    struct feed_source source;
    struct MHD_Connection *connection;
    struct door *door;
    bool is_set_aside, is_closing;
    struct feed *next, **link; /* among those of the door */
};

static ssize_t read_feed(void *ctx, uint64_t at, char *out, size_t cap)
{
    struct feed *feed = ctx;
    (void)at;
    const ssize_t len = feed->is_closing ? FEED_CUT : feed->source.read(feed->source.owner, out, cap);
    if (len > 0)
        return len;
    if (len == FEED_LATER) {
        feed->is_set_aside = true;
        MHD_suspend_connection(feed->connection);
        return 0;
    }
    return len == FEED_END ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void leave(struct feed *feed)
{
    *feed->link = feed->next;
    if (feed->next)
        feed->next->link = feed->link;
}

static void free_feed(void *ctx)
{
    struct feed *feed = ctx;
    leave(feed);
    if (feed->source.close)
        feed->source.close(feed->source.owner);
    free(feed);
}

static void enter(struct feed *feed, struct feed **first)
{
    feed->link = first;
    feed->next = *first;
    if (feed->next)
        feed->next->link = &feed->next;
    *first = feed;
}

struct feed *feed_open(struct door_request *request, unsigned status, const char *type, const struct feed_source *source)
{
    struct feed *feed = malloc(sizeof *feed);
    struct MHD_Response *response = feed ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_feed, feed, free_feed) : NULL;
    if (!response) {
        free(feed);
        door_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
        return NULL;
    }
    *feed = (struct feed){.source = *source, .connection = door_connection(request), .door = door_of(request)};
    enter(feed, door_feeds(feed->door));
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    door_respond(request, status, response);
    door_wake(feed->door);
    return feed;
}

void feed_wake(struct feed *feed)
{
    if (!feed->is_set_aside)
        return;
    feed->is_set_aside = false;
    MHD_resume_connection(feed->connection);
    door_wake(feed->door);
}

void feed_close_all(struct feed *first)
{
    for (struct feed *feed = first; feed; feed = feed->next) {
        feed->is_closing = true;
        feed_wake(feed);
    }
}
