/* worker_news.c: what is told of the events of a worker: who is there, who is gone, who was refused. */
#include "turn/label.h"
#include "server/worker_state.h"

#include <stdio.h>

#define ID_MAX 24

/* struct named: what an allocation is called. */
struct named {
    struct label_names label;
    char id[ID_MAX], credential[TAGS_MAX];
};

static const char *number(uint64_t id, char out[ID_MAX])
{
    snprintf(out, ID_MAX, "%llu", (unsigned long long)id);
    return out;
}

static void name(const struct allocation *allocation, struct named *out)
{
    label_names(allocation, &out->label);
    view_copy(label_find(allocation->tags, "credential"), out->credential, sizeof out->credential);
    number(allocation->id, out->id);
}

static void tell_opened(struct news *news, const struct allocation *allocation)
{
    char client[ADDR_TEXT_MAX], relayed[ADDR_TEXT_MAX];
    struct named named;
    name(allocation, &named);
    news_tell(news, NEWS_ALLOCATION_OPENED, record_tenant(allocation),
              NEWS(NEWS_TEXT(named.id), NEWS_TEXT(allocation->user), NEWS_TEXT(named.label.room), NEWS_TEXT(named.label.tag),
                   NEWS_TEXT(named.credential), NEWS_TEXT(record_transport(allocation)),
                   NEWS_TEXT(addr_format(&allocation->flow.client, client)), NEWS_TEXT(addr_format(&allocation->relayed_shown, relayed))));
}

static void tell_closed(struct news *news, const struct event *event)
{
    const struct allocation *allocation = event->allocation;
    struct named named;
    name(allocation, &named);
    news_tell(news, NEWS_ALLOCATION_CLOSED, record_tenant(allocation),
              NEWS(NEWS_TEXT(named.id), NEWS_TEXT(allocation->user), NEWS_TEXT(named.label.room), NEWS_TEXT(named.label.tag),
                   NEWS_TEXT(named.credential), NEWS_TEXT(event->reason), NEWS_TEXT(event->by),
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
