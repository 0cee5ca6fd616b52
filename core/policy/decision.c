/* decision.c: the constructors of decisions. */
#include "policy/decision.h"

#include "policy/answer.h"

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
    struct draft draft;
    const lua_Integer code = luaL_checkinteger(L, 1);
    if (code == 487)
        state_raise(L, "relay.deny: 487 is an answer of ICE, not of TURN");
    if (code < 0 || code > INT_MAX || !answer_has_code((int)code))
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
    struct draft draft;
    strict_only(L, 1, "relay.redirect", &redirect_given);
    draft_init(L, &draft, VERDICT_REDIRECT, STUN_TRY_ALTERNATE);
    servers_field(L, draft.decision.servers);
    if (text_field(L, &draft, 1, "relay.redirect", "domain", DOMAIN_MAX_LEN, false, &draft.decision.domain) &&
        !addr_is_domain(view_of(draft.bytes + draft.decision.domain.at, draft.decision.domain.len)))
        state_raise(L, "relay.redirect: domain: a domain name expected");
    draft.decision.reason = keep(&draft, "redirect", 8);
    return finish(L, &draft);
}

/* options: the table at 2, or an empty one */
static void options(lua_State *L, const struct shown *given)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    strict_only(L, 2, given->label, given);
}

static int lookup(lua_State *L)
{
    struct draft draft;
    size_t len;
    options(L, &lookup_given);
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
    options(L, &tenant_given);
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
        static const char *const words[] = {[ON_EXPIRY_KEEP] = "keep", [ON_EXPIRY_REAUTH] = "reauth", [ON_EXPIRY_STRICT] = "strict"};
        const char *word = argument_text(L, -1, "relay.key: on_expiry", NAME_MAX_LEN, NULL);
        unsigned at = 0;
        while (at <= ON_EXPIRY_STRICT && strcmp(words[at], word) != 0)
            at++;
        if (at > ON_EXPIRY_STRICT)
            state_raise(L, "relay.key: on_expiry: 'keep', 'reauth' or 'strict' expected");
        decision->on_expiry = at;
    }
    lua_pop(L, 2);
}

static int key(lua_State *L)
{
    struct draft draft;
    strict_only(L, 1, "relay.key", &key_given);
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

static int allow(lua_State *L)
{
    struct draft draft;
    draft_init(L, &draft, VERDICT_ALLOW, 0);
    if (!lua_isnoneornil(L, 1))
        draft.decision.limits_given = allowance_read(L, 1, &draft.allowance);
    return finish(L, &draft);
}

static const struct member key_members[] = {
    FIELD("user", "string", "whom quotas count"),
    FIELD("tenant", "string?", "else that of `route`"),
    FIELD("password", "string?", "at most 763 bytes"),
    FIELD("passwords", "string[]?", "in place of `password`: up to eight, tried in order"),
    FIELD("ha1", "string?", "in place of passwords: MD5 of `username:realm:password`, 32 hexadecimal digits"),
    FIELD("ha1_sha256", "string?", "SHA-256 of the same, 64 hexadecimal digits; beside `ha1` or alone; counts where `offer-sha256` is on"),
    FIELD("mac_key", "string?",
          "the key that comes with an access token, 40 hexadecimal digits for clients with MESSAGE-INTEGRITY, 64 for "
          "MESSAGE-INTEGRITY-SHA256; in place of the above. The allocation ends at `expires` unless a Refresh shows a new token"),
    FIELD("expires", "integer?", "unix seconds; then the key opens no new allocation"),
    FIELD("on_expiry", "\"keep\"|\"reauth\"|\"strict\"|nil",
          "`\"keep\"` (the default): an allocation may outlive its key; `\"reauth\"`: it is asked anew; `\"strict\"`: it ends then"),
};
const struct shown key_given = SHOWN(ROLE_GIVEN, "relay.key", "", key_members);

static const struct member lookup_members[] = {FIELD("tenant", "string?", "else that of `route`")};
const struct shown lookup_given = SHOWN(ROLE_GIVEN, "relay.lookup", "", lookup_members);

static const struct member tenant_members[] = {
    FIELD("realm", "string?", "with which clients are challenged, at most 127 bytes; else the default realm"),
};
const struct shown tenant_given = SHOWN(ROLE_GIVEN, "relay.tenant", "", tenant_members);

static const struct member redirect_members[] = {
    FIELD("server", "string|string[]", "`\"ip:port\"`, or `{\"ip4:port\", \"[ip6]:port\"}`"),
    FIELD("domain", "string?", "whose certificate that server has, told to clients over TLS and DTLS; at most 255 bytes"),
};
const struct shown redirect_given = SHOWN(ROLE_GIVEN, "relay.redirect", "", redirect_members);

static const struct member decision_members[] = {
    CALL("deny", "fun(code: code, reason?: string): deny",
         "`reason`: at most 95 bytes, else `\"policy\"`; the log shows it, the client does not", deny, 0),
    CALL("allow", "fun(limits?: relay.allow): allow", "granted, within these limits", allow, 0),
    CALL("key", "fun(key: relay.key): key", "what the client has to sign with", key, 0),
    CALL("lookup", "fun(user: string, options?: relay.lookup): lookup", "the key of that user in the users database; nobody there: 401",
         lookup, 0),
    CALL("tenant", "fun(id: string, options?: relay.tenant): tenant", "whose client it is", tenant, 0),
    CALL("redirect", "fun(to: relay.redirect): redirect",
         "300 to that server, of the client's family; if it has none of that it has failed", redirect, 0),
    CALL("reauth", "fun(): reauth", "438: the client has to show its password again", reauth, 0),
    CALL("close", "fun(why: string): close", "ends the allocation with this reason", close, 0),
    CALL("fail", "fun(why: string): fail", "the hook has failed: 500, but see `refresh`", fail, 0),
};
const struct shown decisions_shown =
    SHOWN(ROLE_LIBRARY, "relay",
          "Decisions: values that a script can only return. What is wrong with them raises where they are built; build constants at load. "
          "Names of users and tenants have at most 128 bytes (`relay.lookup`: 763).",
          decision_members);

static const char *const kind_names[] = {
    [VERDICT_ALLOW] = "allow",   [VERDICT_DENY] = "deny",     [VERDICT_KEY] = "key",
    [VERDICT_LOOKUP] = "lookup", [VERDICT_TENANT] = "tenant", [VERDICT_REDIRECT] = "redirect",
    [VERDICT_REAUTH] = "reauth", [VERDICT_CLOSE] = "close",   [VERDICT_FAIL] = "fail",
};

const char *decision_kind(const struct decision *decision)
{
    return kind_names[decision->kind];
}

const char *policy_answer_name(enum verdict_kind kind)
{
    const char *name = kind < sizeof kind_names / sizeof *kind_names ? kind_names[kind] : NULL;
    return name ? name : "nothing";
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
    static const luaL_Reg meta[] = {{"__index", refuse_read}, {"__tostring", show}, {NULL, NULL}};
    object_define(L, OBJECT_DECISION, "decision", NULL, meta);
}
