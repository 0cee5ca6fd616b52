/* gate.c: relay.gate: how many may hold a place at a time, by key, over all workers. What holds it is a variable: `local place <close> =
 * gate:hold(key)` gives it back however the block ends, also by an error, a kill, or a client that went away while the hook waited.
 */
#include "policy/library.h"
#include "policy/share.h"

#include "base/err.h"

#include <string.h>

#define GATE_KEYS 65536
#define GATE_MAX 1000000

/* struct hold: a place. gate NULL: given back. */
struct hold {
    struct shared_object *gate;
    size_t key_len;
    uint8_t key[];
};

static int hold(lua_State *L)
{
    struct shared_object *gate = share_self(L, OBJECT_GATE, "a relay.gate");
    const struct view key = share_key(L, 2);
    struct hold *out = object_new(L, OBJECT_HOLD, sizeof *out + key.len);
    *out = (struct hold){.key_len = key.len};
    memcpy(out->key, key.at, key.len);
    const int status = dictionary_take(gate->as.dictionary, key, gate->options.a, policy_of(L)->now);
    if (!status) {
        out->gate = gate;
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, status == ERR_BUSY ? "busy" : "full");
    return 2;
}

/* give_back: the place at 1, once. */
static int give_back(lua_State *L)
{
    struct hold *place = object_check(L, 1, OBJECT_HOLD, "a place of relay.gate");
    if (place->gate)
        dictionary_give(place->gate->as.dictionary, view_of(place->key, place->key_len), policy_of(L)->now);
    place->gate = NULL;
    return 0;
}

static int make_gate(struct policy_shared *shared, struct shared_object *object, void *ctx, char *error, size_t error_cap)
{
    (void)ctx, (void)error, (void)error_cap;
    object->as.dictionary = dictionary_new(shared_hash_key(shared), GATE_KEYS, false);
    return object->as.dictionary ? 0 : ERR_MEMORY;
}

int relay_gate(lua_State *L)
{
    lua_settop(L, 2);
    const char *name = argument_text(L, 1, "relay.gate", NAME_MAX_LEN, NULL);
    strict_only(L, 2, "relay.gate", &gate_given);
    lua_getfield(L, 2, "max");
    const lua_Integer max = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (max < 1 || max > GATE_MAX)
        state_raise(L, "relay.gate: max: an integer from 1 to %d expected", GATE_MAX);
    return share_push(L, OBJECT_GATE, SHARED_GATE, name, &(struct shared_options){.a = max}, make_gate, NULL);
}

static const struct member gate_members[] = {
    CALL("hold", "fun(key: string|integer): hold?, string?",
         "a place, for `local place <close> = gate:hold(key)`: it is given back at the end of the block, however that comes; or nil, "
         "`\"busy\"` or, where there "
         "are 65,536 keys, `\"full\"`",
         hold, 0),
};
const struct shown gate_shown = SHOWN(ROLE_OBJECT, "gate", "", gate_members);

const struct shown hold_shown = {ROLE_OBJECT, 0, "hold", "hold", "A place of a `gate`. It has no members.", NULL, 0};

static const struct member gate_options[] = {FIELD("max", "integer", "places for each key, 1 to 1,000,000")};
const struct shown gate_given = SHOWN(ROLE_GIVEN, "relay.gate", "", gate_options);

void gate_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__close", give_back}, {"__gc", give_back}, {NULL, NULL}};
    object_define(L, OBJECT_GATE, "gate", &gate_shown, NULL);
    object_define(L, OBJECT_HOLD, "hold", NULL, meta);
}
