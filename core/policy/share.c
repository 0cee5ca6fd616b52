/* share.c: relay.shared, relay.ratelimit, relay.metric: what scripts see of shared objects. */
#include "policy/share.h"
#include "policy/library.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

#define RATE_MAX 100000.0
#define BURST_SECONDS_MAX 1e7
#define METRIC_MAX 200
#define SERIES_MAX 256 /* of one name */

struct shared_object *share_self(lua_State *L, enum object kind, const char *name)
{
    return *(struct shared_object **)object_check(L, 1, kind, name);
}

int share_push(lua_State *L, enum object object, enum shared_kind kind, const char *name, const struct shared_options *options,
               shared_make_fn *make, void *ctx)
{
    char error[160];
    struct shared_object **out = object_new(L, object, sizeof *out);
    *out = shared_object(policy_of(L)->shared, kind, name, options, make, ctx, error, sizeof error);
    if (!*out)
        state_raise(L, "%s", error);
    return 1;
}

struct view share_key(lua_State *L, int at)
{
    size_t len;
    if (lua_type(L, at) != LUA_TSTRING && !lua_isinteger(L, at))
        state_raise(L, "key: a string or an integer expected, got %s", luaL_typename(L, at));
    const char *key = lua_tolstring(L, at, &len);
    if (len > KEY_MAX)
        state_raise(L, "key: longer than %d bytes", KEY_MAX);
    return view_of(key, len);
}

static struct value value_at(lua_State *L, int at)
{
    size_t len;
    switch (lua_type(L, at)) {
        case LUA_TNIL:
        case LUA_TNONE:
            return (struct value){0};
        case LUA_TBOOLEAN:
            return (struct value){.type = VALUE_BOOLEAN, .as.boolean = lua_toboolean(L, at)};
        case LUA_TNUMBER:
            if (lua_isinteger(L, at))
                return (struct value){.type = VALUE_INTEGER, .as.integer = lua_tointeger(L, at)};
            return (struct value){.type = VALUE_NUMBER, .as.number = lua_tonumber(L, at)};
        case LUA_TSTRING: {
            const char *text = lua_tolstring(L, at, &len);
            if (len > VALUE_TEXT_MAX)
                state_raise(L, "value: longer than %d bytes", VALUE_TEXT_MAX);
            return (struct value){.type = VALUE_TEXT, .as.text = view_of(text, len)};
        }
        default:
            state_raise(L, "value: a string, number or boolean expected, got %s", luaL_typename(L, at));
    }
}

static struct value some_value_at(lua_State *L, int at)
{
    const struct value value = value_at(L, at);
    if (value.type == VALUE_NONE)
        state_raise(L, "value: a string, number or boolean expected, got nil");
    return value;
}

/* deadline_at: of the ttl at `at`: seconds, or false for never: there is no silent default. */
static msec_t deadline_at(lua_State *L, int at)
{
    if (lua_isboolean(L, at) && !lua_toboolean(L, at))
        return DEADLINE_NEVER;
    const lua_Number seconds = lua_type(L, at) == LUA_TNUMBER ? lua_tonumber(L, at) : 0;
    if (!(seconds > 0))
        state_raise(L, "ttl: seconds, or false for an entry that does not expire");
    return policy_of(L)->now + (seconds < 1e12 ? (msec_t)ceil(seconds * 1000) : (msec_t)1 << 50);
}

int share_status(lua_State *L, int status)
{
    if (status == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, status == ERR_EXISTS ? "exists" : status == ERR_BAD ? "not an integer" : "full");
    return 2;
}

static struct dictionary *dictionary_self(lua_State *L)
{
    return share_self(L, OBJECT_DICTIONARY, "a relay.shared")->as.dictionary;
}

static int shared_get(lua_State *L)
{
    uint8_t text[VALUE_TEXT_MAX];
    const struct value value = dictionary_get(dictionary_self(L), share_key(L, 2), policy_of(L)->now, text);
    switch (value.type) {
        case VALUE_INTEGER:
            lua_pushinteger(L, value.as.integer);
            break;
        case VALUE_NUMBER:
            lua_pushnumber(L, value.as.number);
            break;
        case VALUE_BOOLEAN:
            lua_pushboolean(L, value.as.boolean);
            break;
        case VALUE_TEXT:
            lua_pushlstring(L, (const char *)value.as.text.at, value.as.text.len);
            break;
        default:
            lua_pushnil(L);
    }
    return 1;
}

