/* digest.c: relay.hash, relay.hmac, relay.hex, relay.base64, relay.random: of strings of at most TEXT_MAX bytes. */
#include "policy/library.h"
#include "policy/state.h"

#include "base/err.h"

#include <string.h>

#define RANDOM_MAX 1024
#define DIGEST_INSTRUCTIONS 20 /* what one costs, however short */

static struct view text_at(lua_State *L, int at, const char *label)
{
    size_t len;
    luaL_checktype(L, at, LUA_TSTRING);
    const char *text = lua_tolstring(L, at, &len);
    if (len > TEXT_MAX)
        state_raise(L, "%s: longer than %d bytes", label, (int)TEXT_MAX);
    budget_charge(L, DIGEST_INSTRUCTIONS + len / BYTES_PER_INSTRUCTION);
    return view_of(text, len);
}

static const struct {
    const char *name;
    enum crypto_hash hash;
} hashes[] = {{"sha1", CRYPTO_SHA1}, {"sha256", CRYPTO_SHA256}, {"md5", CRYPTO_MD5}};
#define MAC_HASHES 2 /* the first ones */

/* hash_at: the algorithm at 1, of the first `count`; `expected` is what a message says. */
static enum crypto_hash hash_at(lua_State *L, size_t count, const char *expected)
{
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, hashes[i].name) == 0)
            return hashes[i].hash;
    state_raise(L, "%s expected", expected);
}

static int push_hash(lua_State *L, const uint8_t *bytes, enum crypto_hash hash, int status)
{
    if (status)
        state_raise(L, "libcrypto failed");
    lua_pushlstring(L, (const char *)bytes, crypto_hash_len(hash));
    return 1;
}

int relay_hash(lua_State *L)
{
    uint8_t out[CRYPTO_HASH_MAX];
    const enum crypto_hash hash = hash_at(L, sizeof hashes / sizeof *hashes, "relay.hash: 'md5', 'sha1' or 'sha256'");
    const struct view text = text_at(L, 2, "relay.hash");
    return push_hash(L, out, hash, crypto_digest(policy_of(L)->world.crypto, hash, &text, 1, out));
}

int relay_hmac(lua_State *L)
{
    uint8_t out[CRYPTO_HASH_MAX];
    const enum crypto_hash hash = hash_at(L, MAC_HASHES, "relay.hmac: 'sha1' or 'sha256'");
    const struct view key = text_at(L, 2, "relay.hmac: key"), text = text_at(L, 3, "relay.hmac");
    return push_hash(L, out, hash, crypto_hmac(policy_of(L)->world.crypto, hash, key, &text, 1, out));
}

int relay_hex(lua_State *L)
{
    luaL_Buffer out;
    const struct view text = text_at(L, 1, "relay.hex");
    crypto_hex(text, luaL_buffinitsize(L, &out, 2 * text.len + 1));
    luaL_pushresultsize(&out, 2 * text.len);
    return 1;
}

int relay_random(lua_State *L)
{
    uint8_t out[RANDOM_MAX];
    const lua_Integer len = luaL_checkinteger(L, 1);
    if (len < 1 || len > RANDOM_MAX)
        state_raise(L, "relay.random: 1 to %d bytes expected", RANDOM_MAX);
    budget_charge(L, DIGEST_INSTRUCTIONS + (uint64_t)len / BYTES_PER_INSTRUCTION);
    crypto_random(out, (size_t)len);
    lua_pushlstring(L, (const char *)out, (size_t)len);
    return 1;
}

/* is_url: whether the alphabet at 2 is that of tokens rather than the standard one. */
static bool is_url(lua_State *L)
{
    const char *alphabet = luaL_optstring(L, 2, "standard");
    const bool url = strcmp(alphabet, "url") == 0;
    if (!url && strcmp(alphabet, "standard") != 0)
        state_raise(L, "relay.base64: 'standard' or 'url' expected");
    return url;
}

static int base64_encode(lua_State *L)
{
    luaL_Buffer out;
    const bool url = is_url(L);
    const struct view text = text_at(L, 1, "relay.base64.encode");
    char *at = luaL_buffinitsize(L, &out, 4 * ((text.len + 2) / 3) + 1);
    luaL_pushresultsize(&out, url ? crypto_base64url(text, at) : crypto_base64(text, at));
    return 1;
}

static int base64_decode(lua_State *L)
{
    luaL_Buffer out;
    size_t len;
    const bool url = is_url(L);
    const struct view text = text_at(L, 1, "relay.base64.decode");
    uint8_t *at = (uint8_t *)luaL_buffinitsize(L, &out, text.len + 1);
    const int status = url ? crypto_base64url_decode(text, at, text.len, &len) : crypto_base64_decode(text, at, text.len, &len);
    if (status) {
        lua_pushnil(L);
        return 1;
    }
    luaL_pushresultsize(&out, len);
    return 1;
}

static const struct member base64_members[] = {
    CALL("encode", "fun(bytes: string, alphabet?: \"standard\"|\"url\"): string",
         "`\"standard\"` (the default), with padding, or `\"url\"`, without", base64_encode, 0),
    CALL("decode", "fun(text: string, alphabet?: \"standard\"|\"url\"): string?", "nil for what `encode` does not write", base64_decode, 0),
};
const struct shown base64_shown = SHOWN(ROLE_LIBRARY, "relay.base64", "", base64_members);
