/* redirect.c: see redirect.h. */
#include "turn/redirect.h"

static bool is_of_family(const struct addr *addr, const struct flow *flow)
{
    return addr->family == flow->client.family;
}

bool redirect_fits(const struct alternate *alternate, const struct flow *flow)
{
    return is_of_family(&alternate->servers[0], flow) || is_of_family(&alternate->servers[1], flow);
}

/* The client's family comes first. */
int redirect_to(struct transaction *tr, const struct alternate *alternate)
{
    const bool in_order = is_of_family(&alternate->servers[0], tr->flow);
    tr->answer.alternate = *alternate;
    tr->answer.alternate.servers[0] = alternate->servers[!in_order];
    tr->answer.alternate.servers[1] = alternate->servers[in_order];
    return STUN_TRY_ALTERNATE;
}

/* A list that names this server redirects nobody: its clients are where they belong, and would come back. */
static bool redirects(const struct alternates *list, const struct flow *flow)
{
    for (size_t i = 0; i < list->count; i++)
        if (addr_equal(&list->items[i].servers[0], &flow->server))
            return false;
    return true;
}

/* redirect_next: the next one of the client's family, in turn; NULL: there is none. */
static const struct alternate *redirect_next(struct engine *engine, const struct alternates *list, const struct flow *flow)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct alternate *next = &list->items[engine->redirects++ % list->count];
        if (redirect_fits(next, flow))
            return next;
    }
    return NULL;
}

int redirect_configured(struct transaction *tr)
{
    const struct engine_config *config = tr->engine->config;
    const bool drains = tr->engine->drains_until != 0;
    const struct alternates *list = drains ? &config->siblings[tr->flow->transport] : &config->alternates[tr->flow->transport];
    const struct alternate *next = list->count && redirects(list, tr->flow) ? redirect_next(tr->engine, list, tr->flow) : NULL;
    return next ? transaction_refuse(tr, redirect_to(tr, next), drains ? "draining" : "redirect") : 0;
}
