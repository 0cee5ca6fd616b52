/* library.c: the rows of the table `relay`, and the small functions that have no subject of their own. */
#include "policy/library.h"

#include "policy/address.h"
#include "policy/decision.h"
#include "policy/meter.h"
#include "policy/sandbox.h"
#include "policy/shared.h"

#include "base/err.h"
#include "base/opaque.h"
#include "wire/integrity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAP 1024

/* relay.split(text, separator): what is before the first separator and what is behind it; the text and nil without one. */
static int split(lua_State *L)
{
    size_t len, separator_len;
    const char *text = luaL_checklstring(L, 1, &len), *separator = luaL_checklstring(L, 2, &separator_len);
    budget_charge(L, len / BYTES_PER_INSTRUCTION);
    const char *at = separator_len ? memmem(text, len, separator, separator_len) : NULL;
    lua_settop(L, 2);
    if (!at) {
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        return 2;
    }
    lua_pushlstring(L, text, (size_t)(at - text));
    lua_pushlstring(L, at + separator_len, len - (size_t)(at - text) - separator_len);
    return 2;
}

static int prefix(lua_State *L)
{
    size_t len, prefix_len;
    const char *text = luaL_checklstring(L, 1, &len), *start = luaL_checklstring(L, 2, &prefix_len);
    lua_pushboolean(L, len >= prefix_len && memcmp(text, start, prefix_len) == 0);
    return 1;
}

/* relay.userhash(name, realm): what a client that hides its name says in its place, as req.userhash shows it. RFC 8489 section 14.4. */
static int userhash(lua_State *L)
{
    char prepared[2][OPAQUE_MAX_LEN + 1], hex[2 * CRYPTO_HASH_MAX + 1];
    uint8_t hash[CRYPTO_HASH_MAX];
    struct view parts[2];
    for (int i = 0; i < 2; i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i + 1, &len);
        parts[i] = opaque_prepared(view_of(text, len), prepared[i]);
        if (parts[i].len == 0)
            state_raise(L, "relay.userhash: %s expected", i ? "a realm" : "a name");
    }
    if (integrity_userhash(policy_of(L)->world.crypto, parts[0], parts[1], hash) != 0)
        state_raise(L, "relay.userhash: libcrypto failed");
    crypto_hex(view_of(hash, INTEGRITY_USERHASH_LEN), hex);
    lua_pushstring(L, hex);
    return 1;
}

/* relay.set(list): a table whose members are true. */
static int set(lua_State *L)
{
    luaL_argexpected(L, lua_istable(L, 1) || object_test(L, 1, OBJECT_DATA), 1, "list");
    const lua_Integer count = luaL_len(L, 1);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count && i <= LIST_MAX; i++) {
        lua_geti(L, 1, i);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    strict_proxy(L, "set");
    return 1;
}

