/* request_allocate.c: Allocate, RFC 8656 section 7.2: its checks in the order of the section, then the policy, then the allocation. */
#include "turn/auth.h"
#include "turn/mobility.h"
#include "turn/question.h"
#include "turn/redirect.h"
#include "wire/attr.h"

#include "base/err.h"

#include <string.h>

#define FAMILY_IPV4 1
#define FAMILY_IPV6 2
#define EVEN_PORT_RESERVE 0x80 /* the R bit */

/* allocate_tcp: RFC 6062 section 5.1: over connections only, and with nothing that is for datagrams. */
static int allocate_tcp(struct transaction *tr)
{
    static const enum attr_slot datagrams_only[] = {SLOT_DONT_FRAGMENT, SLOT_EVEN_PORT, SLOT_RESERVATION_TOKEN};
    if (!tr->engine->host->tcp)
        return transaction_refuse(tr, STUN_TRANSPORT_UNSUPPORTED, "requested_transport");
    if (!flow_is_stream(tr->flow))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "requested_transport");
    for (size_t i = 0; i < sizeof datagrams_only / sizeof *datagrams_only; i++)
        if (message_has(&tr->message, datagrams_only[i]))
            return transaction_refuse(tr, STUN_BAD_REQUEST, "not for tcp");
    return 0;
}

static int allocate_transport(struct transaction *tr, struct opening *opening)
{
    if (attr_first_byte(&tr->message, SLOT_REQUESTED_TRANSPORT, &opening->protocol) != 0)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "requested_transport");
    if (opening->protocol == PROTOCOL_TCP)
        return allocate_tcp(tr);
    if (opening->protocol != PROTOCOL_UDP)
        return transaction_refuse(tr, STUN_TRANSPORT_UNSUPPORTED, "requested_transport");
    return tr->engine->config->no_udp_relay ? transaction_refuse(tr, STUN_FORBIDDEN, "no-udp-relay") : 0;
}

static int allocate_token(struct transaction *tr, struct opening *opening)
{
    const int err = attr_u64(&tr->message, SLOT_RESERVATION_TOKEN, &opening->token);
    if (err == ERR_NOT_FOUND)
        return 0;
    if (err || message_has(&tr->message, SLOT_EVEN_PORT) || message_has(&tr->message, SLOT_REQUESTED_ADDRESS_FAMILY))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "reservation_token");
    opening->has_token = true;
    return 0;
}

/* Not said: what the configuration says (then it is that or 440), or the listener's family, because browsers never say it; else IPv4; else
 * what there is. */
static uint8_t allocate_default_family(const struct transaction *tr)
{
    if (tr->engine->config->default_family != ADDR_NONE)
        return tr->engine->config->default_family;
    if (relayed_has_family(tr->engine, NULL, tr->flow->server.family))
        return tr->flow->server.family;
    return relayed_has_family(tr->engine, NULL, ADDR_IPV4) ? ADDR_IPV4 : ADDR_IPV6;
}

/* ADDITIONAL-ADDRESS-FAMILY can only say IPv6, and goes with neither of the two that fix a family, nor with a reservation (step 7). */
static int allocate_additional(struct transaction *tr, struct opening *opening, enum attr_slot slot)
{
    uint8_t wanted, bits = 0;
    attr_first_byte(&tr->message, SLOT_EVEN_PORT, &bits);
    if (attr_first_byte(&tr->message, slot, &wanted) != 0 || wanted != FAMILY_IPV6 || opening->has_token || (bits & EVEN_PORT_RESERVE) ||
        message_has(&tr->message, SLOT_REQUESTED_ADDRESS_FAMILY))
        return transaction_refuse(tr, STUN_BAD_REQUEST, "additional_address_family");
    opening->has_additional = true;
    return 0;
}

