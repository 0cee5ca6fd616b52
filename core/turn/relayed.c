/* relayed.c: choosing and opening a relayed transport address, RFC 8656 section 7.2. */
#include "base/err.h"
#include "turn/state.h"

#include <string.h>

#define BUSY_MAX 16 /* ports that other programs hold, passed over for one allocation */

struct port_pick {
    uint32_t address;
    uint16_t port;
};

/* relayed_fits: whether it is an address of the pool ("": of none; NULL: of any) and of the family. */
static bool relayed_fits(const struct relay_address *relay, const char *pool, uint8_t family)
{
    return relay->local.family == family && (!pool || strcmp(relay->pool ? relay->pool : "", pool) == 0);
}

bool relayed_has_family(const struct engine *engine, const char *pool, uint8_t family)
{
    for (uint32_t i = 0; i < engine->config->relay_count; i++)
        if (relayed_fits(&engine->config->relays[i], pool, family))
            return true;
    return false;
}

/* tickets are bound to (tenant, user); who came with an access token, to the tenant: the user is the name of a key, which another token of
 * the same client need not be under */
static uint64_t relayed_owner(const struct engine *engine, const struct opening *opening)
{
    return engine_digest(engine, opening->tenant, opening->key.of_token ? "" : opening->user);
}

static struct ports *relayed_ports(const struct engine *engine, uint8_t protocol)
{
    return protocol == PROTOCOL_TCP ? engine->shared.tcp_ports : engine->shared.ports;
}

static int relayed_bind(struct engine *engine, struct allocation *allocation, struct port_pick pick)
{
    const struct host *host = engine->host;
    const struct relay_address *relay = &engine->config->relays[pick.address];
    struct addr local = relay->local;
    local.port = pick.port;
    int (*open)(void *, const struct addr *, struct handle, int *) =
        allocation->protocol == PROTOCOL_TCP ? host->tcp->listen : host->relay_open;
    int sock;
    const int err = open(host->ctx, &local, allocation->self, &sock);
    if (err)
        return err;
    allocation->sock = sock;
    allocation->address = pick.address;
    allocation->relayed = local;
    allocation->relayed_shown = relay->shown;
    allocation->relayed_shown.port = pick.port;
    const struct port_hold hold = {allocation->group, {engine->worker, allocation->self}};
    ports_hold(relayed_ports(engine, allocation->protocol), pick.address, pick.port, &hold);
    return 0;
}

/* relayed_pick: a free port of the family, relay addresses tried in turn from a random one. */
static int relayed_pick(const struct engine *engine, const struct opening *opening, struct port_pick *pick)
{
    uint32_t random[2];
    crypto_draw(engine->crypto, random, sizeof random);
    const uint32_t count = engine->config->relay_count;
    for (uint32_t i = 0; i < count; i++) {
        pick->address = (random[0] % count + i) % count;
        if (relayed_fits(&engine->config->relays[pick->address], opening->pool, opening->family) &&
            ports_take(relayed_ports(engine, opening->protocol), pick->address, opening->want, random[1], &pick->port) == 0)
            return 0;
    }
    return ERR_BUSY;
}

static void relayed_give(struct engine *engine, const struct opening *opening, struct port_pick pick)
{
    struct ports *ports = relayed_ports(engine, opening->protocol);
    ports_give(ports, pick.address, pick.port);
    if (opening->want == PORTS_PAIR)
        ports_give(ports, pick.address, (uint16_t)(pick.port + 1));
}

/* A port that another program holds stays taken until one is found, so that it is not tried twice. */
static int relayed_search(struct engine *engine, struct allocation *allocation, const struct opening *opening)
{
    struct port_pick busy[BUSY_MAX], pick = {0};
    size_t count = 0;
    int err;
    do {
        err = relayed_pick(engine, opening, &pick);
        if (err)
            break;
        err = relayed_bind(engine, allocation, pick);
        if (err)
            busy[count++] = pick;
    } while (err == ERR_BUSY && count < BUSY_MAX);
    while (count > 0)
        relayed_give(engine, opening, busy[--count]);
    return err;
}

static int relayed_reserve(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now)
{
    const uint16_t port = (uint16_t)(allocation->relayed.port + 1);
    const struct ticket_port sibling = {allocation->address, port, allocation->relayed.family};
    const int err = tickets_issue(engine->shared.tickets, &sibling, relayed_owner(engine, opening), now, &allocation->rare->reservation);
    if (err)
        ports_give(engine->shared.ports, allocation->address, port);
    return err;
}

