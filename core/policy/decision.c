/* decision.c: the constructors of decisions. */
#include "policy/decision.h"

#include "policy/meter.h"

#include "base/opaque.h"

#include <string.h>

#define PASSWORD_MAX 763

/* struct draft: a decision in the making: its texts are gathered before the userdata is. */
struct draft {
    struct decision decision;
    struct allowance allowance;
    struct slab texts;
    uint8_t bytes[(VERDICT_KEYS_MAX + 3) * (PASSWORD_MAX + 1)];
};

static struct text keep(struct draft *draft, const char *text, size_t len)
{
    const struct text kept = {.at = (uint16_t)draft->texts.len, .len = (uint16_t)len};
    slab_put(&draft->texts, view_of(text, len));
    slab_put_u8(&draft->texts, 0);
    return kept;
}

static void draft_init(lua_State *L, struct draft *draft, enum verdict_kind kind, int code)
{
    char by[REASON_MAX];
    draft->decision = (struct decision){.kind = kind, .code = code};
    draft->allowance = (struct allowance){0};
    draft->texts = slab_over(draft->bytes, sizeof draft->bytes);
    state_where(L, 1, by, sizeof by);
    draft->decision.by = keep(draft, by, strlen(by));
}

/* finish: the userdata: the struct, the allowance if `allow`, the texts. */
static int finish(lua_State *L, struct draft *draft)
{
    const bool allow = draft->decision.kind == VERDICT_ALLOW;
    const size_t head = sizeof draft->decision, allowance = allow ? sizeof draft->allowance : 0;
    if (draft->texts.overflow)
        state_raise(L, "the decision is too long");
    struct decision *out = object_new(L, OBJECT_DECISION, head + allowance + draft->texts.len);
    *out = draft->decision;
    out->allowance_at = (uint16_t)(allow ? head : 0);
    out->texts_at = (uint16_t)(head + allowance);
    if (allow)
        memcpy((char *)out + head, &draft->allowance, allowance);
    memcpy((char *)out + head + allowance, draft->bytes, draft->texts.len);
    return 1;
}

const char *decision_text(const struct decision *decision, struct text text)
{
    return text.len ? (const char *)decision + decision->texts_at + text.at : "";
}

const struct allowance *decision_allowance(const struct decision *decision)
{
    return decision->allowance_at ? (const struct allowance *)(const void *)((const char *)decision + decision->allowance_at) : NULL;
}

/* text_field: the string `name` of the table at `at`; false if it is absent and may be. */
static bool text_field(lua_State *L, struct draft *draft, int at, const char *function, const char *name, size_t longest, bool required,
                       struct text *out)
{
    char label[64];
    size_t len;
    snprintf(label, sizeof label, "%s: %s", function, name);
    if (lua_getfield(L, at, name) == LUA_TNIL && !required) {
        lua_pop(L, 1);
        return false;
    }
    const char *text = argument_text(L, -1, label, longest, &len);
    *out = keep(draft, text, len);
    lua_pop(L, 1);
    return true;
}

static void reason_argument(lua_State *L, struct draft *draft, int at, const char *function, const char *without)
{
    size_t len;
    const char *reason = without && lua_isnoneornil(L, at) ? without : argument_text(L, at, function, REASON_MAX - 1, &len);
    draft->decision.reason = keep(draft, reason, strlen(reason));
}

static int deny(lua_State *L)
{
    static const int codes[] = {401, 403, 440, 442, 443, 486, 508};
    struct draft draft;
    const lua_Integer code = luaL_checkinteger(L, 1);
    if (code == 487)
        state_raise(L, "relay.deny: 487 is an answer of ICE, not of TURN");
    bool known = false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        known |= codes[i] == code;
    if (!known)
        state_raise(L, "relay.deny: no policy may answer %I", (LUAI_UACINT)code);
    draft_init(L, &draft, VERDICT_DENY, (int)code);
    reason_argument(L, &draft, 2, "relay.deny: reason", "policy");
    return finish(L, &draft);
}

