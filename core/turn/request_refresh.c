/* request_refresh.c: Refresh, RFC 8656 section 8.2. */
#include "base/err.h"
#include "turn/mobility.h"
#include "turn/question.h"
#include "wire/attr.h"

#define FAMILY_IPV4 1
#define FAMILY_IPV6 2

#define LIFETIME_AFTER_FAILURE_S 600

static int refresh_family(struct transaction *tr, uint8_t *family)
{
    uint8_t wanted;
    const int err = attr_first_byte(&tr->message, SLOT_REQUESTED_ADDRESS_FAMILY, &wanted);
    if (err == ERR_NOT_FOUND)
        return 0;
    if (err)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "requested_address_family");
    *family = wanted == FAMILY_IPV4 ? ADDR_IPV4 : wanted == FAMILY_IPV6 ? ADDR_IPV6 : ADDR_NONE;
    if (*family == ADDR_NONE || relayed_sock(tr->allocation, *family) < 0)
        return transaction_refuse(tr, STUN_PEER_FAMILY_MISMATCH, "requested_address_family");
    return 0;
}

/* refresh_release: of two relayed addresses the one of `family`, if it says one; else the allocation. */
static int refresh_release(struct transaction *tr, uint8_t family)
{
    if (family != ADDR_NONE && relayed_has_both(tr->allocation)) {
        tcp_peer_drop_all(tr->engine, tr->allocation, family);
        relayed_close_one(tr->engine, tr->allocation, family);
        return 0;
    }
    allocation_end(tr->engine, tr->allocation, "released", "core", tr->now);
    tr->allocation = NULL;
    return 0;
}

/* refresh_renew: from now on the client signs with the key of its new token, under that key's name. */
static int refresh_renew(struct transaction *tr)
{
    struct allocation *allocation = tr->allocation;
    const struct identity *who = &tr->identity;
    if (!who->key.of_token || !message_has(&tr->message, SLOT_ACCESS_TOKEN))
        return 0;
    if (allocation_rename(allocation, transaction_username(tr)) != 0)
        return transaction_refuse(tr, STUN_CAPACITY, "out_of_memory");
    allocation->key = who->key;
    allocation->key_expires_unix_s = who->key_expires_unix_s;
    allocation->on_expiry = who->on_expiry;
    return 0;
}

static int refresh_grant(struct transaction *tr, const struct limits *limits, uint32_t lifetime_s)
{
    struct allocation *allocation = tr->allocation;
    struct limits both = *allocation->limits;
    int code = mobility_grant(tr);
    if (code || (code = refresh_renew(tr)))
        return code;
    both.max_lifetime_s = limit_strictest_count(both.max_lifetime_s, limits->max_lifetime_s);
    tr->answer.lifetime_s = transaction_lifetime(tr, &both, lifetime_s);
    allocation_extend(tr->engine, allocation, tr->answer.lifetime_s, tr->now);
    transaction_tell(tr, EVENT_REFRESHED, 0, NULL);
    return 0;
}

int request_refresh(struct transaction *tr)
{
    uint32_t lifetime_s = 0;
    uint8_t family = ADDR_NONE;
    const int code = refresh_family(tr, &family);
    if (code)
        return code;
    const int err = attr_u32(&tr->message, SLOT_LIFETIME, &lifetime_s);
    if (err == ERR_BAD)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "lifetime");
    if (!err && lifetime_s == 0)
        return refresh_release(tr, family);

    struct question question = {.hook = HOOK_refresh, .allocation = tr->allocation};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    switch (verdict.kind) {
        case VERDICT_DENY:
            return verdict.code;
        case VERDICT_REAUTH:
            tr->allocation->key.len = 0;
            return STUN_STALE_NONCE;
        case VERDICT_FAIL: /* a policy's mistake must not drop a running call: clients give up on any other answer */
            return refresh_grant(tr, &(struct limits){0}, LIFETIME_AFTER_FAILURE_S);
        default:
            return refresh_grant(tr, &verdict.limits, lifetime_s);
    }
}
