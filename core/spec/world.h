/* world.h: a server without sockets for the specs: the real engine, ledger and policies on a virtual clock, one worker.
 *
 * What core/server does for a worker is done here over tables: users are those of the spec, log lines, audit rows and events become rows of
 * Lua lists. Lua may raise out of any call: a world is a userdata, and its collector closes it.
 */
#ifndef RELAY_SPEC_WORLD_H
#define RELAY_SPEC_WORLD_H

#include "policy/policy.h"
#include "turn/tcp_relay.h"

#include <lua.h>

struct user {
    const char *tenant, *name, *password; /* password NULL: `key` */
    uint8_t key[16];
};

/* struct refusal: why the last request was refused, as its event said; code 0: there was no event. */
struct refusal {
    int code;
    char reason[REASON_MAX], by[REASON_MAX];
};

struct client;
struct arrival;

/* enum stub: what the spec answers in place of the outside; stub_names: as the spec calls them. */
enum stub { STUB_HTTP, STUB_DB, STUB_DNS, STUB_COUNT };
extern const char *const stub_names[STUB_COUNT];

#define POOLS_MAX 8

struct world {
    lua_State *lua;
    int lists;             /* in the registry: {audit = {}, errors = {}, events = {}, log = {}} */
    int stubs[STUB_COUNT]; /* in the registry: answer what policies ask */
    msec_t now, started;
    int64_t unix_offset_ms;
    msec_t usage_interval_ms;

    struct engine_config config;
    struct relay_address relays[2 + 2 * POOLS_MAX];
    struct cidr_set allowed, denied;
    struct engine_shared shared;
    struct host host;
    struct engine *engine;
    struct crypto *crypto;
    int sockets;              /* opened so far */
    struct handle connecting; /* the peer of the last Connect */

    struct log *log;
    struct policy_config policies;
    struct policy_shared *policy_shared;
    struct policy *policy;
    char *directory; /* of the policies */

    const char *mint_secret; /* NULL: no minted credentials */
    struct user *users;
    size_t user_count;
    struct usage_mark *marks; /* by index of the allocation */
    size_t mark_count;
    struct client **clients; /* by number */
    size_t client_count;
    void **owned; /* what lives as long as the world */
    size_t owned_count;

    struct arrival *arrivals; /* waiting.c */
    struct send late;         /* the answer to a request whose hooks have waited; its bytes are in late_bytes */
    uint8_t late_bytes[4096];

    struct handle capped; /* of this second */
    struct refusal refusal;
    struct verdict reauth; /* the last relay.reauth of this request; kind SILENT: none */
    bool is_open;
};

/* configure.c: fill a zeroed world from the spec at `at`, and start it; policies find relay.* in `lua_dir`. Raises. */
void world_open(struct world *, lua_State *, int at, const char *lua_dir);

/* world_change: the text at `at` becomes the file `name` of the policy directory; kind "secrets": the list at `at` becomes that secret. */
void world_change(struct world *, const char *kind, const char *name, int at);

/* world_reload: the policies are read again; NULL, or why the old ones stay, in `error`. */
const char *world_reload(struct world *, char *error, size_t error_cap);

void world_remove_directory(const char *path);

/* world_start: engine and policies of a world that is configured.  world_close: frees all; twice is harmless. */
void world_start(struct world *);
void world_close(struct world *);

const struct user *world_user(const struct world *, const char *tenant, struct view name); /* NULL: nobody */
void world_advance(struct world *, msec_t ms);

/* world_wait: moves the clock until the request is answered whose hooks wait: SEND_NOTHING if none is. */
struct send world_wait(struct world *);
void world_stop(struct world *); /* allocations end, `shutdown` runs */
uint32_t world_held(const struct world *, const char *scope, const char *tenant, const char *user);
int64_t world_unix_ms(const struct world *);

/* world_lacks_memory: raises. */
_Noreturn void world_lacks_memory(struct world *);

/* world_own: `at` of malloc is freed with the world; raises without memory.  world_text: a copy of the string at the top, popped; NULL for
 * nil. */
void *world_own(struct world *, void *at);
const char *world_text(struct world *);

/* world_row: pushes a new row of a list, appended. */
void world_row(struct world *, const char *list);

/* row_text, row_number: set a field of the table at the top; nothing for NULL and "". */
void row_text(lua_State *, const char *name, const char *text);
void row_number(lua_State *, const char *name, uint64_t number);
void row_tags(lua_State *, const struct allocation *);

#endif