static int fail(lua_State *L)
{
    struct draft draft;
    draft_init(L, &draft, VERDICT_FAIL, STUN_SERVER_ERROR);
    reason_argument(L, &draft, 1, "relay.fail", NULL);
    return finish(L, &draft);
}

static int close(lua_State *L)
{
    struct draft draft;
    draft_init(L, &draft, VERDICT_CLOSE, 0);
    reason_argument(L, &draft, 1, "relay.close", NULL);
    return finish(L, &draft);
}

static int reauth(lua_State *L)
{
    struct draft draft;
    draft_init(L, &draft, VERDICT_REAUTH, STUN_STALE_NONCE);
    reason_argument(L, &draft, LUA_MINSTACK, "relay.reauth", "reauth");
    return finish(L, &draft);
}

/* server: the text on the top, which is popped. */
static struct addr server(lua_State *L)
{
    struct addr addr;
    size_t len;
    const char *text = argument_text(L, -1, "relay.redirect: server", ADDR_TEXT_MAX, &len);
    if (addr_parse(view_of(text, len), &addr) || addr.port == 0)
        state_raise(L, "relay.redirect: server: an address with a port expected");
    lua_pop(L, 1);
    return addr;
}

/* servers_field: "ip:port", or a list of two of them, one of each family. */
static void servers_field(lua_State *L, struct addr servers[2])
{
    if (lua_getfield(L, 1, "server") != LUA_TTABLE) {
        servers[0] = server(L);
        return;
    }
    for (lua_Integer i = 0; i < 2; i++) {
        lua_rawgeti(L, -1, i + 1);
        servers[i] = server(L);
    }
    if (lua_rawlen(L, -1) != 2 || servers[0].family == servers[1].family)
        state_raise(L, "relay.redirect: server: an IPv4 and an IPv6 address expected");
    lua_pop(L, 1);
}

static int redirect(lua_State *L)
{
    static const char *const names[] = {"server", "domain"};
    struct draft draft;
    strict_only(L, 1, "relay.redirect", names, 2);
    draft_init(L, &draft, VERDICT_REDIRECT, STUN_TRY_ALTERNATE);
    servers_field(L, draft.decision.servers);
    if (text_field(L, &draft, 1, "relay.redirect", "domain", DOMAIN_MAX_LEN, false, &draft.decision.domain) &&
        !addr_is_domain(view_of(draft.bytes + draft.decision.domain.at, draft.decision.domain.len)))
        state_raise(L, "relay.redirect: domain: a domain name expected");
    draft.decision.reason = keep(&draft, "redirect", 8);
    return finish(L, &draft);
}

/* options: the table at 2, or an empty one */
static void options(lua_State *L, const char *function, const char *name)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    strict_only(L, 2, function, &name, 1);
}

static int lookup(lua_State *L)
{
    struct draft draft;
    size_t len;
    options(L, "relay.lookup", "tenant");
    draft_init(L, &draft, VERDICT_LOOKUP, 0);
    const char *user = argument_text(L, 1, "relay.lookup: user", USERNAME_MAX_LEN, &len);
    draft.decision.user = keep(&draft, user, len);
    text_field(L, &draft, 2, "relay.lookup", "tenant", NAME_MAX_LEN, false, &draft.decision.tenant);
    return finish(L, &draft);
}

