/* configure.c: what T.new was given becomes the configuration of a world. */
#include "spec/client.h"
#include "spec/record.h"
#include "spec/world.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS 1000000
#define NAMES_MAX 4096
#define TICKETS_MAX 256
#define RELAY_V4 "8.0.0.1"
#define RELAY_V6 "2001:4860::1"
#define POOL_V4 "8.0.1.%d"
#define POOL_V6 "2001:4860:1::%d"

static const char *text_field(struct world *w, int at, const char *name)
{
    lua_getfield(w->lua, at, name);
    return world_text(w);
}

static uint32_t number_field(struct world *w, int at, const char *name)
{
    lua_getfield(w->lua, at, name);
    const lua_Integer number = lua_tointeger(w->lua, -1);
    lua_pop(w->lua, 1);
    return (uint32_t)number;
}

static void *array_of(struct world *w, size_t count, size_t size)
{
    return world_own(w, calloc(count ? count : 1, size));
}

/* ---- the policy directory: files of the spec, and links to those of its `dir` ---- */

static char *path_of(struct world *w, const char *name)
{
    const size_t cap = strlen(w->directory) + strlen(name) + 2;
    char *path = array_of(w, cap, 1);
    snprintf(path, cap, "%s/%s", w->directory, name);
    return path;
}

/* write_file: what is there may be a link to a file of `dir`. */
static const char *write_file(struct world *w, const char *name, const char *text, size_t len)
{
    const char *path = path_of(w, name);
    unlink(path);
    FILE *file = strchr(name, '/') ? NULL : fopen(path, "wb");
    const bool written = file && fwrite(text, 1, len, file) == len;
    if ((file && fclose(file) != 0) || !written)
        luaL_error(w->lua, "%s cannot be written", path);
    return path;
}

static int is_file(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void link_files(struct world *w, const char *from)
{
    char full[PATH_MAX], target[PATH_MAX];
    struct dirent **entries = NULL;
    const int count = realpath(from, full) ? scandir(full, &entries, is_file, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (snprintf(target, sizeof target, "%s/%s", full, name) < (int)sizeof target)
            (void)!symlink(target, path_of(w, name)); /* one of the spec's goes before it */
        free(entries[i]);
    }
    free(entries);
}

static void make_directory(struct world *w, int at)
{
    lua_State *L = w->lua;
    const char *tmp = getenv("TMPDIR");
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/relay-spec-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(name))
        luaL_error(L, "%s: %s", name, strerror(errno));
    lua_pushstring(L, name);
    w->directory = (char *)(uintptr_t)world_text(w);
    lua_getfield(L, at, "files");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t len;
        const char *text = lua_tolstring(L, -1, &len);
        write_file(w, lua_tostring(L, -2), text, len);
    }
    lua_pop(L, 1);
    link_files(w, text_field(w, at, "dir"));
}

void world_remove_directory(const char *path)
{
    char name[PATH_MAX];
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_file, alphasort);
    for (int i = 0; i < count; i++) {
        if (snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name)
            unlink(name);
        free(entries[i]);
    }
    free(entries);
    rmdir(path);
}

/* ---- what the policies are configured with ---- */

static void read_policies(struct world *w, int at)
{
    lua_State *L = w->lua;
    lua_getfield(L, at, "policies");
    const size_t count = lua_rawlen(L, -1);
    const char **files = array_of(w, count, sizeof *files);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        const int policy = lua_gettop(L);
        lua_getfield(L, policy, "text");
        const char *text = lua_tolstring(L, -1, &len), *name = text_field(w, policy, "name");
        files[i] = write_file(w, name, text, len);
        lua_settop(L, policy - 1);
    }
    lua_pop(L, 1);
    w->policies.files = files;
    w->policies.file_count = count;
}

/* count_pairs: of the table at the top. */
static size_t count_pairs(lua_State *L)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        count++;
    return count;
}

static void read_params(struct world *w, int at)
{
    lua_State *L = w->lua;
    lua_getfield(L, at, "set");
    struct policy_param *params = array_of(w, count_pairs(L), sizeof *params), *param = params;
    for (lua_pushnil(L); lua_next(L, -2); param++) {
        param->value = world_text(w);
        lua_pushvalue(L, -1);
        param->name = world_text(w);
        param->where = "command line";
    }
    lua_pop(L, 1);
    w->policies.params = params;
    w->policies.param_count = (size_t)(param - params);
}