/* relay.timer.every(seconds, function, {on = "one" | "all"}) */
static int every(lua_State *L)
{
    struct policy *policy = policy_of(L);
    lua_settop(L, 3);
    const lua_Number seconds = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : 0;
    if (!(seconds > 0 && seconds < 1e9))
        state_raise(L, "relay.timer.every: seconds above 0 expected");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    const char *on = "one";
    if (!lua_isnil(L, 3)) {
        strict_only(L, 3, "relay.timer.every", &every_given);
        if (lua_getfield(L, 3, "on") != LUA_TNIL)
            on = argument_text(L, -1, "relay.timer.every: on", 8, NULL);
    }
    const bool everywhere = strcmp(on, "all") == 0;
    if (!everywhere && strcmp(on, "one") != 0)
        state_raise(L, "relay.timer.every: on: 'one' or 'all' expected");
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        state_raise(L, "not enough memory");
    timer->next = policy->timers;
    policy->timers = timer;
    timer->function = LUA_NOREF;
    timer->everywhere = everywhere;
    timer->interval_ms = (msec_t)ceil(seconds * 1000);
    timer->due = policy->now + timer->interval_ms;
    lua_pushvalue(L, 2);
    timer->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

struct source *library_file(lua_State *L, const char *label, const struct source_kind *kind)
{
    char path[PATH_CAP], error[256];
    const struct policy *policy = policy_of(L);
    const char *file = argument_text(L, 1, label, NAME_MAX_LEN, NULL);
    if (*file == '/' || strstr(file, ".."))
        state_raise(L, "%s: the name of a file of the policy directory expected", label);
    snprintf(path, sizeof path, "%s%s", policy->script->directory, file);
    struct source *source = source_open(shared_sources(policy->shared), kind, path, error, sizeof error);
    if (!source)
        state_raise(L, "%s: %s", label, error);
    return source;
}

static const struct member relay_members[] = {
    CALL("params", "fun(namespace: string, rules: table<string, relay.params>): table<string, any>",
         "values that `--set namespace.name=value` fills. `--set` of what no policy declares ends the start", relay_params, MARK_LOADS),
    CALL("shared", "fun(name: string, options: relay.shared): shared", "a table of all workers and policies", relay_shared, MARK_LOADS),
    CALL("ratelimit", "fun(name: string, options: relay.ratelimit): ratelimit", "how often something may happen, by key", relay_ratelimit,
         MARK_LOADS),
    CALL("meter", "fun(name: string, options: relay.meter): meter", "sums of the day or month, of up to 65,536 keys", relay_meter,
         MARK_LOADS),
    CALL("gate", "fun(name: string, options: relay.gate): gate", "how many may be in at a time, by key", relay_gate, MARK_LOADS),
    CALL("cidr", "fun(ranges: string|string[]|data): cidr",
         "`\"10.0.0.0/8\"`, `\"10.0.0.1-10.0.0.9\"`, `\"2001:db8::/32\"`, `\"192.0.2.1\"`", relay_cidr, MARK_LOADS),
    CALL("secret", "fun(name: string): secret", "the file of `--secret name=FILE`: one to eight lines, newest first", relay_secret,
         MARK_LOADS),
    CALL("data", "fun(file: string): data", "a JSON file of the policy directory, one copy in C", relay_data, MARK_LOADS),
    CALL("mmdb", "fun(file: string): mmdb", "a MaxMind DB, as of GeoIP", relay_mmdb, MARK_LOADS),
    CALL("sleep", "fun(seconds: number)", "0 to 3,600, at least a millisecond", relay_sleep, MARK_WAITS),
    CALL(
        "all", "fun(functions: (fun(): any)[]): any ...",
        "runs up to 16 functions side by side, which may wait. The first value of each, in order; what one raises, at once, and the others "
        "are closed",
        relay_all, MARK_WAITS),
    CALL("set", "fun(list: string[]|data): table<any, true?>", "a read-only table: member = true", set, 0),
    CALL("audit", "fun(row: table<string, any>)",
         "a row of the audit table (without a database: of the log) of `row.type`, else `\"policy\"`; up to 32 fields, 4,096 bytes as "
         "JSON, else it raises",
         relay_audit, 0),
    CALL("hash", "fun(algorithm: \"md5\"|\"sha1\"|\"sha256\", text: string): string", "raw bytes", relay_hash, 0),
    CALL("hmac", "fun(algorithm: \"sha1\"|\"sha256\", key: string, text: string): string", "raw bytes", relay_hmac, 0),
    CALL("hex", "fun(bytes: string): string", "lower-case hexadecimal digits", relay_hex, 0),
    CALL("random", "fun(count: integer): string", "unpredictable bytes, 1 to 1,024", relay_random, 0),
    CALL("userhash", "fun(name: string, realm: string): string",
         "what `req.userhash` is for that name in that realm, both prepared as clients do it; for a table made while loading", userhash, 0),
    CALL("split", "fun(text: string, separator: string): string, string?", "before and behind the first separator; or `text`, nil", split,
         0),
    CALL("prefix", "fun(text: string, start: string): boolean", "whether `text` begins so", prefix, 0),
};
const struct shown relay_shown = SHOWN(
    ROLE_LIBRARY, "relay",
    "*load*: only while the policy loads, `init` included. What is made by name is one object for all workers and policies, and outlives a "
    "reload; the same name with other options raises, and so does a name of two kinds (`relay.shared`, `relay.ratelimit`, `relay.meter`, "
    "`relay.gate`). "
    "A table, rate limit or gate that no policy asks for after a reload is gone; meters and counters stay. *waits*: see \"Waiting\".",
    relay_members);

static const struct member timer_members[] = {
    CALL("every", "fun(seconds: number, run: fun(), options?: relay.timer.every)",
         "calls `run` with the budget of a hook, about to the second; a missed call is not made up for", every, MARK_LOADS),
};
const struct shown timer_shown = SHOWN(ROLE_LIBRARY, "relay.timer", "", timer_members);

static const struct member every_members[] = {FIELD("on", "\"one\"|\"all\"|nil", "`\"one\"` worker (the default) or `\"all\"`")};
const struct shown every_given = SHOWN(ROLE_GIVEN, "relay.timer.every", "", every_members);

/* push_library: a table of its functions; what it does not have raises. */
static void push_library(lua_State *L, const struct shown *shown)
{
    char missing[64];
    lua_newtable(L);
    reference_bind(L, shown);
    snprintf(missing, sizeof missing, "%s has no field '%%s'%%s", shown->label);
    strict_table(L, missing);
    strict_proxy(L, shown->label);
}

void library_open(lua_State *L)
{
    size_t count;
    const struct shown *const *shown = reference_all(&count);
    share_open(L);
    data_open(L);
    secret_open(L);
    jwt_open(L);
    mmdb_open(L);
    meter_open(L);
    gate_open(L);
    decision_open(L);
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        if (shown[i]->role != ROLE_LIBRARY)
            continue;
        if (strcmp(shown[i]->name, "relay") == 0) {
            reference_bind(L, shown[i]);
        } else {
            push_library(L, shown[i]);
            lua_setfield(L, -2, shown[i]->name + strlen("relay."));
        }
    }
}
