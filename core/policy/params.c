/* params.c: relay.params: typed, ranged values that a policy declares and --set fills.
 *
 * The type is that of the default: integer, number, boolean, string, or a list of strings ("a,b,c"); without a default a string, or a
 * number if there is a range.
 */
#include "policy/params.h"

#include "policy/library.h"
#include "policy/state.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

#define ABOUT_MAX 256
#define LIST_SHOWN 16

static const struct policy_param *find_param(const struct policy *policy, const char *full)
{
    const struct policy_config *config = policy->config;
    for (size_t i = config->param_count; i > 0; i--) /* the last one counts */
        if (strcmp(config->params[i - 1].name, full) == 0)
            return &config->params[i - 1];
    return NULL;
}

/* declare: the parameter `full`, in its place; the same one may be declared by several policies. */
static void declare(lua_State *L, const char *full, const char *about)
{
    struct policy *policy = policy_of(L);
    struct declared *grown = realloc(policy->params, (policy->param_count + 1) * sizeof *grown);
    if (!grown)
        state_raise(L, "not enough memory");
    policy->params = grown;
    const struct declared one = {strdup(full), strdup(about)};
    if (!one.name || !one.about) {
        free(one.name);
        free(one.about);
        state_raise(L, "not enough memory");
    }
    size_t at = policy->param_count++;
    for (; at > 0 && strcmp(grown[at - 1].name, full) > 0; at--)
        grown[at] = grown[at - 1];
    grown[at] = one;
}

_Noreturn static void refuse(lua_State *L, const struct policy_param *param, const char *expected)
{
    lua_pushfstring(L, "%s: --set %s=%s: %s expected", param->where, param->name, param->value, expected);
    lua_error(L);
    abort();
}

static void push_boolean(lua_State *L, const struct policy_param *param)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (strcasecmp(param->value, words[i]) == 0) {
            lua_pushboolean(L, i & 1);
            return;
        }
    refuse(L, param, "true or false");
}

static void push_number(lua_State *L, const struct policy_param *param, bool integer)
{
    const bool decimal = strspn(param->value, "+-0123456789") == strlen(param->value);
    if ((integer && !decimal) || !lua_stringtonumber(L, param->value) || (integer && !lua_isinteger(L, -1)))
        refuse(L, param, integer ? "an integer" : "a number");
}

static void push_list(lua_State *L, const struct policy_param *param)
{
    lua_newtable(L);
    for (const char *at = param->value; *at;) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, ",");
        const char *next = at + len;
        while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (len) {
            lua_pushlstring(L, at, len);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
        at = next;
    }
}

/* check_range: the number on the top against min and max of the rule at `rule`. */
static void check_range(lua_State *L, int rule, const struct policy_param *param)
{
    static const struct {
        const char *name, *text;
    } ends[] = {{"min", "at least"}, {"max", "at most"}};
    for (int i = 0; i < 2; i++) {
        const int type = lua_getfield(L, rule, ends[i].name);
        if (type != LUA_TNIL && lua_compare(L, i == 0 ? -2 : -1, i == 0 ? -1 : -2, LUA_OPLT)) {
            char expected[64];
            snprintf(expected, sizeof expected, "%s %s", ends[i].text, lua_tostring(L, -1));
            refuse(L, param, expected);
        }
        lua_pop(L, 1);
    }
}

/* push_given: the value of --set as the type that the rule at `rule` wants. */
static void push_given(lua_State *L, int rule, const struct policy_param *param)
{
    const int type = lua_getfield(L, rule, "default");
    const bool integer = lua_isinteger(L, -1);
    const bool ranged = type == LUA_TNIL && (lua_getfield(L, rule, "min") != LUA_TNIL || lua_getfield(L, rule, "max") != LUA_TNIL);
    if (type == LUA_TBOOLEAN) {
        push_boolean(L, param);
    } else if (type == LUA_TTABLE) {
        push_list(L, param);
    } else if (type == LUA_TNUMBER || ranged) {
        push_number(L, param, integer);
        check_range(L, rule, param);
    } else {
        lua_pushstring(L, param->value);
    }
}

/* put_value: the one on the top; a list as --set takes it. */
static void put_value(lua_State *L, struct slab *out)
{
    const int at = lua_gettop(L);
    if (!lua_istable(L, at)) {
        slab_put_text(out, luaL_tolstring(L, at, NULL));
        return;
    }
    if (lua_rawlen(L, at) == 0)
        slab_put_text(out, "empty");
    for (lua_Integer i = 1; i <= LIST_SHOWN && lua_rawgeti(L, at, i) != LUA_TNIL; i++) {
        slab_put_text(out, i > 1 ? "," : "");
        slab_put_text(out, luaL_tolstring(L, -1, NULL));
        lua_settop(L, at);
    }
    lua_settop(L, at);
}

