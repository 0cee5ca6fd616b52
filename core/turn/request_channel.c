/* request_channel.c: ChannelBind, RFC 8656 section 12.2. */
#include "turn/channel.h"
#include "turn/permission.h"
#include "turn/question.h"
#include "wire/attr.h"
#include "wire/channel.h"

struct wish {
    uint16_t number;
    struct addr peer;
    struct channel *bound; /* this very binding, or NULL */
};

static int channel_read(struct transaction *tr, struct wish *wish)
{
    if (attr_channel(&tr->message, &wish->number) != 0 || !channel_is_number(wish->number, tr->engine->config->strict_channels))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "channel_number");
    if (attr_xor_addr(&tr->message, SLOT_XOR_PEER_ADDRESS, &wish->peer) != 0)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "xor_peer_address");
    tr->peer = wish->peer = peer_name(&tr->engine->filter, &wish->peer);
    wish->bound = channel_numbered(tr->engine, tr->allocation, wish->number, tr->now);
    if (wish->bound != channel_to(tr->engine, tr->allocation, &wish->peer, tr->now))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "bound otherwise");
    return 0;
}

/* channel_reaches: in a group only whom it reaches now, so that a client learns at once who is not there; else anybody whom it may ever
 * reach. */
static bool channel_reaches(const struct transaction *tr, const struct addr *peer)
{
    const struct peer_filter *filter = &tr->engine->filter;
    const uint64_t group = tr->allocation->group;
    return group == GROUP_OPEN ? !peer_is_never(filter, peer) : peer_destination(filter, peer, group).to.family != ADDR_NONE;
}

/* channel_new: the permission is there; what the policy says, and the binding. */
static int channel_new(struct transaction *tr, const struct wish *wish)
{
    struct question question = {.hook = HOOK_channel, .allocation = tr->allocation, .peer = &wish->peer, .channel = wish->number};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    if (verdict.kind == VERDICT_DENY)
        return verdict.code;
    if (verdict.kind == VERDICT_FAIL)
        return STUN_FORBIDDEN;
    if (channel_add(tr->engine, tr->allocation, wish->number, &wish->peer, tr->now) == 0)
        return 0;
    return transaction_exceed(tr, STUN_CAPACITY, "max_channels",
                              (struct gauge){tr->allocation->channels, tr->allocation->limits->max_channels});
}

int request_channel(struct transaction *tr)
{
    struct engine *engine = tr->engine;
    struct wish wish;
    bool added;
    if (tr->allocation->protocol != PROTOCOL_UDP)
        return transaction_refuse(tr, STUN_FORBIDDEN, "tcp allocation");
    permission_reap(engine, tr->allocation, tr->now);
    channel_reap(engine, tr->allocation, tr->now);
    int code = channel_read(tr, &wish);
    if (!code)
        code = permission_grant(tr, &wish.peer, &added);
    if (code)
        return code;
    if (!channel_reaches(tr, &wish.peer))
        code = permission_refuse(tr);
    else if (!wish.bound)
        code = channel_new(tr, &wish);
    if (code) {
        permission_take_back(tr, added);
        return code;
    }
    if (wish.bound)
        channel_refresh(engine, tr->allocation, wish.bound, tr->now);
    permission_confirm(tr, &wish.peer);
    return 0;
}