/* realm_field: of relay.tenant: what clients are challenged with is prepared (RFC 8489 section 14.9). */
static void realm_field(lua_State *L, struct draft *draft)
{
    char prepared[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    size_t len;
    if (lua_getfield(L, 2, "realm") != LUA_TNIL) {
        const char *text = argument_text(L, -1, "relay.tenant: realm", REALM_MAX_LEN, &len);
        if (opaque_enforce(view_of(text, len), prepared, &len, why) || len > REALM_MAX_LEN)
            state_raise(L, "relay.tenant: realm %s", len > REALM_MAX_LEN ? "is too long" : why);
        draft->decision.realm = keep(draft, prepared, len);
    }
    lua_pop(L, 1);
}

static int tenant(lua_State *L)
{
    struct draft draft;
    size_t len;
    options(L, "relay.tenant", "realm");
    draft_init(L, &draft, VERDICT_TENANT, 0);
    const char *id = argument_text(L, 1, "relay.tenant", NAME_MAX_LEN, &len);
    draft.decision.tenant = keep(&draft, id, len);
    realm_field(L, &draft);
    return finish(L, &draft);
}

/* password: the one on the top, if it may be one. */
static struct text password(lua_State *L, struct draft *draft, const char *label)
{
    char prepared[OPAQUE_MAX_LEN + 1], why[OPAQUE_WHY_MAX];
    size_t len, prepared_len;
    const char *text = argument_text(L, -1, label, PASSWORD_MAX, &len);
    const int err = opaque_enforce(view_of(text, len), prepared, &prepared_len, why);
    crypto_wipe(prepared, sizeof prepared);
    if (err)
        state_raise(L, "%s %s", label, why);
    return keep(draft, text, len);
}

static void passwords_field(lua_State *L, struct draft *draft)
{
    struct decision *decision = &draft->decision;
    lua_getfield(L, 1, "passwords");
    if (!lua_istable(L, -1))
        state_raise(L, "relay.key: passwords: a list expected, got %s", luaL_typename(L, -1));
    const size_t count = lua_rawlen(L, -1);
    if (count > VERDICT_KEYS_MAX)
        state_raise(L, "relay.key: more than %d passwords", VERDICT_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        decision->passwords[i] = password(L, draft, "relay.key: passwords");
        lua_pop(L, 1);
    }
    decision->password_count = (uint8_t)count;
    lua_pop(L, 1);
}

/* key_field: the key in the field `name` of relay.key, if it is there, into `out` of `size` bytes. */
static bool key_field(lua_State *L, const char *name, uint8_t *out, size_t size)
{
    size_t len;
    char what[32];
    const bool is_there = lua_getfield(L, 1, name) != LUA_TNIL;
    if (is_there) {
        snprintf(what, sizeof what, "relay.key: %s", name);
        const char *hex = argument_text(L, -1, what, 2 * size, &len);
        if (len != 2 * size || crypto_hex_decode(view_of(hex, len), out, size))
            state_raise(L, "%s: %d hexadecimal digits expected", what, (int)(2 * size));
    }
    lua_pop(L, 1);
    return is_there;
}

/* mac_key_field: what the access token says, for either kind of integrity. */
static bool mac_key_field(lua_State *L, struct decision *decision)
{
    const bool is_long = lua_getfield(L, 1, "mac_key") == LUA_TSTRING && lua_rawlen(L, -1) == 2 * TOKEN_MAC_KEY_SHA256_LEN;
    lua_pop(L, 1);
    const uint8_t len = is_long ? TOKEN_MAC_KEY_SHA256_LEN : TOKEN_MAC_KEY_LEN;
    if (!key_field(L, "mac_key", decision->mac_key, len))
        return false;
    decision->mac_key_len = len;
    return true;
}

static void expiry_fields(lua_State *L, struct decision *decision)
{
    if (lua_getfield(L, 1, "expires") != LUA_TNIL) {
        if (!lua_isinteger(L, -1))
            state_raise(L, "relay.key: expires: unix seconds expected");
        decision->expires_unix_s = lua_tointeger(L, -1);
        if (decision->expires_unix_s < 1)
            decision->expires_unix_s = 1; /* long ago: 0 would mean never */
    }
    if (lua_getfield(L, 1, "on_expiry") != LUA_TNIL) {
        const char *on_expiry = argument_text(L, -1, "relay.key: on_expiry", NAME_MAX_LEN, NULL);
        decision->reauth_on_expiry = strcmp(on_expiry, "reauth") == 0;
        if (!decision->reauth_on_expiry && strcmp(on_expiry, "keep") != 0)
            state_raise(L, "relay.key: on_expiry: 'keep' or 'reauth' expected");
    }
    lua_pop(L, 2);
}

static int key(lua_State *L)
{
    static const char *const names[] = {"user", "tenant", "password", "passwords", "ha1", "ha1_sha256", "mac_key", "expires", "on_expiry"};
    struct draft draft;
    strict_only(L, 1, "relay.key", names, sizeof names / sizeof *names);
    draft_init(L, &draft, VERDICT_KEY, 0);
    text_field(L, &draft, 1, "relay.key", "user", NAME_MAX_LEN, true, &draft.decision.user);
    text_field(L, &draft, 1, "relay.key", "tenant", NAME_MAX_LEN, false, &draft.decision.tenant);
    int sources = 0;
    draft.decision.has_ha1 = key_field(L, "ha1", draft.decision.ha1, sizeof draft.decision.ha1);
    draft.decision.has_ha1_sha256 = key_field(L, "ha1_sha256", draft.decision.ha1_sha256, sizeof draft.decision.ha1_sha256);
    if (draft.decision.has_ha1 || draft.decision.has_ha1_sha256)
        sources = 1;
    sources += mac_key_field(L, &draft.decision);
    if (lua_getfield(L, 1, "passwords") != LUA_TNIL && ++sources)
        passwords_field(L, &draft);
    if (lua_getfield(L, 1, "password") != LUA_TNIL && ++sources) {
        draft.decision.passwords[0] = password(L, &draft, "relay.key: password");
        draft.decision.password_count = 1;
    }
    if (sources != 1)
        state_raise(L, "relay.key: one of password, passwords, ha1 and mac_key expected");
    expiry_fields(L, &draft.decision);
    return finish(L, &draft);
}

#define TAG_COUNT_MAX 32

/* tag_names: the names of the tags in the table on the top, sorted. */
static size_t tag_names(lua_State *L, const char *names[TAG_COUNT_MAX])
{
    size_t count = 0, len;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
        if (!name || count == TAG_COUNT_MAX || len == 0 || strcspn(name, "=,") != len)
            state_raise(L, "relay.allow: tags: at most %d names without ',' and '=' expected", TAG_COUNT_MAX);
        size_t at = count++;
        for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)
            names[at] = names[at - 1];
        names[at] = name;
    }
    return count;
}

