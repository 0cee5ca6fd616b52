/* drain.c: see drain.h. */
#include "server/drain.h"

#include "base/clock.h"
#include "server/news.h"

#define TENTH_S 0.1

bool drain_is_on(const struct service *service)
{
    return atomic_load_explicit(&service->drains_until, memory_order_relaxed) != 0;
}

uint32_t drain_held(const struct drain *drain)
{
    return quota_total(drain->service->ledger.quota);
}

static void on_tenth(void *owner)
{
    struct drain *drain = owner;
    const bool is_late = atomic_load_explicit(&drain->service->drains_until, memory_order_relaxed) <= loop_now(drain->loop);
    if (drain_held(drain) && !is_late)
        return;
    log_say(drain->service->log, LOG_INFO, "drained", "reason=%s allocations=%u", is_late ? "deadline" : "empty", drain_held(drain));
    watch_stop(&drain->tenth);
    loop_stop(drain->loop);
}

static void tell(const struct drain *drain)
{
    const struct alternates *siblings = &drain->service->config->drain_servers;
    char text[ADDR_TEXT_MAX] = "";
    if (siblings->count)
        addr_format(&siblings->items[0].servers[0], text);
    news_tell(drain->service->news, NEWS_NODE_DRAINING, NEWS_ALL, NEWS(NEWS_NUMBER(drain->until_unix_ms / 1000), NEWS_TEXT(text)));
}

void drain_begin(struct drain *drain, uint32_t deadline_s, const char *who)
{
    const msec_t until = deadline_s ? loop_now(drain->loop) + (msec_t)deadline_s * 1000 : INT64_MAX;
    atomic_store_explicit(&drain->service->drains_until, until, memory_order_relaxed);
    drain->until_unix_ms = deadline_s ? clock_unix_ms() + (int64_t)deadline_s * 1000 : 0;
    log_say(drain->service->log, LOG_INFO, "draining", "who=%s deadline_s=%u allocations=%u", who, deadline_s, drain_held(drain));
    tell(drain);
    watch_stop(&drain->tenth);
    watch_every(&drain->tenth, drain->loop, TENTH_S, on_tenth, drain);
}

bool drain_cancel(struct drain *drain, const char *who)
{
    if (!drain_is_on(drain->service))
        return false;
    watch_stop(&drain->tenth);
    drain->is_term = false;
    atomic_store_explicit(&drain->service->drains_until, 0, memory_order_relaxed);
    log_say(drain->service->log, LOG_INFO, "drain_cancelled", "who=%s", who);
    return true;
}

/* One that was begun otherwise goes on, with its own deadline; the second signal ends it. */
void drain_term(struct drain *drain)
{
    const uint32_t deadline_s = drain->service->config->drain_deadline_s;
    if (!deadline_s || drain->is_term)
        loop_stop(drain->loop);
    else if (!drain_is_on(drain->service))
        drain_begin(drain, deadline_s, "SIGTERM");
    drain->is_term = true;
}

void drain_open(struct drain *drain, struct service *service, struct loop *loop)
{
    *drain = (struct drain){.service = service, .loop = loop};
    service->drain = drain;
}

void drain_close(struct drain *drain)
{
    watch_stop(&drain->tenth);
}