/* lines_of: pushes the strings of the list at the top, a line each. */
static const char *lines_of(lua_State *L, size_t *len)
{
    luaL_Buffer lines;
    const int list = lua_gettop(L);
    luaL_buffinit(L, &lines);
    for (lua_Integer i = 1; lua_rawgeti(L, list, i) == LUA_TSTRING; i++) {
        luaL_addvalue(&lines);
        luaL_addchar(&lines, '\n');
    }
    lua_pop(L, 1);
    luaL_pushresult(&lines);
    return lua_tolstring(L, -1, len);
}

static void secret_file(size_t index, char file[64])
{
    snprintf(file, 64, "secret.%zu", index);
}

static void read_secrets(struct world *w, int at)
{
    lua_State *L = w->lua;
    lua_getfield(L, at, "secrets");
    struct policy_secret *secrets = array_of(w, count_pairs(L), sizeof *secrets), *secret = secrets;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), secret++) {
        char file[64];
        size_t len;
        const int list = lua_gettop(L);
        const char *text = lines_of(L, &len);
        secret_file((size_t)(secret - secrets), file);
        secret->path = write_file(w, file, text, len);
        lua_pushvalue(L, list - 1);
        secret->name = world_text(w);
        lua_settop(L, list);
    }
    lua_pop(L, 1);
    w->policies.secrets = secrets;
    w->policies.secret_count = (size_t)(secret - secrets);
}

/* A file that is the same at two looks is read. */
void world_change(struct world *w, const char *kind, const char *name, int at)
{
    char file[64];
    size_t len;
    const char *text = lua_tolstring(w->lua, at, &len);
    for (size_t i = 0; strcmp(kind, "secrets") == 0 && i < w->policies.secret_count; i++)
        if (strcmp(w->policies.secrets[i].name, name) == 0) {
            lua_settop(w->lua, at);
            text = lines_of(w->lua, &len);
            secret_file(i, file);
            name = file;
        }
    if (!text)
        luaL_error(w->lua, "change: a text of a file, or the list of a secret expected");
    write_file(w, name, text, len);
    policy_shared_look(w->policy_shared, w->log);
    policy_shared_look(w->policy_shared, w->log);
}

