/* resolve.c: relay.dns. */
#include "base/dns.h"

#include "policy/flight.h"
#include "policy/library.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

#define TIMEOUT_MS 2000

void policy_resolved(struct policy *policy, struct handle handle, const struct dns_answer *answer, msec_t now, int64_t unix_ms)
{
    policy->now = now;
    policy->unix_ms = unix_ms;
    flight_land(policy, handle, answer);
}

/* ---- what is asked ---- */

static const struct {
    const char *name;
    enum dns_type type;
} types[] = {{"A", DNS_A}, {"AAAA", DNS_AAAA}, {"SRV", DNS_SRV}, {"TXT", DNS_TXT}};
#define TYPES (sizeof types / sizeof *types)

static enum dns_type read_type(lua_State *L)
{
    if (lua_getfield(L, 2, "type") == LUA_TNIL)
        return DNS_A;
    const char *name = argument_text(L, -1, "relay.dns.lookup: type", 16, NULL);
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    state_raise(L, "relay.dns.lookup: type: 'A', 'AAAA', 'SRV' or 'TXT' expected, got '%s'", name);
}

static msec_t read_timeout(lua_State *L)
{
    if (lua_getfield(L, 2, "timeout") == LUA_TNIL)
        return TIMEOUT_MS;
    const lua_Number seconds = luaL_checknumber(L, -1);
    if (!(seconds > 0 && seconds <= 3600))
        state_raise(L, "relay.dns.lookup: timeout: seconds above 0 expected");
    return (msec_t)ceil(seconds * 1000);
}

/* read_question: (name, options): what it reads stays on the stack; the timeout. */
static msec_t read_question(lua_State *L, struct dns_question *question)
{
    *question = (struct dns_question){argument_text(L, 1, "relay.dns.lookup: name", DNS_NAME_MAX, NULL), DNS_A};
    lua_settop(L, 2);
    if (lua_isnil(L, 2))
        return TIMEOUT_MS;
    strict_only(L, 2, "relay.dns.lookup", &lookup_options_given);
    question->type = read_type(L);
    return read_timeout(L);
}

/* ---- records, as a script sees them ---- */

static int push_error(lua_State *L, const char *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

static void push_text(lua_State *L, struct view text)
{
    budget_charge(L, 1 + text.len / BYTES_PER_INSTRUCTION);
    lua_pushlstring(L, (const char *)text.at, text.len);
}

static void put_number(lua_State *L, const char *name, uint16_t number)
{
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
}

static void push_service(lua_State *L, const struct dns_record *record)
{
    lua_createtable(L, 0, 4);
    push_text(L, record->text);
    lua_setfield(L, -2, "target");
    put_number(L, "port", record->port);
    put_number(L, "priority", record->priority);
    put_number(L, "weight", record->weight);
    strict_table(L, "the service has no field '%s'%s");
}

static int push_answer(lua_State *L, const struct dns_answer *answer, enum dns_type type)
{
    if (answer->error)
        return push_error(L, answer->error);
    lua_createtable(L, (int)answer->count, 0);
    for (size_t i = 0; i < answer->count; i++) {
        if (type == DNS_SRV)
            push_service(L, &answer->records[i]);
        else
            push_text(L, answer->records[i].text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* context: the type */
static int resolved(lua_State *L, int status, lua_KContext context)
{
    const struct dns_answer *answer = policy_of(L)->arrived;
    (void)status;
    return answer ? push_answer(L, answer, (enum dns_type)context) : push_error(L, "timeout");
}

static int begin(struct policy *policy, struct handle handle, const void *wish, void **errand)
{
    return policy->world.resolve(policy->world.ctx, policy, handle, wish, errand);
}

/* What is known already is told at once; who asks for the same at the same time shares one lookup. */
static int lookup(lua_State *L)
{
    struct policy *policy = policy_of(L);
    struct dns_question question;
    struct handle waiter;
    const msec_t timeout_ms = read_question(L, &question);
    const char *key = lua_pushfstring(L, "DNS %d %s", (int)question.type, question.name);
    wait_begin(L, "relay.dns.lookup", &waiter);
    if (!policy->world.resolve)
        state_raise(L, "relay.dns.lookup: not here");
    const struct dns_answer *known = policy->world.recall ? policy->world.recall(policy->world.ctx, &question) : NULL;
    if (known)
        return push_answer(L, known, question.type);
    switch (flight_join(policy, waiter, &(struct flight_plan){key, begin, &question})) {
        case 0:
            break;
        case ERR_BAD:
            state_raise(L, "relay.dns.lookup: '%s' is not a name", question.name);
        case ERR_BUSY:
            return push_error(L, "busy");
        default:
            state_raise(L, "not enough memory");
    }
    if (wait_at(policy, policy->now + timeout_ms, waiter) != 0)
        state_raise(L, "not enough memory");
    return wait_yield(L, resolved, question.type);
}

static const struct member dns_members[] = {
    CALL("lookup", "fun(name: string, options?: relay.dns.lookup): (string|service)[]?, string?",
         "of A and AAAA addresses, of TXT texts, of SRV services by priority; or nil, `\"not found\"`, `\"timeout\"`, `\"busy\"` or `\"failed\"`", lookup,
         MARK_WAITS),
};
const struct shown dns_shown =
    SHOWN(ROLE_LIBRARY, "relay.dns",
          "Any name may be asked for, of the servers of `policy-dns`, or else those of /etc/resolv.conf. It is the whole name: no search domain is put behind "
          "it, and /etc/hosts is not read. Answers are kept for as long as their TTL says, at most 300 s, that there is none for 5 s; 256 lookups are under way on "
          "a worker.",
          dns_members);

static const struct member lookup_members[] = {
    FIELD("type", "\"A\"|\"AAAA\"|\"SRV\"|\"TXT\"|nil", "\"A\" if not said"),
    FIELD("timeout", "number?", "seconds, 2 if not said, and never more than the hook has left"),
};
const struct shown lookup_options_given = SHOWN(ROLE_GIVEN, "relay.dns.lookup", "", lookup_members);

static const struct member service_members[] = {
    FIELD("target", "string", "a name; \"\": the service is not offered"),
    FIELD("port", "integer", "at the target"),
    FIELD("priority", "integer", "the lowest is to be tried first"),
    FIELD("weight", "integer", "of those of one priority"),
};
const struct shown service_shown = SHOWN(ROLE_RETURNED, "service", "Of `relay.dns.lookup` for SRV (RFC 2782).", service_members);