static int shared_set(lua_State *L)
{
    const struct view key = share_key(L, 2);
    const struct value value = some_value_at(L, 3);
    return share_status(L, dictionary_set(dictionary_self(L), key, &value, deadline_at(L, 4), policy_of(L)->now));
}

static int shared_add(lua_State *L)
{
    const struct view key = share_key(L, 2);
    const struct value value = some_value_at(L, 3);
    return share_status(L, dictionary_add(dictionary_self(L), key, &value, deadline_at(L, 4), policy_of(L)->now));
}

static int shared_incr(lua_State *L)
{
    struct dictionary *dictionary = dictionary_self(L);
    const struct view key = share_key(L, 2);
    const int64_t n = luaL_optinteger(L, 3, 1);
    int64_t sum;
    strict_only(L, 4, "incr", &incr_given);
    lua_getfield(L, 4, "ttl");
    const msec_t deadline = deadline_at(L, -1);
    lua_getfield(L, 4, "init");
    const int64_t init = luaL_optinteger(L, -1, 0);
    const int status = dictionary_increase(dictionary, key, n, init, deadline, policy_of(L)->now, &sum);
    if (status)
        return share_status(L, status);
    lua_pushinteger(L, sum);
    return 1;
}

static int shared_cas(lua_State *L)
{
    const struct view key = share_key(L, 2);
    const struct value old = value_at(L, 3), value = some_value_at(L, 4);
    const int status = dictionary_swap(dictionary_self(L), key, &old, &value, deadline_at(L, 5), policy_of(L)->now);
    if (status != ERR_DENIED)
        return share_status(L, status);
    lua_pushboolean(L, 0);
    return 1;
}

static int shared_delete(lua_State *L)
{
    lua_pushboolean(L, dictionary_delete(dictionary_self(L), share_key(L, 2), policy_of(L)->now));
    return 1;
}

static int make_dictionary(struct policy_shared *shared, struct shared_object *object, void *ctx, char *error, size_t error_cap)
{
    const struct shared_options *options = ctx;
    (void)error;
    (void)error_cap;
    object->as.dictionary = dictionary_new(shared_hash_key(shared), (uint32_t)options->a, options->b != 0);
    return object->as.dictionary ? 0 : ERR_MEMORY;
}

/* integer_field: the integer `name` of the table at `at`, from 1 to `most`; raises. */
static lua_Integer integer_field(lua_State *L, int at, const char *function, const char *name, lua_Integer most)
{
    lua_getfield(L, at, name);
    const lua_Integer value = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (value < 1 || value > most)
        state_raise(L, "%s: %s: an integer from 1 to %I expected", function, name, (LUAI_UACINT)most);
    lua_pop(L, 1);
    return value;
}

int relay_shared(lua_State *L)
{
    const char *name = argument_text(L, 1, "relay.shared", NAME_MAX_LEN, NULL);
    strict_only(L, 2, "relay.shared", &shared_given);
    struct shared_options options = {.a = integer_field(L, 2, "relay.shared", "max_entries", DICTIONARY_MAX)};
    if (lua_getfield(L, 2, "evict") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "lru") != 0)
            state_raise(L, "relay.shared: evict: 'lru' expected");
        options.b = 1;
    }
    return share_push(L, OBJECT_DICTIONARY, SHARED_DICTIONARY, name, &options, make_dictionary, &options);
}

/* struct rate: of a limiter that is being made */
struct rate {
    double rate;
    uint32_t burst;
    msec_t now;
};

static int make_limiter(struct policy_shared *shared, struct shared_object *object, void *ctx, char *error, size_t error_cap)
{
    const struct rate *rate = ctx;
    (void)error;
    (void)error_cap;
    object->as.limiter = limiter_new(shared_hash_key(shared), 1 / rate->rate, rate->burst, rate->now);
    return object->as.limiter ? 0 : ERR_MEMORY;
}

