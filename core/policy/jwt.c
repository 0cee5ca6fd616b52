/* jwt.c: relay.jwt: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515: what a token claims, once one of our keys has signed it.
 *
 * The keys decide how a signature is verified; the header only chooses among them. Nothing of the payload is looked at before.
 */
#include "policy/keys.h"
#include "policy/library.h"
#include "policy/shared.h"
#include "policy/state.h"
#include "policy/tree.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define TOKEN_MAX 8192
#define LEEWAY_MAX 3600
#define DEPTH_MAX 16             /* of what is claimed */
#define TOKEN_INSTRUCTIONS 500   /* what reading a token costs */
#define VERIFY_INSTRUCTIONS 5000 /* and what each key that is tried does */

/* struct jwt: views of the text, and what was decoded. */
struct jwt {
    struct view header, payload, signature, signed_text;
    uint8_t bytes[TOKEN_MAX];
};

/* struct demands: what verify was called with. */
struct demands {
    const char *audience, *issuer; /* NULL: none */
    double leeway, now;
};

static int load_keys(lua_State *L)
{
    struct source *source = library_file(L, "relay.jwt.keys", &keys_kind);
    *(struct source **)object_new(L, OBJECT_KEYS, sizeof source) = source;
    return 1;
}

/* take_part: the base64url before `end`, decoded behind what is in `out`. */
static bool take_part(const uint8_t *from, const uint8_t *end, struct slab *out, struct view *part)
{
    size_t len;
    if (crypto_base64url_decode(view_of(from, (size_t)(end - from)), out->at + out->len, out->cap - out->len, &len))
        return false;
    *part = view_of(out->at + out->len, len);
    out->len += len;
    return true;
}

/* jwt_parse: three parts with dots between, RFC 7515 section 3.1. */
static bool jwt_parse(struct jwt *token, struct view text)
{
    struct slab out = slab_over(token->bytes, sizeof token->bytes);
    const uint8_t *end = text.at + text.len, *first = memchr(text.at, '.', text.len);
    const uint8_t *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return false;
    token->signed_text = view_of(text.at, (size_t)(second - text.at));
    return take_part(text.at, first, &out, &token->header) && take_part(first + 1, second, &out, &token->payload) &&
           take_part(second + 1, end, &out, &token->signature);
}

static json_t *object_of(struct view text)
{
    json_t *object = json_loadb((const char *)text.at, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

/* find_signer: NULL if one of the keys that the header chooses has signed; else why not. A key without a name fits every name. */
static const char *find_signer(lua_State *L, const struct keys *keys, const struct jwt *token, const json_t *header)
{
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");
    const char *name = json_string_value(kid), *why = "algorithm not allowed";
    if (!algorithm || (kid && !name) || json_object_get(header, "crit")) /* extensions that must be understood: RFC 7515 section 4.1.11 */
        return "malformed token";
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->key[i];
        if (strcmp(key->algorithm, algorithm) != 0)
            continue;
        if (name && key->kid && strcmp(key->kid, name) != 0) {
            why = strcmp(why, "bad signature") == 0 ? why : "unknown key";
            continue;
        }
        budget_charge(L, VERIFY_INSTRUCTIONS);
        if (key_verify(key, policy_of(L)->world.crypto, token->signed_text, token->signature))
            return NULL;
        why = "bad signature";
    }
    return why;
}

/* is_for: whether `aud`, a string or a list of them, names us. RFC 7519 section 4.1.3 */
static bool is_for(const json_t *aud, const char *audience)
{
    if (!audience)
        return aud == NULL;
    if (json_is_string(aud))
        return strcmp(json_string_value(aud), audience) == 0;
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (json_is_string(json_array_get(aud, i)) && strcmp(json_string_value(json_array_get(aud, i)), audience) == 0)
            return true;
    return false;
}

/* refuse_claims: why these are not to be honoured now, or NULL. */
static const char *refuse_claims(const json_t *claims, const struct demands *demands)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    const char *iss = json_string_value(json_object_get(claims, "iss"));
    if (!json_is_number(exp) || (nbf && !json_is_number(nbf)))
        return "malformed claims";
    if (!(demands->now < json_number_value(exp) + demands->leeway))
        return "expired";
    if (nbf && !(demands->now + demands->leeway >= json_number_value(nbf)))
        return "not yet valid";
    if (!is_for(json_object_get(claims, "aud"), demands->audience))
        return "wrong audience";
    if (demands->issuer && (!iss || strcmp(iss, demands->issuer) != 0))
        return "wrong issuer";
    return NULL;
}

/* struct reading: JSON that is freed also if something raises meanwhile. */
struct reading {
    json_t *header, *claims;
};

static void reading_close(struct reading *reading)
{
    json_decref(reading->header);
    json_decref(reading->claims);
    *reading = (struct reading){0};
}

static int reading_collect(lua_State *L)
{
    reading_close(lua_touserdata(L, 1));
    return 0;
}

/* judge: NULL: believe reading->claims; else why not. */
static const char *judge(lua_State *L, const struct keys *keys, struct view text, const struct demands *demands, struct reading *reading)
{
    struct jwt token;
    if (text.len > TOKEN_MAX)
        return "token too long";
    if (!jwt_parse(&token, text) || !(reading->header = object_of(token.header)))
        return "malformed token";
    const char *why = find_signer(L, keys, &token, reading->header);
    if (why)
        return why;
    reading->claims = object_of(token.payload);
    return reading->claims ? refuse_claims(reading->claims, demands) : "malformed claims";
}

