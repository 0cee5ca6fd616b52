/* transaction.c: what the steps of a request share. */
#include "turn/transaction.h"

#include <string.h>

struct view transaction_username(const struct transaction *tr)
{
    const char *unhashed = tr->identity.unhashed;
    if (message_has(&tr->message, SLOT_USERNAME))
        return message_attr(&tr->message, SLOT_USERNAME);
    return unhashed[0] ? view_text(unhashed) : view_of(NULL, 0);
}

int transaction_refuse(struct transaction *tr, int code, const char *reason)
{
    view_copy(view_text(reason), tr->reason, sizeof tr->reason);
    view_copy(view_text("core"), tr->by, sizeof tr->by);
    return code;
}

bool transaction_is_owner(const struct transaction *tr)
{
    return tr->allocation && view_equal(view_text(tr->allocation->username), transaction_username(tr));
}

void transaction_tell(struct transaction *tr, enum event_type type, int code, const struct addr *peer)
{
    struct engine *engine = tr->engine;
    const struct event event = {
        .type = type,
        .decision = tr->decision,
        .code = code,
        .method = tr->message.method,
        .reason = tr->reason,
        .by = tr->by[0] ? tr->by : "core",
        .flow = tr->flow,
        .tenant = tr->identity.tenant,
        .realm = tr->identity.realm,
        .user = tr->identity.user,
        .username = transaction_username(tr),
        .peer = peer,
        .allocation = tr->allocation,
        .now = tr->now,
        .unix_ms = engine_unix_ms(engine, tr->now),
    };
    engine->host->tell(engine->host->ctx, &event);
}
