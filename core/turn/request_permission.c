/* request_permission.c: CreatePermission, RFC 8656 section 10.2: all addresses of a request are permitted, or none. */
#include "turn/permission.h"

#include "turn/question.h"
#include "wire/attr.h"

/* permission_asked: the policy's opinion of a peer that no filter refused. */
static int permission_asked(struct transaction *tr, const struct addr *peer)
{
    const struct cidr_set *acl = tr->allocation->limits->acl;
    if (acl && cidr_has(acl, peer))
        return 0;
    if (acl && (tr->engine->hooks & HOOK_BIT(HOOK_permission)) == 0)
        return transaction_refuse(tr, STUN_FORBIDDEN, "permission_acl");
    struct question question = {.hook = HOOK_permission, .allocation = tr->allocation, .peer = peer, .method = tr->message.method};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    if (verdict.kind == VERDICT_DENY)
        return verdict.code;
    return verdict.kind == VERDICT_FAIL ? STUN_FORBIDDEN : 0;
}

int permission_refuse(struct transaction *tr)
{
    return transaction_refuse(tr, STUN_FORBIDDEN, tr->allocation->group == GROUP_OPEN ? "peer_not_allowed" : "not_in_group");
}

int permission_judge(struct transaction *tr, const struct addr *peer)
{
    if (relayed_sock(tr->allocation, peer->family) < 0)
        return transaction_refuse(tr, STUN_PEER_FAMILY_MISMATCH, "peer_family");
    if (!peer_is_allowed(&tr->engine->filter, peer, tr->allocation->group))
        return permission_refuse(tr);
    return permission_asked(tr, peer);
}

int permission_pace(struct transaction *tr)
{
    const uint32_t most = tr->allocation->limits->max_new_peers;
    if (pace_peer(tr->allocation->pace, tr->now))
        return 0;
    return transaction_exceed(tr, STUN_CAPACITY, "max_new_peers", (struct gauge){most, most});
}

void permission_unpace(struct transaction *tr, uint32_t count)
{
    pace_give_peers(tr->allocation->pace, count);
}

/* permission_new: for a peer that has none. */
static int permission_new(struct transaction *tr, const struct addr *peer)
{
    int code = permission_judge(tr, peer);
    if (code || (code = permission_pace(tr)))
        return code;
    if (permission_add(tr->engine, tr->allocation, peer, tr->now) == 0)
        return 0;
    permission_unpace(tr, 1);
    return transaction_exceed(tr, STUN_CAPACITY, "max_permissions",
                              (struct gauge){tr->allocation->permissions, tr->allocation->limits->max_permissions});
}

int permission_grant(struct transaction *tr, const struct addr *peer, bool *added)
{
    *added = false;
    tr->peer = *peer;
    if (permission_find(tr->engine, tr->allocation, peer, tr->now))
        return 0;
    const int code = permission_new(tr, peer);
    *added = !code;
    if (code)
        transaction_tell(tr, EVENT_PERMISSION, code, peer);
    return code;
}

void permission_take_back(struct transaction *tr, uint32_t added)
{
    permission_drop_last(tr->engine, tr->allocation, added);
    permission_unpace(tr, added);
}

/* permission_grant_all: new permissions for the addresses that have none; *added of them, to be taken back after a refusal. */
static int permission_grant_all(struct transaction *tr, uint32_t *added)
{
    struct view value;
    struct addr peer;
    size_t cursor = 0;
    bool is_new;
    if (!message_has(&tr->message, SLOT_XOR_PEER_ADDRESS))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "xor_peer_address");
    while (message_next(&tr->message, ATTR_XOR_PEER_ADDRESS, &cursor, &value)) {
        if (attr_xor_addr_value(&tr->message, value, &peer) != 0)
            return transaction_refuse(tr, STUN_BAD_REQUEST, "xor_peer_address");
        peer = peer_name(&tr->engine->filter, &peer);
        const int code = permission_grant(tr, &peer, &is_new);
        if (code)
            return code;
        *added += is_new;
    }
    return 0;
}

void permission_confirm(struct transaction *tr, const struct addr *peer)
{
    struct permission *permission = permission_find(tr->engine, tr->allocation, peer, tr->now);
    permission_refresh(tr->engine, tr->allocation, permission, tr->now);
    if (permission->is_told)
        return;
    permission->is_told = true;
    transaction_tell(tr, EVENT_PERMISSION, 0, peer);
}

static void permission_confirm_all(struct transaction *tr)
{
    struct view value;
    struct addr peer;
    size_t cursor = 0;
    while (message_next(&tr->message, ATTR_XOR_PEER_ADDRESS, &cursor, &value)) {
        attr_xor_addr_value(&tr->message, value, &peer);
        peer = peer_name(&tr->engine->filter, &peer);
        permission_confirm(tr, &peer);
    }
}

int request_permission(struct transaction *tr)
{
    uint32_t added = 0;
    permission_reap(tr->engine, tr->allocation, tr->now);
    const int code = permission_grant_all(tr, &added);
    if (code)
        permission_take_back(tr, added);
    else
        permission_confirm_all(tr);
    return code;
}