int relay_ratelimit(lua_State *L)
{
    const char *name = argument_text(L, 1, "relay.ratelimit", NAME_MAX_LEN, NULL);
    strict_only(L, 2, "relay.ratelimit", &ratelimit_given);
    struct rate rate = {.burst = (uint32_t)integer_field(L, 2, "relay.ratelimit", "burst", INT32_MAX), .now = policy_of(L)->now};
    lua_getfield(L, 2, "rate");
    rate.rate = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (!(rate.rate > 0 && rate.rate <= RATE_MAX))
        state_raise(L, "relay.ratelimit: rate: a number above 0 and up to %d a second expected", (int)RATE_MAX);
    if (rate.burst / rate.rate > BURST_SECONDS_MAX)
        state_raise(L, "relay.ratelimit: burst: too many for this rate");
    const struct shared_options options = {.a = (int64_t)llround(rate.rate * 1e9), .b = rate.burst};
    return share_push(L, OBJECT_LIMITER, SHARED_LIMITER, name, &options, make_limiter, &rate);
}

static int limiter_method_take(lua_State *L)
{
    struct limiter *limiter = share_self(L, OBJECT_LIMITER, "a relay.ratelimit")->as.limiter;
    const lua_Number n = luaL_optnumber(L, 3, 1);
    double wait;
    if (!(n > 0))
        state_raise(L, "take: a number above 0 expected");
    struct policy *policy = policy_of(L);
    const bool passes = limiter_take(limiter, share_key(L, 2), n, policy->now, &wait);
    if (!passes) {
        policy->slowed = policy->call;
        policy->slowed_burst = limiter_burst(limiter);
    }
    lua_pushboolean(L, passes);
    lua_pushnumber(L, wait);
    return 2;
}

/* put_label: name="value", of the table at 2 unless `value` is given. */
static void put_label(lua_State *L, struct slab *out, const char *name, const char *value)
{
    size_t len = value ? strlen(value) : 0;
    lua_getfield(L, 2, name);
    const char *own = luaL_tolstring(L, -1, value ? NULL : &len);
    value = value ? value : own;
    slab_put_text(out, name);
    slab_put_text(out, "=\"");
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            slab_put_u8(out, '\\');
        slab_put_u8(out, (uint8_t)((unsigned char)value[i] < ' ' ? ' ' : value[i]));
    }
    slab_put_u8(out, '"');
    lua_pop(L, 2);
}

static bool is_metric_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name) && (*name < '0' || *name > '9');
}

#define LABELS_MAX 8

/* label_names: of the table at 2, sorted. */
static size_t label_names(lua_State *L, const char *names[LABELS_MAX])
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (count == LABELS_MAX || !is_metric_name(name))
            state_raise(L, "relay.metric.counter: at most %d labels of lower-case letters expected", LABELS_MAX);
        size_t at = count++;
        for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)
            names[at] = names[at - 1];
        names[at] = name;
    }
    return count;
}

/* series: name{label="value"} of the arguments; with `value`, if it is not NULL, in place of every label's. */
static void series(lua_State *L, const char *name, const char *value, char full[METRIC_MAX + 1])
{
    const char *labels[LABELS_MAX];
    struct slab out = slab_over(full, METRIC_MAX);
    slab_put_text(&out, name);
    const size_t count = lua_istable(L, 2) ? label_names(L, labels) : 0;
    for (size_t i = 0; i < count; i++) {
        slab_put_u8(&out, i ? ',' : '{');
        put_label(L, &out, labels[i], value);
    }
    if (count)
        slab_put_u8(&out, '}');
    if (out.overflow)
        state_raise(L, "relay.metric.counter: too long");
    full[out.len] = 0;
}

/* relay.metric.counter: whoever asks for more series of one name than there may be gets the one that stands for the others. */
static int metric_counter(lua_State *L)
{
    char full[METRIC_MAX + 1];
    const struct policy *policy = policy_of(L);
    lua_settop(L, 2);
    const char *name = argument_text(L, 1, "relay.metric.counter", 64, NULL);
    if (!is_metric_name(name))
        state_raise(L, "relay.metric.counter: a name of lower-case letters, digits and _ expected");
    series(L, name, NULL, full);
    if (!shared_has_room(policy->shared, full, SERIES_MAX)) {
        series(L, name, "other", full);
        if (!shared_has_room(policy->shared, full, 0)) /* it is not there yet */
            log_say(policy->world.log, LOG_WARNING, "metric_series", "name=%s max=%d: the rest is counted as other", name, SERIES_MAX);
    }
    return share_push(L, OBJECT_COUNTER, SHARED_COUNTER, full, &(struct shared_options){0}, NULL, NULL);
}

