/* worker_news.c: what is told of the events of a worker: who is there, who is gone, who was refused. */
#include "server/worker_state.h"

#include <stdio.h>
#include <string.h>

#define ID_MAX 24

/* label: the value of `name` in "k=v,k=v"; `other` where there is none. */
static const char *label(const char *tags, const char *name, const char *other, char out[TAGS_MAX])
{
    const size_t len = strlen(name);
    for (const char *at = tags; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return view_copy(view_of(at + len + 1, strcspn(at + len + 1, ",")), out, TAGS_MAX);
    return other;
}

static const char *number(uint64_t id, char out[ID_MAX])
{
    snprintf(out, ID_MAX, "%llu", (unsigned long long)id);
    return out;
}

static void tell_opened(struct news *news, const struct allocation *allocation)
{
    char id[ID_MAX], room[TAGS_MAX], tag[TAGS_MAX], credential[TAGS_MAX], client[ADDR_TEXT_MAX], relayed[ADDR_TEXT_MAX];
    news_tell(news, NEWS_ALLOCATION_OPENED, record_tenant(allocation),
              NEWS(NEWS_TEXT(number(allocation->id, id)), NEWS_TEXT(allocation->user),
                   NEWS_TEXT(label(allocation->tags, "room", allocation->group_name, room)),
                   NEWS_TEXT(label(allocation->tags, "tag", allocation->user, tag)),
                   NEWS_TEXT(label(allocation->tags, "credential", "", credential)), NEWS_TEXT(record_transport(allocation)),
                   NEWS_TEXT(addr_format(&allocation->flow.client, client)), NEWS_TEXT(addr_format(&allocation->relayed_shown, relayed))));
}

static void tell_closed(struct news *news, const struct event *event)
{
    const struct allocation *allocation = event->allocation;
    char id[ID_MAX], room[TAGS_MAX], tag[TAGS_MAX], credential[TAGS_MAX];
    news_tell(news, NEWS_ALLOCATION_CLOSED, record_tenant(allocation),
              NEWS(NEWS_TEXT(number(allocation->id, id)), NEWS_TEXT(allocation->user),
                   NEWS_TEXT(label(allocation->tags, "room", allocation->group_name, room)),
                   NEWS_TEXT(label(allocation->tags, "tag", allocation->user, tag)),
                   NEWS_TEXT(label(allocation->tags, "credential", "", credential)), NEWS_TEXT(event->reason), NEWS_TEXT(event->by),
                   NEWS_NUMBER((event->now - allocation->created) / 1000), NEWS_NUMBER(allocation->usage.bytes_in),
                   NEWS_NUMBER(allocation->usage.bytes_out)));
}

/* Of an address that nobody vouches for nothing is told. */
static void tell_refused(struct news *news, const struct event *event)
{
    char id[ID_MAX], username[NAME_MAX_LEN + 1], client[ADDR_TEXT_MAX];
    const char *user = *event->user ? event->user : denials_name(event->username, username, sizeof username);
    if (!event->is_proven)
        return;
    news_tell(news, NEWS_ALLOCATION_REFUSED, *event->tenant ? event->tenant : event->realm,
              NEWS(NEWS_TEXT(number(event->decision, id)), NEWS_TEXT(user),
                   NEWS_TEXT(event->method ? stun_method_name(event->method) : "-"), NEWS_NUMBER(event->code), NEWS_TEXT(event->reason),
                   NEWS_TEXT(event->by), NEWS_TEXT(transport_name(event->flow->transport)),
                   NEWS_TEXT(addr_format(&event->flow->client, client))));
}

void worker_news(struct worker *worker, const struct event *event)
{
    struct news *news = worker->service->news;
    switch (event->type) {
        case EVENT_ALLOCATED:
            tell_opened(news, event->allocation);
            break;
        case EVENT_CLOSED:
            tell_closed(news, event);
            break;
        case EVENT_DENIED:
        case EVENT_AUTH_FAILED:
            tell_refused(news, event);
            break;
        default:
            break;
    }
}