static void read_users(struct world *w, int at)
{
    lua_State *L = w->lua;
    w->mint_secret = text_field(w, at, "mint_secret");
    lua_getfield(L, at, "users");
    w->user_count = lua_rawlen(L, -1);
    w->users = array_of(w, w->user_count, sizeof *w->users);
    for (size_t i = 0; i < w->user_count; i++) {
        struct user *user = &w->users[i];
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        const int row = lua_gettop(L);
        user->tenant = text_field(w, row, "tenant");
        user->name = text_field(w, row, "user");
        user->password = text_field(w, row, "password");
        if (!user->password && crypto_hex_decode(view_text(text_field(w, row, "ha1")), user->key, sizeof user->key) != 0)
            luaL_error(L, "users: ha1: 32 hexadecimal digits expected");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- what the engine is configured with ---- */

static void read_ranges(struct world *w, int options, const char *name, struct cidr_set *set)
{
    lua_State *L = w->lua;
    lua_getfield(L, options, name);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
        struct cidr_range range;
        const char *text = lua_tostring(L, -1);
        if (cidr_parse(view_text(text), &range) != 0 || cidr_add(set, &range) != 0)
            luaL_error(L, "%s: '%s' is not an address range", name, text);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    cidr_seal(set);
}

static void read_options(struct world *w, int options)
{
    struct engine_config *config = &w->config;
    read_ranges(w, options, "allowed_peer_ip", &w->allowed);
    read_ranges(w, options, "denied_peer_ip", &w->denied);
    lua_getfield(w->lua, options, "allow_loopback_peers");
    config->allow_loopback_peers = lua_toboolean(w->lua, -1);
    lua_pop(w->lua, 1);
    config->max_lifetime_s = number_field(w, options, "max_allocate_lifetime");
    config->permission_lifetime_s = number_field(w, options, "permission_lifetime");
    config->channel_lifetime_s = number_field(w, options, "channel_lifetime");
    config->total_quota = number_field(w, options, "total_quota");
    config->user_quota = number_field(w, options, "user_quota");
    config->max_permissions = number_field(w, options, "max_permissions");
    config->max_channels = number_field(w, options, "max_channels");
    config->max_pps = number_field(w, options, "max_pps");
    config->max_user_bps = number_field(w, options, "max_user_bps");
    config->max_new_peers = number_field(w, options, "max_new_peers");
    w->usage_interval_ms = (msec_t)number_field(w, options, "usage_interval") * 1000;
    w->shared.quota = quota_new(NAMES_MAX);
    w->shared.tenants = tenants_new(NAMES_MAX);
    w->shared.ports = ports_new(config->relay_count, (uint16_t)number_field(w, options, "min_port"), (uint16_t)number_field(w, options, "max_port"));
    w->shared.tcp_ports = ports_new(config->relay_count, (uint16_t)number_field(w, options, "min_port"), (uint16_t)number_field(w, options, "max_port"));
    w->shared.connections = connections_new(NAMES_MAX);
    w->shared.tickets = w->shared.ports ? tickets_new(TICKETS_MAX, w->shared.ports) : NULL;
}

static void read_relay(struct relay_address *relay, const char *text)
{
    addr_parse_ip(view_text(text), &relay->local);
    relay->shown = relay->local;
}

/* read_pools: relay_pools: names; the i-th relays from two addresses that nobody else has. */
static void read_pools(struct world *w, int options)
{
    lua_State *L = w->lua;
    char text[ADDR_TEXT_MAX];
    lua_getfield(L, options, "relay_pools");
    const int pools = lua_gettop(L);
    for (int i = 1; lua_rawgeti(L, pools, i) == LUA_TSTRING; i++) {
        if (i > POOLS_MAX)
            luaL_error(L, "relay_pools: at most %d", POOLS_MAX);
        const char *name = world_text(w);
        struct relay_address *pair = &w->relays[w->config.relay_count];
        snprintf(text, sizeof text, POOL_V4, i);
        read_relay(&pair[0], text);
        snprintf(text, sizeof text, POOL_V6, i);
        read_relay(&pair[1], text);
        pair[0].pool = pair[1].pool = name;
        w->config.relay_count += 2;
    }
    lua_settop(L, pools - 1);
}

static void configure(struct world *w, int at)
{
    read_relay(&w->relays[0], RELAY_V4);
    read_relay(&w->relays[1], RELAY_V6);
    w->config = (struct engine_config){
        .offer_userhash = true, /* a test says by `hidden` whether it is used */
        .realm = text_field(w, at, "realm"),
        .software = "",
        .relaying = true,
        .oauth = true, /* whether clients show tokens is theirs */
        .nonce_lifetime_s = 600,
        .max_allocations = NAMES_MAX,
        .max_parked = 16,
        .park_deadline_ms = 3000,
        .no_local_handover = true, /* a test says by itself what reaches whom */
        .hash_key = {1, 2},
        .relays = w->relays,
        .relay_count = 2,
        .allowed_peers = &w->allowed,
        .denied_peers = &w->denied,
    };
    w->policies = (struct policy_config){.lua_dir = w->policies.lua_dir, .workers = 1, .hash_key = {3, 4}};
    w->now = w->started = START_MS;
    for (size_t i = 0; i < STUB_COUNT; i++) {
        lua_getfield(w->lua, at, stub_names[i]);
        w->stubs[i] = luaL_ref(w->lua, LUA_REGISTRYINDEX);
    }
    lua_getfield(w->lua, at, "now");
    w->unix_offset_ms = lua_tointeger(w->lua, -1) * 1000 - START_MS;
    lua_getfield(w->lua, at, "options");
    read_pools(w, lua_gettop(w->lua));
    read_options(w, lua_gettop(w->lua));
    lua_pop(w->lua, 2);
}

static int read_and_start(lua_State *L)
{
    struct world *w = lua_touserdata(L, 2);
    configure(w, 1);
    read_users(w, 1);
    make_directory(w, 1);
    read_policies(w, 1);
    read_params(w, 1);
    read_secrets(w, 1);
    world_start(w);
    return 0;
}

void world_open(struct world *w, lua_State *L, int at, const char *lua_dir)
{
    w->policies.lua_dir = lua_dir;
    lua_pushcfunction(L, read_and_start);
    lua_pushvalue(L, at);
    lua_pushlightuserdata(L, w);
    const int status = lua_pcall(L, 2, 0, 0);
    if (status != LUA_OK)
        lua_error(L);
}
