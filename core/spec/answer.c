/* answer.c: what relay.testing is told of a request that was answered. */
#include "spec/client.h"

#include "wire/attr.h"

#include <lauxlib.h>

static void push_address(lua_State *L, const char *name, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    lua_pushstring(L, addr_format(addr, text));
    lua_setfield(L, -2, name);
}

static uint64_t strictest_of(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

static void row_limit(lua_State *L, const char *name, uint64_t configured, uint64_t given)
{
    if (configured || given)
        row_number(L, name, strictest_of(configured, given));
}

static void push_limits(lua_State *L, const struct engine_config *config, const struct limits *limits)
{
    lua_newtable(L);
    row_limit(L, "total_quota", config->total_quota, limits->total_quota);
    row_limit(L, "realm_quota", 0, limits->realm_quota);
    row_limit(L, "user_quota", config->user_quota, limits->user_quota);
    row_limit(L, "max_lifetime", 0, limits->max_lifetime_s);
    row_limit(L, "max_permissions", 0, limits->max_permissions);
    row_limit(L, "max_channels", 0, limits->max_channels);
    row_limit(L, "max_bps", 0, limits->max_bps);
    row_limit(L, "max_pps", 0, limits->max_pps);
    row_limit(L, "max_user_bps", 0, limits->max_user_bps);
    row_limit(L, "max_new_peers", 0, limits->max_new_peers);
    lua_setfield(L, -2, "limits");
}

/* put_allocation: what an allocation says of an answer, into the table at the top. */
void answer_put_allocation(struct world *w, const struct allocation *a)
{
    lua_State *L = w->lua;
    row_number(L, "lifetime", (uint64_t)(a->expires - w->now) / 1000);
    row_number(L, "allocation", a->id);
    row_text(L, "user", a->user);
    row_text(L, "tenant", a->tenant);
    row_text(L, "realm", a->realm);
    row_text(L, "group", a->group_name);
    row_tags(L, a);
    push_limits(L, &w->config, a->limits);
    push_address(L, "relayed", &a->relayed_shown);
    push_address(L, "mapped", &a->flow.client);
}

/* put_message: what the answer itself says, over what the allocation says. */
void answer_put_message(lua_State *L, const struct message *message)
{
    uint32_t lifetime_s;
    uint64_t token;
    struct addr addr;
    char hex[17];
    if (attr_u32(message, SLOT_LIFETIME, &lifetime_s) == 0)
        row_number(L, "lifetime", lifetime_s);
    if (attr_xor_addr(message, SLOT_XOR_RELAYED_ADDRESS, &addr) == 0)
        push_address(L, "relayed", &addr);
    if (attr_xor_addr(message, SLOT_XOR_MAPPED_ADDRESS, &addr) == 0)
        push_address(L, "mapped", &addr);
    if (attr_u64(message, SLOT_RESERVATION_TOKEN, &token) == 0) {
        crypto_hex(message_attr(message, SLOT_RESERVATION_TOKEN), hex);
        row_text(L, "reservation", hex);
    }
}

/* ALTERNATE-SERVER: as MAPPED-ADDRESS, RFC 8489 section 14.1 */
static void put_alternate(lua_State *L, const struct message *message)
{
    const struct view value = message_attr(message, SLOT_ALTERNATE_SERVER);
    if (value.len != 8 && value.len != 20)
        return;
    const struct addr addr = value.len == 8 ? addr_v4(value.at + 4, get_u16(value.at + 2)) : addr_v6(value.at + 4, get_u16(value.at + 2));
    push_address(L, "server", &addr);
    const struct view domain = message_attr(message, SLOT_ALTERNATE_DOMAIN);
    if (domain.len) {
        lua_pushlstring(L, (const char *)domain.at, domain.len);
        lua_setfield(L, -2, "domain");
    }
}

void answer_push_refused(struct world *w, const struct client *c, int code)
{
    lua_State *L = w->lua;
    const struct refusal *refusal = &w->refusal;
    const bool told = refusal->code != 0, again = w->reauth.kind != VERDICT_SILENT && code == STUN_STALE_NONCE;
    lua_newtable(L);
    row_text(L, "reason",
             told                           ? refusal->reason
             : again                        ? w->reauth.reason
             : code == STUN_UNAUTHENTICATED ? "unauthenticated"
                                            : stun_code_reason(code));
    row_text(L, "by", told ? refusal->by : again ? w->reauth.by : "core");
    put_alternate(L, &c->message);
}
