/* copy.c: measure, then copy: the same walk twice. */
#include "policy/copy.h"

#include <stdlib.h>
#include <string.h>

/* struct room: where texts go; at is NULL while they are measured. */
struct room {
    char *at;
    size_t len;
};

static struct view keep(struct room *room, struct view bytes)
{
    char *to = room->at ? room->at + room->len : NULL;
    room->len += bytes.len + 1;
    if (!to || !bytes.at)
        return to ? (struct view){0} : bytes;
    memcpy(to, bytes.at, bytes.len);
    to[bytes.len] = 0;
    return view_of(to, bytes.len);
}

static const char *keep_text(struct room *room, const char *text)
{
    return text ? (const char *)keep(room, view_text(text)).at : NULL;
}

static void keep_flow(struct room *room, struct flow *to, const struct flow *from)
{
    *to = *from;
    to->sni = keep_text(room, from->sni);
    to->alpn = keep_text(room, from->alpn);
}

static void keep_request(struct room *room, struct copy *copy, const struct request *from)
{
    struct request *to = &copy->request;
    *to = *from;
    to->flow = &copy->flow;
    keep_flow(room, &copy->flow, from->flow);
    to->username = keep(room, from->username);
    to->userhash = keep(room, from->userhash);
    to->access_token = keep(room, from->access_token);
    to->tenant = keep_text(room, from->tenant);
    to->realm = keep_text(room, from->realm);
    to->user = keep_text(room, from->user);
    to->server_name = keep_text(room, from->server_name);
    const struct view bytes = from->message ? keep(room, from->message->bytes) : (struct view){0};
    to->message = room->at && bytes.len && message_open(&copy->message, bytes) == 0 ? &copy->message : NULL;
}

static void keep_allocation(struct room *room, struct allocation *to, const struct allocation *from)
{
    *to = *from;
    to->key = (struct long_term_key){0};
    to->names = NULL;
    to->next = NULL;
    keep_flow(room, &to->flow, &from->flow);
    to->tenant = keep_text(room, from->tenant);
    to->user = keep_text(room, from->user);
    to->realm = keep_text(room, from->realm);
    to->username = keep_text(room, from->username);
    to->tags = keep_text(room, from->tags);
    to->group_name = keep_text(room, from->group_name);
}

static void keep_question(struct room *room, struct copy *copy, const struct question *from)
{
    struct question *to = &copy->question;
    *to = *from;
    if (from->request) {
        keep_request(room, copy, from->request);
        to->request = &copy->request;
    }
    if (from->allocation) {
        keep_allocation(room, &copy->allocation, from->allocation);
        to->allocation = &copy->allocation;
    }
    if (from->peer) {
        copy->peer = *from->peer;
        to->peer = &copy->peer;
    }
    if (from->delta) {
        copy->delta = *from->delta;
        to->delta = &copy->delta;
    }
}

static void keep_event(struct room *room, struct copy *copy, const struct event *from)
{
    struct event *to = &copy->event;
    *to = *from;
    keep_flow(room, &copy->flow, from->flow);
    to->flow = &copy->flow;
    to->reason = keep_text(room, from->reason);
    to->by = keep_text(room, from->by);
    to->tenant = keep_text(room, from->tenant);
    to->realm = keep_text(room, from->realm);
    to->user = keep_text(room, from->user);
    to->username = keep(room, from->username);
    if (from->peer) {
        copy->peer = *from->peer;
        to->peer = &copy->peer;
    }
    if (from->allocation) {
        keep_allocation(room, &copy->allocation, from->allocation);
        to->allocation = &copy->allocation;
    }
}

static void keep_all(struct room *room, struct copy *copy, const struct question *question, const struct event *event)
{
    if (question)
        keep_question(room, copy, question);
    if (event)
        keep_event(room, copy, event);
}

struct copy *copy_new(const struct question *question, const struct event *event)
{
    struct copy measured = {0};
    struct room room = {0};
    keep_all(&room, &measured, question, event);
    struct copy *copy = calloc(1, sizeof *copy + room.len);
    if (!copy)
        return NULL;
    room = (struct room){.at = (char *)(copy + 1)};
    keep_all(&room, copy, question, event);
    return copy;
}

void copy_free(struct copy *copy)
{
    free(copy);
}