static int counter_add(lua_State *L)
{
    struct shared_object *object = share_self(L, OBJECT_COUNTER, "a counter");
    const lua_Integer n = luaL_optinteger(L, 2, 1);
    if (n < 0)
        state_raise(L, "add: an integer from 0 expected");
    atomic_fetch_add_explicit(&object->as.counter, (uint64_t)n, memory_order_relaxed);
    return 0;
}

static const struct member shared_members[] = {
    CALL("get", "fun(key: string|integer): any", "string, number or boolean; nil: there is none", shared_get, 0),
    CALL("set", "fun(key: string|integer, value: string|number|boolean, ttl: number|false): true?, string?", "true; or nil, `\"full\"`",
         shared_set, 0),
    CALL("add", "fun(key: string|integer, value: string|number|boolean, ttl: number|false): true?, string?",
         "only if there is none: true; or nil, `\"exists\"` or `\"full\"`", shared_add, 0),
    CALL("incr", "fun(key: string|integer, n: integer?, options: shared.incr): integer?, string?",
         "atomic; `n` is 1 if nil. The sum; or nil, `\"full\"` or `\"not an integer\"`", shared_incr, 0),
    CALL("cas",
         "fun(key: string|integer, old: string|number|boolean|nil, value: string|number|boolean, ttl: number|false): boolean?, string?",
         "only if the value is `old` (nil: there is none): true; false; or nil, `\"full\"`", shared_cas, 0),
    CALL("delete", "fun(key: string|integer): boolean", "whether it was there", shared_delete, 0),
};
const struct shown shared_shown =
    SHOWN(ROLE_OBJECT, "shared",
          "A key is a string or an integer (`7` and `\"7\"` are the same) of at most 1,024 bytes, here and in what follows; a value a "
          "string of at most 4,096 bytes, a number or a boolean; a ttl seconds, or `false` for ever: it may not be left out.",
          shared_members);

static const struct member incr_members[] = {
    FIELD("init", "integer?", "what a new entry begins with: 0"),
    FIELD("ttl", "number|false", "of a new entry"),
};
const struct shown incr_given = SHOWN_AS(ROLE_GIVEN, "shared.incr", "incr", "", incr_members);

static const struct member shared_options[] = {
    FIELD("max_entries", "integer", "1 to 10,000,000"),
    FIELD("evict", "\"lru\"?", "forget what was used longest ago rather than refuse"),
};
const struct shown shared_given = SHOWN(ROLE_GIVEN, "relay.shared", "", shared_options);

static const struct member ratelimit_members[] = {
    CALL("take", "fun(key: string|integer, n?: number): boolean, number",
         "`n` is 1; more than `burst` never passes. true, 0; or false and the seconds to wait", limiter_method_take, 0),
};
const struct shown ratelimit_shown = SHOWN(ROLE_OBJECT, "ratelimit", "", ratelimit_members);

static const struct member ratelimit_options[] = {
    FIELD("rate", "number", "a second, above 0 and up to 100,000"),
    FIELD("burst", "integer", "at once, from 1; `burst / rate` up to 10,000,000 s"),
};
const struct shown ratelimit_given = SHOWN(ROLE_GIVEN, "relay.ratelimit", "", ratelimit_options);

static const struct member counter_members[] = {CALL("add", "fun(n?: integer)", "`n`: from 0, else 1", counter_add, 0)};
const struct shown counter_shown = SHOWN(ROLE_OBJECT, "counter", "", counter_members);

static const struct member metric_members[] = {
    CALL("counter", "fun(name: string, labels?: table<string, string|number|boolean>): counter",
         "lower-case letters, digits, `_`; up to 8 labels, 200 bytes in all. A name has 256 series; further ones are one, whose labels say "
         "`other`; the log says so once. GET /metrics tells it as `relay_script_NAME`; Prometheus wants names that end with `_total`",
         metric_counter, MARK_LOADS),
};
const struct shown metric_shown = SHOWN(ROLE_LIBRARY, "relay.metric", "", metric_members);

void share_open(lua_State *L)
{
    object_define(L, OBJECT_DICTIONARY, "shared", &shared_shown, NULL);
    object_define(L, OBJECT_LIMITER, "ratelimit", &ratelimit_shown, NULL);
    object_define(L, OBJECT_COUNTER, "counter", &counter_shown, NULL);
}