/* describe: what the rule at `rule` takes: "integer, at least 1, default 8". */
static void describe(lua_State *L, int rule, char about[ABOUT_MAX])
{
    static const struct {
        const char *name, *text;
    } parts[] = {{"min", ", at least "}, {"max", ", at most "}, {"default", ", default "}};
    struct slab out = slab_over(about, ABOUT_MAX - 1);
    const int top = lua_gettop(L), type = lua_getfield(L, rule, "default");
    const bool ranged = lua_getfield(L, rule, "min") != LUA_TNIL || lua_getfield(L, rule, "max") != LUA_TNIL;
    slab_put_text(&out, lua_isinteger(L, top + 1)                             ? "integer"
                        : type == LUA_TNUMBER || (type == LUA_TNIL && ranged) ? "number"
                        : type == LUA_TBOOLEAN                                ? "boolean"
                        : type == LUA_TTABLE                                  ? "list"
                                                                              : "string");
    lua_getfield(L, rule, "required");
    if (type == LUA_TNIL && lua_toboolean(L, -1))
        slab_put_text(&out, ", required");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (lua_getfield(L, rule, parts[i].name) != LUA_TNIL) {
            slab_put_text(&out, parts[i].text);
            put_value(L, &out);
        }
    about[out.len] = 0;
    lua_settop(L, top);
}

static void push_default(lua_State *L, int rule, const char *full)
{
    lua_getfield(L, rule, "required");
    const bool required = lua_toboolean(L, -1);
    if (lua_getfield(L, rule, "default") == LUA_TNIL && required)
        state_raise(L, "%s: a value is required (--set %s=...)", full, full);
}

/* upvalue: the declarations; arguments: the values, the name of one that has none */
static int missing_value(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TSTRING) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushnil(L);
            return 1;
        }
    }
    const char *name = luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "params has no field '%s'%s", name, strict_hint(L, lua_upvalueindex(1), name));
}

static const struct member rule_members[] = {
    FIELD("default", "string|number|boolean|string[]|nil", "gives the type: integer, number, boolean, string, list of strings (`a,b`)"),
    FIELD("min", "number?", "the least; without a default it is a number"),
    FIELD("max", "number?", "the most"),
    FIELD("required", "boolean?", "no default: without `--set` the policy does not load"),
};
const struct shown params_given = SHOWN(ROLE_GIVEN, "relay.params", "", rule_members);

int relay_params(lua_State *L)
{
    const char *space = argument_text(L, 1, "relay.params", 64, NULL);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_settop(L, 4)) {
        char full[160], about[ABOUT_MAX];
        snprintf(full, sizeof full, "%s.%s", space, argument_text(L, 4, "relay.params: a name", 64, NULL));
        strict_only(L, 5, full, &params_given);
        describe(L, 5, about);
        declare(L, full, about);
        const struct policy_param *param = find_param(policy_of(L), full);
        if (param)
            push_given(L, 5, param);
        else
            push_default(L, 5, full);
        lua_pushvalue(L, 4);
        lua_insert(L, -2);
        lua_rawset(L, 3);
    }
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, missing_value, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, 3);
    lua_settop(L, 3);
    strict_proxy(L, "params");
    return 1;
}

/* nearest_param: to `name`, or NULL. */
static const char *nearest_param(const struct policy *policy, const char *name)
{
    const char **names = calloc(policy->param_count + 1, sizeof *names);
    for (size_t i = 0; names && i < policy->param_count; i++)
        names[i] = policy->params[i].name;
    const char *best = names ? nearest(name, names, policy->param_count) : NULL;
    free(names);
    return best;
}

int params_check(const struct policy *policy, char *error, size_t error_cap)
{
    const struct policy_config *config = policy->config;
    for (size_t i = 0; i < config->param_count; i++) {
        const struct policy_param *param = &config->params[i];
        size_t at = 0;
        while (at < policy->param_count && strcmp(policy->params[at].name, param->name) != 0)
            at++;
        if (at < policy->param_count || i < config->params_optional)
            continue;
        const char *best = nearest_param(policy, param->name);
        snprintf(error, error_cap, "%s: --set %s: no policy has such a parameter%s%s%s", param->where, param->name,
                 best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
        return -1;
    }
    return 0;
}

void policy_params(const struct policy *policy, policy_param_fn *each, void *ctx)
{
    for (size_t i = 0; i < policy->param_count; i++)
        each(ctx, policy->params[i].name, policy->params[i].about);
}

void params_close(struct policy *policy)
{
    for (size_t i = 0; i < policy->param_count; i++) {
        free(policy->params[i].name);
        free(policy->params[i].about);
    }
    free(policy->params);
}
