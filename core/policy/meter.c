/* meter.c: a meter is a dictionary whose entries end with the period. Sums that are kept are written by the host when they have changed. */
#include "policy/meter.h"

#include "policy/library.h"
#include "policy/share.h"

#include "base/err.h"

#include <string.h>
#include <time.h>

#define METER_KEYS 65536
#define HOUR_MS INT64_C(3600000)

enum period { PERIOD_DAY, PERIOD_MONTH };

/* period_end: when the period of `unix_ms` ends, in unix milliseconds. UTC. */
static int64_t period_end(enum period period, int64_t unix_ms)
{
    const time_t now = (time_t)(unix_ms / 1000);
    struct tm date;
    gmtime_r(&now, &date);
    struct tm end = {.tm_year = date.tm_year, .tm_mon = date.tm_mon, .tm_mday = date.tm_mday + 1};
    if (period == PERIOD_MONTH) {
        end.tm_mon++;
        end.tm_mday = 1;
    }
    return (int64_t)timegm(&end) * 1000;
}

/* struct restoring: sums of before, on their way into a new meter. */
struct restoring {
    struct dictionary *dictionary;
    msec_t now;
    int64_t unix_ms;
};

static void restore(void *ctx, const char *key, int64_t ends_ms, int64_t sum)
{
    const struct restoring *restoring = ctx;
    const struct value value = {.type = VALUE_INTEGER, .as.integer = sum};
    dictionary_set(restoring->dictionary, view_text(key), &value, restoring->now + (ends_ms - restoring->unix_ms), restoring->now);
}

static void ignore(void *ctx, struct view key, const struct value *value, msec_t deadline)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)deadline;
}

/* make_meter: with what was kept of it. */
static int make_meter(struct policy_shared *shared, struct shared_object *object, void *ctx, char *error, size_t error_cap)
{
    lua_State *L = ctx;
    const struct policy *policy = policy_of(L);
    const struct policy_meters *kept = &policy->config->meters;
    struct restoring restoring = {dictionary_new(shared_hash_key(shared), METER_KEYS, false), policy->now, policy->unix_ms};
    object->as.dictionary = restoring.dictionary;
    if (!restoring.dictionary)
        return ERR_MEMORY;
    if (!lua_toboolean(L, 3))
        return 0;
    if (kept->read && kept->read(kept->ctx, lua_tostring(L, 1), policy->unix_ms, restore, &restoring)) {
        snprintf(error, error_cap, "relay.meter: what was kept cannot be read");
        dictionary_free(restoring.dictionary);
        return ERR_SYSTEM;
    }
    if (!kept->read)
        log_say(policy->world.log, LOG_WARNING, "policy_meter", "name=%s kept=no: there is no database (userdb)", lua_tostring(L, 1));
    dictionary_changed(restoring.dictionary, ignore, NULL);
    return 0;
}

int relay_meter(lua_State *L)
{
    lua_settop(L, 2);
    const char *name = argument_text(L, 1, "relay.meter", NAME_MAX_LEN, NULL);
    strict_only(L, 2, "relay.meter", &meter_given);
    lua_getfield(L, 2, "persist"); /* at 3: make_meter looks at it */
    lua_getfield(L, 2, "period");
    const char *period = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    const bool month = strcmp(period, "month") == 0;
    if (!month && strcmp(period, "day") != 0)
        state_raise(L, "relay.meter: period: 'month' or 'day' expected");
    if (!lua_isnil(L, 3) && !lua_isboolean(L, 3))
        state_raise(L, "relay.meter: persist: true or false expected");
    const struct shared_options options = {.a = month ? PERIOD_MONTH : PERIOD_DAY, .b = lua_toboolean(L, 3)};
    return share_push(L, OBJECT_METER, SHARED_METER, name, &options, make_meter, L);
}

/* add: 0 and *sum, or ERR_MEMORY: full. */
static int add(const struct shared_object *meter, struct view key, int64_t n, msec_t now, int64_t unix_ms, int64_t *sum)
{
    const msec_t deadline = now + period_end((enum period)meter->options.a, unix_ms) - unix_ms;
    return dictionary_increase(meter->as.dictionary, key, n, 0, deadline, now, sum);
}

static int64_t sum_of(const struct shared_object *meter, struct view key, msec_t now)
{
    uint8_t text[VALUE_TEXT_MAX];
    const struct value value = dictionary_get(meter->as.dictionary, key, now, text);
    return value.type == VALUE_INTEGER ? value.as.integer : 0;
}

static int meter_add(lua_State *L)
{
    const lua_Integer n = lua_isinteger(L, 3) ? lua_tointeger(L, 3) : -1;
    if (n < 0)
        state_raise(L, "add: an integer from 0 expected");
    const struct policy *policy = policy_of(L);
    const struct shared_object *meter = share_self(L, OBJECT_METER, "a relay.meter");
    const struct view key = share_key(L, 2);
    int64_t sum;
    if (meter->options.b && memchr(key.at, 0, key.len))
        state_raise(L, "key: a zero byte");
    const int status = add(meter, key, n, policy->now, policy->unix_ms, &sum);
    if (status)
        return share_status(L, status);
    lua_pushinteger(L, sum);
    return 1;
}

static int meter_get(lua_State *L)
{
    const struct shared_object *meter = share_self(L, OBJECT_METER, "a relay.meter");
    lua_pushinteger(L, sum_of(meter, share_key(L, 2), policy_of(L)->now));
    return 1;
}