static int relayed_claim(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now)
{
    struct ticket_port port;
    int err = tickets_claim(engine->shared.tickets, opening->token, relayed_owner(engine, opening), now, &port);
    if (err)
        return err;
    err = relayed_bind(engine, allocation, (struct port_pick){port.address, port.port});
    if (err)
        ports_give(engine->shared.ports, port.address, port.port);
    return err;
}

/* relayed_swap: the first becomes the other, and the other way round. */
static void relayed_swap(struct allocation *allocation)
{
    const struct relayed first = {allocation->relayed, allocation->relayed_shown, allocation->sock, allocation->address};
    struct relayed *other = &allocation->rare->other;
    allocation->relayed = other->local;
    allocation->relayed_shown = other->shown;
    allocation->sock = other->sock;
    allocation->address = other->address;
    *other = first;
}

/* relayed_open_both: IPv4 first, as section 7.2 has it; one of them is enough. */
static int relayed_open_both(struct engine *engine, struct allocation *allocation, const struct opening *opening)
{
    struct opening one = *opening;
    one.family = ADDR_IPV6;
    const bool has_v6 = relayed_search(engine, allocation, &one) == 0;
    relayed_swap(allocation);
    one.family = ADDR_IPV4;
    const bool has_v4 = relayed_search(engine, allocation, &one) == 0;
    if (!has_v4)
        relayed_swap(allocation);
    if (has_v4 && has_v6)
        return 0;
    struct rare *rare = allocation->rare;
    rare->refused_family = has_v4 ? ADDR_IPV6 : ADDR_IPV4;
    rare->refused_code = relayed_has_family(engine, opening->pool, rare->refused_family) ? STUN_CAPACITY : STUN_FAMILY_UNSUPPORTED;
    return has_v4 || has_v6 ? 0 : ERR_BUSY;
}

/* relayed_held: how many ports that would do are held. */
static struct gauge relayed_held(const struct engine *engine, const struct opening *opening)
{
    const struct ports *ports = relayed_ports(engine, opening->protocol);
    struct gauge gauge = {0, 0};
    for (uint32_t i = 0; i < engine->config->relay_count; i++) {
        if (!relayed_fits(&engine->config->relays[i], opening->pool, opening->family))
            continue;
        gauge.limit += ports_count(ports);
        gauge.held += ports_count(ports) - ports_free_count(ports, i);
    }
    return gauge;
}

int relayed_open(struct engine *engine, struct allocation *allocation, const struct opening *opening, msec_t now, struct shortage *shortage)
{
    if (opening->has_token) {
        shortage->reason = "reservation_token";
        return relayed_claim(engine, allocation, opening, now) ? STUN_CAPACITY : 0;
    }
    *shortage = (struct shortage){.reason = "no_port"};
    if (opening->has_additional)
        return relayed_open_both(engine, allocation, opening) ? STUN_CAPACITY : 0;
    if (relayed_search(engine, allocation, opening) != 0) {
        shortage->measure = relayed_held(engine, opening);
        return STUN_CAPACITY;
    }
    shortage->reason = "no_reservation";
    if (opening->want == PORTS_PAIR && relayed_reserve(engine, allocation, opening, now) != 0)
        return STUN_CAPACITY;
    return 0;
}

bool relayed_has_both(const struct allocation *allocation)
{
    return allocation->rare && allocation->rare->other.sock >= 0;
}

bool relayed_is_own(const struct allocation *allocation, const struct addr *local)
{
    return addr_equal(local, &allocation->relayed) || (relayed_has_both(allocation) && addr_equal(local, &allocation->rare->other.local));
}

int relayed_sock(const struct allocation *allocation, uint8_t family)
{
    if (family == allocation->relayed.family)
        return allocation->sock;
    return allocation->rare && family == allocation->rare->other.local.family ? allocation->rare->other.sock : -1;
}

static void relayed_close_first(struct engine *engine, struct allocation *allocation)
{
    const struct host *host = engine->host;
    if (allocation->sock < 0)
        return;
    (allocation->protocol == PROTOCOL_TCP ? host->tcp->close : host->relay_close)(host->ctx, allocation->sock);
    allocation->sock = -1;
    if (allocation->rare && allocation->rare->reservation)
        tickets_cancel(engine->shared.tickets, allocation->rare->reservation);
    ports_give(relayed_ports(engine, allocation->protocol), allocation->address, allocation->relayed.port);
}

void relayed_close_one(struct engine *engine, struct allocation *allocation, uint8_t family)
{
    if (family != allocation->relayed.family)
        relayed_swap(allocation);
    relayed_close_first(engine, allocation);
    relayed_swap(allocation);
}

void relayed_close(struct engine *engine, struct allocation *allocation)
{
    relayed_close_first(engine, allocation);
    if (allocation->rare)
        relayed_close_one(engine, allocation, allocation->rare->other.local.family);
}