static int allocate_family(struct transaction *tr, struct opening *opening)
{
    uint8_t wanted;
    if (message_has(&tr->message, SLOT_ADDITIONAL_ADDRESS_FAMILY))
        return allocate_additional(tr, opening, SLOT_ADDITIONAL_ADDRESS_FAMILY);
    if (message_has(&tr->message, SLOT_DRAFT_ADDITIONAL_FAMILY))
        return allocate_additional(tr, opening, SLOT_DRAFT_ADDITIONAL_FAMILY);
    const int err = attr_first_byte(&tr->message, SLOT_REQUESTED_ADDRESS_FAMILY, &wanted);
    if (err == ERR_BAD)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "requested_address_family");
    opening->has_family = err == 0 || tr->engine->config->default_family != ADDR_NONE;
    if (err == ERR_NOT_FOUND)
        opening->family = allocate_default_family(tr);
    else
        opening->family = wanted == FAMILY_IPV4 ? ADDR_IPV4 : wanted == FAMILY_IPV6 ? ADDR_IPV6 : ADDR_NONE;
    if (!relayed_has_family(tr->engine, NULL, opening->family))
        return transaction_refuse(tr, STUN_FAMILY_UNSUPPORTED, "requested_address_family");
    return 0;
}

static int allocate_even_port(struct transaction *tr, struct opening *opening)
{
    uint8_t bits;
    const int err = attr_first_byte(&tr->message, SLOT_EVEN_PORT, &bits);
    if (err == ERR_BAD)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "even_port");
    opening->want = err == ERR_NOT_FOUND ? PORTS_ANY : bits & EVEN_PORT_RESERVE ? PORTS_PAIR : PORTS_EVEN;
    return 0;
}

/* allocate_read: what the request asks for. DONT-FRAGMENT (step 4) asks whether DF can be set: it can, so there is nothing to read. */
static int allocate_read(struct transaction *tr, struct opening *opening)
{
    int code;
    if (peer_is_tunnelled(&tr->engine->filter, &tr->flow->client))
        return transaction_refuse(tr, STUN_FORBIDDEN, "client_tunnelled");
    if ((code = allocate_transport(tr, opening)) || (code = allocate_token(tr, opening)) || (code = allocate_family(tr, opening)) ||
        (code = allocate_even_port(tr, opening)))
        return code;
    if (attr_u32(&tr->message, SLOT_LIFETIME, &opening->lifetime_s) == ERR_BAD)
        return transaction_refuse(tr, STUN_BAD_REQUEST, "lifetime");
    return 0;
}

static void allocate_answer(struct transaction *tr)
{
    const struct rare *rare = tr->allocation->rare;
    tr->answer.relayed = tr->allocation->relayed_shown;
    tr->answer.lifetime_s = transaction_left_s(tr);
    if (tr->allocation->is_mobile)
        mobility_give(tr);
    if (!rare)
        return;
    if (relayed_has_both(tr->allocation))
        tr->answer.other = rare->other.shown;
    tr->answer.refused_family = rare->refused_family;
    tr->answer.refused_code = rare->refused_code;
    tr->answer.reservation = rare->reservation;
}

/* allocate_pool: a policy may send it to relay addresses that lack the family: then the other is taken, unless somebody said which. */
static int allocate_pool(struct transaction *tr, struct opening *opening)
{
    const bool has_v4 = relayed_has_family(tr->engine, opening->pool, ADDR_IPV4);
    const bool has_v6 = relayed_has_family(tr->engine, opening->pool, ADDR_IPV6);
    if (opening->has_token || (opening->family == ADDR_IPV4 ? has_v4 : opening->family == ADDR_IPV6 && has_v6))
        return 0;
    if (!has_v4 && !has_v6)
        return *opening->pool ? transaction_refuse(tr, STUN_SERVER_ERROR, "unknown_pool") : transaction_refuse(tr, STUN_CAPACITY, "no_port");
    if (opening->has_family)
        return transaction_refuse(tr, STUN_FAMILY_UNSUPPORTED, "requested_address_family");
    if (!opening->has_additional)
        opening->family = has_v4 ? ADDR_IPV4 : ADDR_IPV6;
    return 0;
}