/* push_claims: a table; a time of expiry with a fraction loses it. False, and something on the stack: too deep. */
static bool push_claims(lua_State *L, const json_t *claims)
{
    lua_Integer expires;
    if (!tree_push_copy(L, claims, DEPTH_MAX))
        return false;
    const lua_Number exp = floor(json_number_value(json_object_get(claims, "exp")));
    if (lua_numbertointeger(exp, &expires)) {
        lua_pushinteger(L, expires);
        lua_setfield(L, -2, "exp");
    }
    return true;
}

static const char *text_demand(lua_State *L, const char *name)
{
    if (lua_getfield(L, 3, name) == LUA_TNIL)
        return NULL;
    return argument_text(L, -1, "relay.jwt.verify: aud, iss", TOKEN_MAX, NULL); /* the table keeps it */
}

static double number_demand(lua_State *L, const char *name, double none)
{
    if (lua_getfield(L, 3, name) == LUA_TNIL)
        return none;
    if (lua_type(L, -1) != LUA_TNUMBER)
        state_raise(L, "relay.jwt.verify: %s: seconds expected", name);
    return lua_tonumber(L, -1);
}

static struct demands demands_at(lua_State *L)
{
    struct demands demands = {.now = floor((double)policy_of(L)->unix_ms / 1000)};
    if (lua_isnil(L, 3))
        return demands;
    strict_only(L, 3, "relay.jwt.verify", &verify_given);
    demands.audience = text_demand(L, "aud");
    demands.issuer = text_demand(L, "iss");
    demands.leeway = number_demand(L, "leeway", 0);
    demands.now = number_demand(L, "now", demands.now);
    if (!(demands.leeway >= 0 && demands.leeway <= LEEWAY_MAX))
        state_raise(L, "relay.jwt.verify: leeway: 0 to %d seconds expected", LEEWAY_MAX);
    return demands;
}

/* relay.jwt.verify(token, keys, {aud, iss, leeway, now}): the claims; or nil and why not. */
static int verify(lua_State *L)
{
    size_t len;
    lua_settop(L, 3);
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &len);
    const struct source *source = *(struct source **)object_check(L, 2, OBJECT_KEYS, "relay.jwt.verify: a relay.jwt.keys");
    const struct demands demands = demands_at(L);
    budget_charge(L, TOKEN_INSTRUCTIONS + len / BYTES_PER_INSTRUCTION);
    struct reading *reading = object_new(L, OBJECT_READING, sizeof *reading);
    *reading = (struct reading){0};
    lua_replace(L, 2);
    const char *why = judge(L, source_content(source, &policy_of(L)->reader, NULL), view_of(text, len), &demands, reading);
    if (!why && !push_claims(L, reading->claims))
        why = "malformed claims";
    reading_close(reading);
    if (!why)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

static int hide(lua_State *L)
{
    lua_pushliteral(L, "relay.jwt.keys(hidden)");
    return 1;
}

const struct shown keys_shown = {ROLE_OBJECT, 0, "keys", "keys", "Of `relay.jwt.keys`, for `relay.jwt.verify`; they cannot be read.",
                                 NULL,        0};

static const struct member jwt_members[] = {
    CALL("keys", "fun(file: string): keys",
         "a JWK Set (RFC 7517), or public keys in PEM: up to 64, RSA from 2,048 to 8,192 bits, P-256, Ed25519, secrets from 32 bytes",
         load_keys, MARK_LOADS),
    CALL("verify", "fun(token: string, keys: keys, options?: relay.jwt.verify): table<string, any>?, string?",
         "the claims; or nil and why not: `\"malformed token\"` `\"token too long\"` `\"algorithm not allowed\"` `\"unknown key\"` `\"bad "
         "signature\"` `\"malformed claims\"` `\"expired\"` `\"not yet valid\"` `\"wrong audience\"` `\"wrong issuer\"`",
         verify, 0),
};
const struct shown jwt_shown =
    SHOWN(ROLE_LIBRARY, "relay.jwt",
          "Compact tokens of at most 8,192 bytes, signed with HS256, RS256, ES256 or EdDSA (Ed25519). The type of a key decides what it "
          "verifies, so that no header can choose otherwise; `alg` and `kid` of the header choose among the keys (one without `kid` fits "
          "every name), and a header with `crit` is refused. `exp` must be there, and lie ahead; `nbf` must not. A key that is tried costs "
          "5,000 instructions.",
          jwt_members);

static const struct member verify_members[] = {
    FIELD("aud", "string?", "what `aud` must name; absent if none is given"),
    FIELD("iss", "string?", "what `iss` must be; any if none is given"),
    FIELD("leeway", "number?", "up to 3,600 s of patience with `exp` and `nbf`"),
    FIELD("now", "number?", "unix seconds; else the time of the event"),
};
const struct shown verify_given = SHOWN(ROLE_GIVEN, "relay.jwt.verify", "", verify_members);

void jwt_open(lua_State *L)
{
    static const luaL_Reg keys[] = {{"__tostring", hide}, {NULL, NULL}}, reading[] = {{"__gc", reading_collect}, {NULL, NULL}};
    object_define(L, OBJECT_KEYS, "keys", NULL, keys);
    object_define(L, OBJECT_READING, "reading", NULL, reading);
}