/* tags_field: the table on the top as "k=v,k=v". */
static void tags_field(lua_State *L, struct limits *limits)
{
    const char *names[TAG_COUNT_MAX];
    if (!lua_istable(L, -1))
        state_raise(L, "relay.allow: tags: a table expected, got %s", luaL_typename(L, -1));
    struct slab out = slab_over(limits->tags, sizeof limits->tags - 1);
    const size_t count = tag_names(L, names);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const bool plain = lua_getfield(L, -1, names[i]) != LUA_TTABLE;
        const char *value = luaL_tolstring(L, -1, &len);
        if (!plain || strcspn(value, ",") != len)
            state_raise(L, "relay.allow: tags: plain values without ',' expected");
        if (i)
            slab_put_u8(&out, ',');
        slab_put_text(&out, names[i]);
        slab_put_u8(&out, '=');
        slab_put(&out, view_of(value, len));
        lua_pop(L, 2);
    }
    if (out.overflow)
        state_raise(L, "relay.allow: tags: longer than %d bytes", TAGS_MAX - 1);
    limits->tags[out.len] = 0;
}

#define LIMIT(name, field, flag)                                                                                                           \
    {                                                                                                                                      \
        name, offsetof(struct limits, field), sizeof((struct limits){0}.field), flag                                                       \
    }

static const struct {
    const char *name;
    size_t offset, size;
    enum limit flag;
} limit_rows[] = {
    LIMIT("total_quota", total_quota, LIMIT_OTHER),
    LIMIT("realm_quota", realm_quota, LIMIT_OTHER),
    LIMIT("user_quota", user_quota, LIMIT_OTHER),
    LIMIT("max_lifetime", max_lifetime_s, LIMIT_MAX_LIFETIME),
    LIMIT("max_permissions", max_permissions, LIMIT_OTHER),
    LIMIT("max_channels", max_channels, LIMIT_OTHER),
    LIMIT("max_bps", max_bps, LIMIT_MAX_BPS),
};
#define LIMIT_ROWS (sizeof limit_rows / sizeof *limit_rows)

