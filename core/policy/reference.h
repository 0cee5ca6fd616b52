/* reference.h: what scripts have, as rows: of these the bindings are made, what relay check knows, the stubs for editors and the tables of
 * lua/README.md.
 *
 * A `struct shown` is what has members: an argument of hooks, a part of the library, an object, or a table that functions are given or
 * give. Its rows lie beside the functions that they name, in the file of their subject; reference.c lists all of them, in the order in
 * which one reads them.
 */
#ifndef RELAY_POLICY_REFERENCE_H
#define RELAY_POLICY_REFERENCE_H

#include <stddef.h>

#include <lua.h>

enum mark {
    MARK_LOADS = 1, /* only while the policy loads, init included; anywhere else it raises before it is called */
    MARK_WAITS = 2, /* wait_begin is in there */
    MARK_METHOD = 4 /* of a library, but called with a colon */
};

/* struct member: `type`: as LuaLS writes types, what is below by its name, decisions by their kind; a `?` at the end: may be nil or
 * left out; of a function `fun(key: string, n?: integer): boolean`, without the object of a method. `about`: in Markdown, one line: units,
 * bounds, what it raises or returns in place of a value. */
struct member {
    const char *name, *type, *about;
    lua_CFunction function; /* NULL: it is a value, or lives elsewhere */
    unsigned marks;
};

enum role {
    ROLE_ARGUMENT, /* of hooks: members are read */
    ROLE_LIBRARY,  /* the table of that name; relay.x is a member of relay */
    ROLE_OBJECT,   /* userdata: members are methods */
    ROLE_GIVEN,    /* a table that a function takes: another name in it raises */
    ROLE_RETURNED  /* a table that a function returns */
};

/* struct shown: `name`: as the pages and types call it; `label`: as messages do; `about`: Markdown, or "". */
struct shown {
    enum role role;
    char letter; /* of an argument: in hook_rule.arguments */
    const char *name, *label, *about;
    const struct member *members;
    size_t count;
};

/* of a row X(name, type, about, ...): its struct member */
#define MEMBER_ROW(name, type, about, ...) FIELD(#name, type, about),

/* rows, and what has them */
#define FIELD(name, type, about)                                                                                                           \
    {                                                                                                                                      \
        name, type, about, NULL, 0                                                                                                         \
    }
#define CALL(name, type, about, function, marks)                                                                                           \
    {                                                                                                                                      \
        name, type, about, function, marks                                                                                                 \
    }
#define MEMBERS(rows) rows, sizeof(rows) / sizeof *(rows)
#define SHOWN_AS(role, name, label, about, rows)                                                                                           \
    {                                                                                                                                      \
        role, 0, name, label, about, MEMBERS(rows)                                                                                         \
    }
#define SHOWN(role, name, about, rows) SHOWN_AS(role, name, name, about, rows)

extern const struct shown context_shown, request_shown, allocation_shown, usage_shown, event_shown, address_shown, tags_shown;
extern const struct shown relay_shown, decisions_shown, base64_shown, http_shown, json_shown, jwt_shown, log_shown, metric_shown,
    timer_shown, users_shown, db_shown, dns_shown;
extern const struct shown shared_shown, ratelimit_shown, meter_shown, gate_shown, hold_shown, counter_shown, cidr_shown, data_shown,
    secret_shown, keys_shown, mmdb_shown;
extern const struct shown allow_given, metering_given, key_given, lookup_given, tenant_given, redirect_given, params_given, shared_given,
    ratelimit_given, meter_given, gate_given, incr_given, every_given, get_given, post_given, verify_given, lookup_options_given;
extern const struct shown response_shown, user_shown, service_shown;

/* reference_all: every one, and how many, in the order in which one reads them: what is given and returned behind who uses it first. */
const struct shown *const *reference_all(size_t *count);

/* reference_argument: the one of a letter; NULL: it has no members.  reference_find: the member of that name, or NULL.  reference_member:
 * that of a whole path, "relay.http.get"; NULL. */
const struct shown *reference_argument(char letter);
const struct member *reference_find(const struct shown *, const char *name);
const struct member *reference_member(const char *path);

/* struct hook_argument: what a letter of hook_rule.arguments stands for.  reference_hook_argument: that of a letter of it. */
struct hook_argument {
    char letter;
    const char *name, *type;
};
const struct hook_argument *reference_hook_argument(char letter);

/* reference_nearest: the member that was meant, or NULL. */
const char *reference_nearest(const struct shown *, const char *name);

/* reference_bind: puts the functions of the rows into the table on the top. */
void reference_bind(lua_State *L, const struct shown *);

#endif