static enum on_cap on_cap_field(lua_State *L, int at)
{
    static const char *const names[] = {[ON_CAP_REFUSE] = "refuse", [ON_CAP_THROTTLE] = "throttle", [ON_CAP_CLOSE] = "close"};
    const char *given = lua_getfield(L, at, "on_cap") == LUA_TNIL ? "refuse" : argument_text(L, -1, "relay.allow: meter: on_cap", 16, NULL);
    size_t found = 0;
    while (found < sizeof names / sizeof *names && strcmp(names[found], given) != 0)
        found++;
    if (found == sizeof names / sizeof *names)
        state_raise(L, "relay.allow: meter: on_cap: 'refuse', 'throttle' or 'close' expected");
    lua_pop(L, 1);
    return (enum on_cap)found;
}

static const struct member metering_members[] = {
    FIELD("[1]", "meter", "which"),
    FIELD("[2]", "string", "its key"),
    FIELD("cap", "integer?", "bytes of the period, both ways, from 1"),
    FIELD("on_cap", "\"refuse\"|\"throttle\"|\"close\"|nil",
          "at the cap: `\"refuse\"` (the default), 486 `meter_cap` to who comes; `\"close\"`, also ends allocations that still relay; "
          "`\"throttle\"`, 64,000 bits a second each way for these until they end, and for who comes"),
};
const struct shown metering_given = SHOWN_AS(ROLE_GIVEN, "relay.allow.meter", "relay.allow: meter", "", metering_members);

struct metering meter_field(lua_State *L, int at)
{
    struct metering out = {0};
    at = lua_absindex(L, at);
    strict_only(L, at, "relay.allow: meter", &metering_given);
    lua_rawgeti(L, at, 1);
    out.meter = *(struct shared_object **)object_check(L, -1, OBJECT_METER, "relay.allow: meter: a relay.meter");
    lua_rawgeti(L, at, 2);
    view_copy(view_text(argument_text(L, -1, "relay.allow: meter: key", NAME_MAX_LEN, NULL)), out.key, sizeof out.key);
    if (lua_getfield(L, at, "cap") != LUA_TNIL) {
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1)
            state_raise(L, "relay.allow: meter: cap: bytes, an integer from 1 expected");
        out.cap = (uint64_t)lua_tointeger(L, -1);
    }
    out.on_cap = on_cap_field(L, at);
    lua_pop(L, 3);
    return out;
}

bool policy_meter_add(const struct metering *metering, uint64_t bytes, msec_t now, int64_t unix_ms)
{
    const struct shared_object *meter = metering ? metering->meter : NULL;
    int64_t sum = 0;
    if (!meter)
        return false;
    if (bytes == 0)
        sum = sum_of(meter, view_text(metering->key), now);
    else if (add(meter, view_text(metering->key), (int64_t)bytes, now, unix_ms, &sum))
        return metering->cap != 0; /* full: what cannot be counted does not pass for free */
    return metering->cap && sum >= 0 && (uint64_t)sum >= metering->cap;
}

void policy_meter_admit(struct verdict *verdict, msec_t now, int64_t unix_ms)
{
    const struct metering *metering = &verdict->metering;
    if (verdict->kind != VERDICT_ALLOW || !policy_meter_add(metering, 0, now, unix_ms))
        return;
    if (metering->on_cap == ON_CAP_THROTTLE)
        verdict->limits.max_bps = limit_strictest(verdict->limits.max_bps, THROTTLE_BPS);
    else
        *verdict = (struct verdict){.kind = VERDICT_DENY, .code = STUN_QUOTA, .reason = "meter_cap", .by = "core",
                                    .measure = {sum_of(metering->meter, view_text(metering->key), now), (int64_t)metering->cap}};
}

/* struct keeping: of policy_meters_changed. */
struct keeping {
    const struct shared_object *meter;
    policy_meter_fn *each;
    void *ctx;
    msec_t now;
    int64_t unix_ms;
};

/* keep: a period ends on the hour; the clocks that its end is reckoned with may differ by less. */
static void keep(void *ctx, struct view key, const struct value *value, msec_t deadline)
{
    const struct keeping *keeping = ctx;
    char text[KEY_MAX + 1];
    const int64_t ends_ms = (keeping->unix_ms + (deadline - keeping->now) + HOUR_MS / 2) / HOUR_MS * HOUR_MS;
    keeping->each(keeping->ctx, keeping->meter->name, view_copy(key, text, sizeof text), ends_ms, value->as.integer);
}

static void keep_meter(void *ctx, const struct shared_object *meter)
{
    struct keeping *keeping = ctx;
    keeping->meter = meter;
    if (meter->options.b)
        dictionary_changed(meter->as.dictionary, keep, keeping);
}

void policy_meters_changed(struct policy_shared *shared, msec_t now, int64_t unix_ms, policy_meter_fn *each, void *ctx)
{
    struct keeping keeping = {.each = each, .ctx = ctx, .now = now, .unix_ms = unix_ms};
    shared_each(shared, SHARED_METER, keep_meter, &keeping);
}

static const struct member meter_members[] = {
    CALL("get", "fun(key: string|integer): integer", "the sum of the period; 0 at first", meter_get, 0),
    CALL("add", "fun(key: string|integer, n: integer): integer?, string?", "`n`: from 0. The sum; or nil, `\"full\"`", meter_add, 0),
};
const struct shown meter_shown = SHOWN(ROLE_OBJECT, "meter", "", meter_members);

static const struct member given_members[] = {
    FIELD("period", "\"day\"|\"month\"", "in UTC"),
    FIELD("persist", "boolean?",
          "`true`: kept in the database, twice a second and at the end, and read at the start; without a database the log says so. Keys "
          "that are kept hold no zero byte"),
};
const struct shown meter_given = SHOWN(ROLE_GIVEN, "relay.meter", "", given_members);

void meter_open(lua_State *L)
{
    object_define(L, OBJECT_METER, "meter", &meter_shown, NULL);
}
