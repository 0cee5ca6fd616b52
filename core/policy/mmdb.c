/* mmdb.c: relay.mmdb: what a MaxMind DB file says of an address. One copy for all workers, in memory of our own: whoever writes over the
 * file while it is in use harms nobody.
 */
#include "policy/argument.h"
#include "policy/library.h"
#include "policy/shared.h"
#include "policy/state.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_DEPTH 8
#define LOOKUP_INSTRUCTIONS 50

/* copy_file: a descriptor of memory with what is in the file; -1 and errno. */
static int copy_file(const char *path)
{
    struct stat stat_of;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    int copy = file < 0 || fstat(file, &stat_of) ? -1 : memfd_create("relay.mmdb", MFD_CLOEXEC);
    for (off_t at = 0; copy >= 0 && at < stat_of.st_size;)
        if (sendfile(copy, file, &at, (size_t)(stat_of.st_size - at)) <= 0) {
            close(copy);
            copy = -1;
        }
    if (file >= 0)
        close(file);
    return copy;
}

static void *read_mmdb(const char *path, char *error, size_t error_cap)
{
    char copied[32];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const int copy = copy_file(path);
    MMDB_s *mmdb = calloc(1, sizeof *mmdb);
    if (copy < 0 || !mmdb) {
        snprintf(error, error_cap, "%s: %s", name, strerror(errno));
        free(mmdb);
        return NULL;
    }
    snprintf(copied, sizeof copied, "/proc/self/fd/%d", copy);
    const int status = MMDB_open(copied, MMDB_MODE_MMAP, mmdb);
    close(copy);
    if (status == MMDB_SUCCESS)
        return mmdb;
    snprintf(error, error_cap, "%s: %s", name, MMDB_strerror(status));
    free(mmdb);
    return NULL;
}

static void free_mmdb(void *content)
{
    MMDB_close(content);
    free(content);
}

static const struct source_kind mmdb_kind = {read_mmdb, free_mmdb};

int relay_mmdb(lua_State *L)
{
    struct source *source = library_file(L, "relay.mmdb", &mmdb_kind);
    *(struct source **)object_new(L, OBJECT_MMDB, sizeof source) = source;
    return 1;
}

/* find: what the file says of the address at 2; false: nothing. An IPv6 form that embeds an IPv4 address is looked up as that. */
static bool find(lua_State *L, MMDB_entry_s *entry)
{
    struct addr parsed;
    struct sockaddr_storage address;
    int status;
    const struct source *source = *(struct source **)object_check(L, 1, OBJECT_MMDB, "a relay.mmdb");
    const MMDB_s *mmdb = source_content(source, &policy_of(L)->reader, NULL);
    const struct addr addr = addr_canonical(address_at(L, 2, &parsed));
    budget_charge(L, LOOKUP_INSTRUCTIONS);
    addr_to_sockaddr(&addr, &address);
    const MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, (const struct sockaddr *)&address, &status);
    *entry = found.entry;
    return status == MMDB_SUCCESS && found.found_entry;
}

/* push_at: the value at a path, which ends with NULL; nil if there is none, or a part of the tree. */
static void push_at(lua_State *L, MMDB_entry_s *entry, const char *const *path)
{
    MMDB_entry_data_s data;
    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data)
        data.type = MMDB_DATA_TYPE_MAP;
    switch (data.type) {
        case MMDB_DATA_TYPE_UTF8_STRING:
            lua_pushlstring(L, data.utf8_string, data.data_size);
            break;
        case MMDB_DATA_TYPE_DOUBLE:
            lua_pushnumber(L, data.double_value);
            break;
        case MMDB_DATA_TYPE_FLOAT:
            lua_pushnumber(L, (lua_Number)data.float_value);
            break;
        case MMDB_DATA_TYPE_UINT16:
            lua_pushinteger(L, data.uint16);
            break;
        case MMDB_DATA_TYPE_UINT32:
            lua_pushinteger(L, data.uint32);
            break;
        case MMDB_DATA_TYPE_INT32:
            lua_pushinteger(L, data.int32);
            break;
        case MMDB_DATA_TYPE_UINT64:
            lua_pushinteger(L, (lua_Integer)data.uint64);
            break;
        case MMDB_DATA_TYPE_BOOLEAN:
            lua_pushboolean(L, data.boolean);
            break;
        default:
            lua_pushnil(L);
    }
}

/* mmdb:country(address): two letters of ISO 3166-1; nil: not known. */
static int mmdb_country(lua_State *L)
{
    static const char *const paths[][3] = {{"country", "iso_code", NULL}, {"registered_country", "iso_code", NULL}};
    MMDB_entry_s entry;
    lua_pushnil(L);
    if (!find(L, &entry))
        return 1;
    for (size_t i = 0; i < sizeof paths / sizeof *paths && lua_type(L, -1) != LUA_TSTRING; i++)
        push_at(L, &entry, paths[i]);
    return 1;
}

/* mmdb:get(address, name, ...): what stands there. Items of lists count from 1. */
static int mmdb_get(lua_State *L)
{
    const char *path[PATH_MAX_DEPTH + 1] = {NULL};
    MMDB_entry_s entry;
    const int count = lua_gettop(L) - 2;
    if (count < 1 || count > PATH_MAX_DEPTH)
        state_raise(L, "get: 1 to %d names expected", PATH_MAX_DEPTH);
    for (int i = 0; i < count; i++) {
        if (lua_isinteger(L, 3 + i) && lua_tointeger(L, 3 + i) > 0) {
            lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, 3 + i) - 1);
            lua_replace(L, 3 + i);
        }
        path[i] = argument_text(L, 3 + i, "get: name", NAME_MAX_LEN, NULL);
    }
    if (find(L, &entry))
        push_at(L, &entry, path);
    else
        lua_pushnil(L);
    return 1;
}

static const struct member mmdb_members[] = {
    CALL("country", "fun(address: address|string): string?", "two letters; nil: not known", mmdb_country, 0),
    CALL("get", "fun(address: address|string, ...: string|integer): string|number|boolean|nil",
         "up to 8 names, or numbers of items: what stands there; nil: nothing, or a part of the tree", mmdb_get, 0),
};
const struct shown mmdb_shown = SHOWN(ROLE_OBJECT, "mmdb", "", mmdb_members);

void mmdb_open(lua_State *L)
{
    object_define(L, OBJECT_MMDB, "mmdb", &mmdb_shown, NULL);
}