static int allocate_open(struct transaction *tr, struct opening *opening, const struct verdict *verdict)
{
    const struct limits *limits = &verdict->limits;
    const struct identity *who = &tr->identity;
    struct shortage shortage;
    int code = auth_admit(tr, verdict->labels.tags);
    if (code)
        return code;
    opening->flow = tr->flow;
    opening->tid = tr->message.tid;
    opening->is_mobile = message_has(&tr->message, SLOT_MOBILITY_TICKET);
    opening->limits = *limits;
    opening->metering = verdict->metering.meter ? &verdict->metering : NULL;
    opening->tags = verdict->labels.tags;
    opening->group = verdict->labels.group;
    opening->pool = verdict->labels.pool;
    if (transaction_key_left_s(tr, limits) == 0)
        return transaction_refuse(tr, STUN_UNAUTHENTICATED, "expired");
    opening->lifetime_s = transaction_lifetime(tr, limits, opening->lifetime_s);
    opening->tenant = who->tenant;
    opening->user = who->user;
    opening->realm = who->realm;
    opening->username = transaction_username(tr);
    opening->key = who->key;
    opening->key_expires_unix_s = who->key_expires_unix_s;
    opening->on_expiry = who->on_expiry;
    opening->limits.is_strict = transaction_is_strict(tr, limits);
    opening->is_minted = who->is_minted;
    code = allocate_pool(tr, opening);
    if (code)
        return code;
    code = allocation_open(tr->engine, opening, tr->now, &tr->allocation, &shortage);
    if (code)
        return transaction_exceed(tr, code, shortage.reason, shortage.measure);
    allocate_answer(tr);
    tr->engine->counts.allocated++;
    transaction_tell(tr, EVENT_ALLOCATED, 0, NULL);
    return 0;
}

static int allocate_decide(struct transaction *tr, struct opening *opening, const struct verdict *verdict)
{
    switch (verdict->kind) {
        case VERDICT_SILENT:
        case VERDICT_ALLOW:
            return allocate_open(tr, opening, verdict);
        case VERDICT_DENY:
            return verdict->code;
        case VERDICT_REDIRECT:
            return redirect_to(tr, &verdict->alternate);
        case VERDICT_LATER:
            return TRANSACTION_PARKED;
        default:
            return STUN_SERVER_ERROR;
    }
}

/* A live 5-tuple: its own Allocate, retransmitted after its answer left the cache, is answered again; any other is a mismatch. */
static int allocate_again(struct transaction *tr)
{
    const struct allocation *allocation = tr->allocation;
    if (!transaction_is_owner(tr) || memcmp(allocation->tid, tr->message.tid, STUN_TID_LEN) != 0)
        return transaction_exceed(tr, STUN_MISMATCH, "5-tuple in use", (struct gauge){(tr->now - allocation->created) / 1000, 0});
    allocate_answer(tr);
    return 0;
}

/* allocate_stays: 0: it is for this server to grant. */
static int allocate_stays(struct transaction *tr)
{
    const int code = redirect_configured(tr);
    return code || !tr->engine->drains_until ? code : transaction_refuse(tr, STUN_CAPACITY, "draining");
}

int request_allocate(struct transaction *tr)
{
    struct opening opening = {0};
    if (tr->allocation)
        return allocate_again(tr);
    int code = allocate_stays(tr);
    if (!code)
        code = allocate_read(tr, &opening);
    if (code)
        return code;
    struct question question = {.hook = HOOK_authorize};
    struct verdict verdict;
    question_put(tr, &question, &verdict);
    return allocate_decide(tr, &opening, &verdict);
}

int request_allocate_resume(struct transaction *tr, struct verdict *verdict)
{
    struct opening opening = {0};
    if (tr->allocation)
        return allocate_again(tr);
    int code = tr->engine->drains_until ? allocate_stays(tr) : 0; /* it may have begun meanwhile */
    if (!code)
        code = allocate_read(tr, &opening);
    if (code)
        return code;
    question_check(tr, HOOK_authorize, verdict);
    return allocate_decide(tr, &opening, verdict);
}