static void limit_field(lua_State *L, struct draft *draft, size_t row)
{
    const lua_Integer most = limit_rows[row].size == sizeof(uint32_t) ? UINT32_MAX : LUA_MAXINTEGER;
    const lua_Integer value = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (value < 1 || value > most)
        state_raise(L, "relay.allow: %s: an integer from 1 to %I expected, got %s", limit_rows[row].name, (LUAI_UACINT)most,
                    luaL_tolstring(L, -1, NULL));
    char *at = (char *)&draft->allowance.limits + limit_rows[row].offset;
    if (limit_rows[row].size == sizeof(uint32_t))
        memcpy(at, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    else
        memcpy(at, &(uint64_t){(uint64_t)value}, sizeof(uint64_t));
    draft->decision.limits_given |= (uint8_t)limit_rows[row].flag;
}

static int allow(lua_State *L)
{
    const char *names[LIMIT_ROWS + 3] = {"permission_acl", "tags", "meter"};
    struct draft draft;
    for (size_t i = 0; i < LIMIT_ROWS; i++)
        names[i + 3] = limit_rows[i].name;
    draft_init(L, &draft, VERDICT_ALLOW, 0);
    if (lua_isnoneornil(L, 1))
        return finish(L, &draft);
    strict_only(L, 1, "relay.allow", names, sizeof names / sizeof *names);
    for (size_t i = 0; i < LIMIT_ROWS; i++) {
        if (lua_getfield(L, 1, limit_rows[i].name) != LUA_TNIL)
            limit_field(L, &draft, i);
        lua_pop(L, 1);
    }
    if (lua_getfield(L, 1, "permission_acl") != LUA_TNIL) {
        draft.allowance.limits.acl = *(struct cidr_set **)object_check(L, -1, OBJECT_CIDR, "relay.allow: permission_acl: a relay.cidr");
        draft.decision.limits_given |= LIMIT_OTHER;
    }
    if (lua_getfield(L, 1, "tags") != LUA_TNIL) {
        tags_field(L, &draft.allowance.limits);
        draft.decision.limits_given |= LIMIT_OTHER;
    }
    if (lua_getfield(L, 1, "meter") != LUA_TNIL) {
        draft.allowance.metering = meter_field(L, -1);
        draft.decision.limits_given |= LIMIT_OTHER;
    }
    return finish(L, &draft);
}

static const char *const kind_names[] = {
    [VERDICT_ALLOW] = "allow",   [VERDICT_DENY] = "deny",     [VERDICT_KEY] = "key",
    [VERDICT_LOOKUP] = "lookup", [VERDICT_TENANT] = "tenant", [VERDICT_REDIRECT] = "redirect",
    [VERDICT_REAUTH] = "reauth", [VERDICT_CLOSE] = "close",   [VERDICT_FAIL] = "fail",
};

const char *decision_kind(const struct decision *decision)
{
    return kind_names[decision->kind];
}

static int refuse_read(lua_State *L)
{
    return luaL_error(L, "a decision cannot be read");
}

static int show(lua_State *L)
{
    const struct decision *decision = object_check(L, 1, OBJECT_DECISION, "a decision");
    lua_pushfstring(L, "relay.%s by %s", decision_kind(decision), decision_text(decision, decision->by));
    return 1;
}

void decision_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"deny", deny},         {"allow", allow},   {"key", key},     {"lookup", lookup}, {"tenant", tenant},
        {"redirect", redirect}, {"reauth", reauth}, {"close", close}, {"fail", fail},     {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__index", refuse_read}, {"__tostring", show}, {NULL, NULL}};
    object_define(L, OBJECT_DECISION, "decision", NULL, meta);
    luaL_setfuncs(L, functions, 0);
}
