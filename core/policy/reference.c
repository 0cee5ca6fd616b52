/* reference.c: the rows of several files, together, and the functions among them bound. */
#include "policy/reference.h"

#include "policy/state.h"

#include "base/nearest.h"

#include <string.h>

#define NAMES_MAX 64 /* members of one */

/* in the order of lua/README.md */
static const struct shown *const all[] = {
    &context_shown,        &request_shown,   &allocation_shown, &usage_shown,    &event_shown,     &address_shown,
    &tags_shown,           &decisions_shown, &allow_given,      &metering_given, &key_given,       &lookup_given,
    &tenant_given,         &redirect_given,  &relay_shown,      &params_given,   &shared_given,    &ratelimit_given,
    &meter_given,          &gate_given,      &base64_shown,     &http_shown,     &get_given,       &post_given,
    &response_shown,       &json_shown,      &jwt_shown,        &verify_given,   &log_shown,       &metric_shown,
    &timer_shown,          &every_given,     &db_shown,         &users_shown,    &user_shown,      &dns_shown,
    &lookup_options_given, &service_shown,   &shared_shown,     &incr_given,     &ratelimit_shown, &meter_shown,
    &gate_shown,           &hold_shown,      &counter_shown,    &cidr_shown,     &data_shown,      &secret_shown,
    &keys_shown,           &mmdb_shown,
};
#define ALL (sizeof all / sizeof *all)

const struct shown *const *reference_all(size_t *count)
{
    *count = ALL;
    return all;
}

const struct shown *reference_argument(char letter)
{
    for (size_t i = 0; i < ALL; i++)
        if (letter && all[i]->letter == letter)
            return all[i];
    return NULL;
}

const struct hook_argument *reference_hook_argument(char letter)
{
    static const struct hook_argument rows[] = {
        {'c', "ctx", "ctx"},        {'r', "req", "req"},   {'a', "alloc", "alloc"},
        {'p', "peer", "address"},   {'u', "used", "used"}, {'k', "kind", "\"permission\"|\"channel\"|\"connect\""},
        {'n', "number", "integer"}, {'e', "ev", "ev"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

const struct member *reference_find(const struct shown *shown, const char *name)
{
    for (size_t i = 0; i < shown->count; i++)
        if (strcmp(shown->members[i].name, name) == 0)
            return &shown->members[i];
    return NULL;
}

const struct member *reference_member(const char *path)
{
    const char *dot = strrchr(path, '.');
    const size_t len = dot ? (size_t)(dot - path) : 0;
    const struct member *found = NULL;
    for (size_t i = 0; i < ALL && !found; i++)
        if (len && strlen(all[i]->name) == len && strncmp(all[i]->name, path, len) == 0)
            found = reference_find(all[i], dot + 1);
    return found;
}

const char *reference_nearest(const struct shown *shown, const char *name)
{
    const char *names[NAMES_MAX];
    for (size_t i = 0; i < shown->count; i++)
        names[i] = shown->members[i].name;
    return nearest(name, names, shown->count);
}

/* upvalues: the row, its path: of a function that is for the load only */
static int call_at_load(lua_State *L)
{
    const struct member *member = lua_touserdata(L, lua_upvalueindex(1));
    if (!policy_of(L)->loading)
        state_raise(L, "%s: only while the policy loads", lua_tostring(L, lua_upvalueindex(2)));
    return member->function(L);
}

void reference_bind(lua_State *L, const struct shown *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        const struct member *member = &shown->members[i];
        if (member->marks & MARK_LOADS) {
            lua_pushlightuserdata(L, (void *)(uintptr_t)member);
            lua_pushfstring(L, "%s.%s", shown->name, member->name);
            lua_pushcclosure(L, call_at_load, 2);
        } else if (member->function) {
            lua_pushcfunction(L, member->function);
        } else {
            continue;
        }
        lua_setfield(L, -2, member->name);
    }
}
