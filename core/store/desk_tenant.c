/* desk_tenant.c: tenants, and the table of what an operator may set of them. */
#include "store/desk_statement.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/opaque.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(name) offsetof(struct store_tenant, name)
#define CHOICE(name, ...) {#name, {__VA_ARGS__}, 0, AT(name)},
#define LIMIT(name, most) {#name, {NULL}, most, AT(name)},
static const struct desk_field fields[] = {{"realm", {NULL}, 0, AT(realm)}, STORE_TENANT_CHOICES(CHOICE) STORE_TENANT_LIMITS(LIMIT)};
#undef AT
#undef CHOICE
#undef LIMIT

#define FIELDS (sizeof fields / sizeof *fields)

_Static_assert(FIELDS <= DESK_TENANT_FIELDS_MAX, "who keeps one thing for each field has room");

const struct desk_field *desk_tenant_fields(size_t *count)
{
    *count = FIELDS;
    return fields;
}

const struct desk_field *desk_tenant_field(const char *name)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

const char *desk_field_wants(const struct desk_field *field, char out[DESK_WANTS_MAX])
{
    struct slab slab = slab_over(out, DESK_WANTS_MAX - 1);
    if (field->most)
        snprintf(out, DESK_WANTS_MAX, "a number from 0 to %jd", (intmax_t)field->most);
    else if (!field->words[0])
        snprintf(out, DESK_WANTS_MAX, "text of at most %d bytes", STORE_REALM_MAX);
    for (const char *const *word = field->words; *word; word++) {
        slab_put_text(&slab, slab.len ? " or " : "");
        slab_put_text(&slab, *word);
        out[slab.len] = 0;
    }
    return out;
}

/* parse_number: digits only, 0..most. */
static bool parse_number(const char *text, int64_t most, int64_t *out)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits])
        return false;
    *out = strtoll(text, NULL, 10);
    return *out <= most;
}

/* prepare_text: as clients will be challenged with it (RFC 8489 section 14.9); false if it may not be a realm. */
static bool prepare_text(const char *value, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    out[0] = 0;
    return !*value || (opaque_enforce(view_text(value), out, &len, why) == 0 && len < sizeof((struct store_tenant *)0)->realm);
}

static bool is_value_for(const struct desk_field *field, const char *value)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    int64_t number;
    if (field->most)
        return parse_number(value, field->most, &number);
    if (!field->words[0])
        return prepare_text(value, prepared);
    const char *const *word = field->words;
    while (*word && strcmp(*word, value) != 0)
        word++;
    return *word;
}

static int64_t *number_at(struct store_tenant *tenant, const struct desk_field *field)
{
    return (int64_t *)(void *)((char *)tenant + field->at);
}

int64_t desk_tenant_number(const struct store_tenant *tenant, const struct desk_field *field)
{
    return *(const int64_t *)(const void *)((const char *)tenant + field->at);
}

const char *desk_tenant_text(const struct store_tenant *tenant, const struct desk_field *field)
{
    return (const char *)tenant + field->at;
}

int desk_tenant_begin(struct desk_tenant *tenant, const char *name)
{
    char prepared[OPAQUE_MAX_LEN + 1];
    *tenant = (struct desk_tenant){0};
    if (!*name || strcmp(name, "*") == 0 || !prepare_text(name, prepared) || strcmp(name, prepared) != 0)
        return ERR_RANGE;
    snprintf(tenant->row.name, sizeof tenant->row.name, "%s", name);
    return 0;
}

int desk_tenant_take(struct desk_tenant *tenant, const struct desk_field *field, const char *value)
{
    char text[OPAQUE_MAX_LEN + 1];
    if (!is_value_for(field, value))
        return ERR_RANGE;
    tenant->given |= UINT64_C(1) << (field - fields);
    if (field->most) {
        parse_number(value, field->most, number_at(&tenant->row, field));
        return 0;
    }
    prepare_text(value, text);
    view_copy(view_text(text), (char *)&tenant->row + field->at, field->words[0] ? sizeof tenant->row.status : sizeof tenant->row.realm);
    return 0;
}

/* describe: the fields that are in the set, as an object; *out NULL: there is no such tenant. */
static int describe(struct desk *desk, const struct desk_tenant *tenant, uint64_t set, char **out)
{
    char text[2048];
    struct slab sql = slab_over(text, sizeof text);
    const struct argument name = TEXT(tenant->row.name);
    slab_put_text(&sql, "SELECT json_object(");
    for (size_t i = 0, count = 0; i < FIELDS; i++) {
        if (!(set & UINT64_C(1) << i))
            continue;
        slab_put_text(&sql, count++ ? ", '" : "'");
        slab_put_text(&sql, fields[i].name);
        slab_put_text(&sql, "', ");
        slab_put_text(&sql, fields[i].name);
    }
    slab_put_text(&sql, ") FROM tenants WHERE name = ?1");
    slab_put_u8(&sql, 0);
    return sql.overflow ? desk_refuse(desk, ERR_MEMORY, "too many fields") : desk_json(desk, out, text, &name, 1);
}

static int set_field(struct desk *desk, const struct desk_tenant *tenant, const struct desk_field *field)
{
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE tenants SET %s = ?2 WHERE name = ?1", field->name);
    return RUN(desk, sql, TEXT(tenant->row.name),
               field->most ? NUMBER(desk_tenant_number(&tenant->row, field)) : TEXT(desk_tenant_text(&tenant->row, field)));
}

/* write: a new one that is added has a realm of its own. */
static int write(struct desk *desk, const struct desk_tenant *tenant, enum desk_put how)
{
    const char *name = tenant->row.name;
    int err = RUN(desk, "INSERT INTO tenants (name, realm, created_ms) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING", TEXT(name),
                  TEXT(how == DESK_ADD ? name : ""), NUMBER(clock_unix_ms()));
    for (size_t i = 0; i < FIELDS && err == 0; i++)
        if (tenant->given & UINT64_C(1) << i)
            err = set_field(desk, tenant, &fields[i]);
    return err;
}

static int check_put(struct desk *desk, enum desk_put how, const char *before)
{
    if (how == DESK_ADD && before)
        return desk_refuse(desk, ERR_EXISTS, "there is a tenant of this name already");
    if (how == DESK_CHANGE && !before)
        return desk_refuse(desk, ERR_NOT_FOUND, "no such tenant");
    return 0;
}

#define ALL_FIELDS UINT64_MAX

int desk_tenant_put(struct desk *desk, const struct desk_tenant *tenant, enum desk_put how, const char *who)
{
    const char *name = tenant->row.name;
    char *before = NULL, *after = NULL;
    int err = desk_start(desk);
    if (err == 0)
        err = describe(desk, tenant, tenant->given, &before);
    if (err == 0)
        err = check_put(desk, how, before);
    if (err == 0)
        err = write(desk, tenant, how);
    if (err == 0)
        err = describe(desk, tenant, before ? tenant->given : ALL_FIELDS, &after);
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who,
                                              .type = before ? "tenant_set" : "tenant_add",
                                              .tenant = name,
                                              .what = {"tenant", name},
                                              .before = before,
                                              .after = after});
    free(before);
    free(after);
    return desk_finish(desk, err);
}

int desk_tenant_set(struct desk *desk, const char *name, const char *field, const char *value, const char *who)
{
    const struct desk_field *found = desk_tenant_field(field);
    struct desk_tenant tenant;
    if (!found)
        return desk_refuse(desk, ERR_NOT_FOUND, "no such field of a tenant");
    if (desk_tenant_begin(&tenant, name) != 0)
        return desk_refuse(desk, ERR_RANGE, "a tenant's name has 1 to 127 bytes, and is not *");
    if (desk_tenant_take(&tenant, found, value) != 0)
        return desk_refuse(desk, ERR_RANGE, "not a value for this field");
    return desk_tenant_put(desk, &tenant, DESK_PUT, who);
}

int desk_tenants(struct desk *desk, const struct desk_page *page, desk_tenant_fn *each, void *ctx)
{
    static const char sql[] = "SELECT " DATABASE_TENANT_COLUMNS " FROM tenants WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR name > ?2)"
                              " ORDER BY name LIMIT ?3";
    const struct argument arguments[] = {TEXT_OR_NULL(page->name), TEXT_OR_NULL(page->after), PAGE_LIMIT(page)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 3);
    struct store_tenant tenant;
    int code = SQLITE_ERROR;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        database_tenant(statement, &tenant);
        each(ctx, &tenant);
    }
    return desk_end(desk, statement, code);
}

/* count: the number that a statement with the tenant as ?1 and its realm as ?2 says; -1: it failed. */
static int64_t count(struct desk *desk, const char *sql, const char *tenant, const char *realm)
{
    const struct argument arguments[] = {TEXT(tenant), TEXT(realm)};
    sqlite3_stmt *statement = desk_begin(desk, sql, arguments, 2);
    const int64_t number = statement && sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    return number;
}

static bool has_rows(struct desk *desk, const char *realm)
{
    return count(desk, "SELECT EXISTS (SELECT 1 FROM users WHERE realm = ?2) OR EXISTS (SELECT 1 FROM secrets WHERE realm = ?2)", realm, realm) > 0;
}

/* own_realm: of a row: its realm, or its name. */
static void own_realm(const struct store_tenant *row, char out[STORE_REALM_MAX + 1])
{
    snprintf(out, STORE_REALM_MAX + 1, "%.*s", STORE_REALM_MAX, *row->realm ? row->realm : row->name);
}

static void take(void *ctx, const struct store_tenant *row)
{
    struct store_tenant *out = ctx;
    *out = *row;
}

static bool is_shared(struct desk *desk, const char *tenant, const char *realm)
{
    return count(desk, "SELECT EXISTS (SELECT 1 FROM tenants WHERE realm = ?2 AND name <> ?1) OR EXISTS (SELECT 1 FROM tenants WHERE name = ?2 AND name <> ?1 AND realm = '')",
                 tenant, realm) != 0;
}

int desk_realm(struct desk *desk, const char *tenant, const char *known, char out[STORE_REALM_MAX + 1], bool *shared)
{
    struct store_tenant row = {0};
    const int err = desk_tenants(desk, &(struct desk_page){.name = tenant}, take, &row);
    if (err)
        return err;
    if (!*row.name && strcmp(tenant, known) != 0 && !has_rows(desk, tenant))
        return desk_refuse(desk, ERR_NOT_FOUND, "no such tenant");
    if (!*row.name)
        snprintf(row.name, sizeof row.name, "%s", tenant);
    own_realm(&row, out);
    *shared = is_shared(desk, tenant, out);
    return 0;
}

/* ---- its end ---- */

/* What a tenant has: which says how many, and how it goes; ?1 is the tenant, ?2 its realm. What has a realm is left if that is another's too. */
struct belonging {
    const char *what, *table, *count, *remove;
    bool of_realm;
};

static const struct belonging belongings[] = {
    {"users", "users", "SELECT count(*) FROM users WHERE realm = ?2", "DELETE FROM users WHERE realm = ?2", true},
    {"secrets", "secrets", "SELECT count(*) FROM secrets WHERE realm = ?2", "DELETE FROM secrets WHERE realm = ?2", true},
    {"keys", "keys", "SELECT count(*) FROM keys WHERE tenant = ?1 AND revoked_ms IS NULL", "DELETE FROM keys WHERE tenant = ?1", false},
    {"events for webhooks", "outbox", "SELECT count(*) FROM outbox WHERE webhook IN (SELECT id FROM webhooks WHERE tenant = ?1)",
     "DELETE FROM outbox WHERE webhook IN (SELECT id FROM webhooks WHERE tenant = ?1)", false},
    {"webhooks", "webhooks", "SELECT count(*) FROM webhooks WHERE tenant = ?1", "DELETE FROM webhooks WHERE tenant = ?1", false},
    {"allocations that live", "sessions", "SELECT count(*) FROM sessions INDEXED BY sessions_open WHERE closed_ms IS NULL AND tenant = ?1", NULL, false},
};

#define BELONGINGS (sizeof belongings / sizeof *belongings)

/* refuse_remove: while there is any of it: that is said. 0: there is nothing. */
static int refuse_remove(struct desk *desk, const char *tenant, const char *realm, bool shared)
{
    char text[sizeof desk->error];
    struct slab said = slab_over(text, sizeof text - 1);
    char number[24];
    for (size_t i = 0; i < BELONGINGS; i++) {
        const struct belonging *each = &belongings[i];
        if (!database_has_table(desk->db, each->table) || (each->of_realm && shared))
            continue;
        const int64_t many = count(desk, each->count, tenant, realm);
        if (many < 0)
            return desk_failed(desk);
        if (many == 0)
            continue;
        snprintf(number, sizeof number, "%jd ", (intmax_t)many);
        slab_put_text(&said, said.len ? ", " : "it has ");
        slab_put_text(&said, number);
        slab_put_text(&said, each->what);
    }
    if (!said.len)
        return 0;
    slab_put_text(&said, ": remove these first, or force it");
    text[said.len] = 0;
    return desk_refuse(desk, ERR_EXISTS, text);
}

static int remove_all(struct desk *desk, const char *tenant, const char *realm, bool shared)
{
    int err = 0;
    for (size_t i = 0; i < BELONGINGS && err == 0; i++)
        if (belongings[i].remove && database_has_table(desk->db, belongings[i].table) && !(belongings[i].of_realm && shared))
            err = RUN(desk, belongings[i].remove, TEXT(tenant), TEXT(realm));
    return err ? err : RUN(desk, "DELETE FROM tenants WHERE name = ?1", TEXT(tenant));
}

/* Without its row it had no limits: who comes in its name is shut out, and who is there ends. */
static int shut_out(struct desk *desk, const char *name, const struct desk_tenant_end *end)
{
    const struct desk_revocation row = {.kind = "tenant", .tenant = name, .name = "", .at_ms = clock_unix_ms(), .until_ms = end->shut_out_until_ms};
    return desk_shut_out(desk, &row);
}

int desk_tenant_remove(struct desk *desk, const char *name, const struct desk_tenant_end *end, const char *who)
{
    struct desk_tenant tenant = {0};
    char realm[STORE_REALM_MAX + 1], *before = NULL;
    bool shared = false;
    view_copy(view_text(name), tenant.row.name, sizeof tenant.row.name);
    int err = desk_start(desk);
    if (err == 0)
        err = describe(desk, &tenant, ALL_FIELDS, &before);
    if (err == 0 && !before)
        err = desk_refuse(desk, ERR_NOT_FOUND, "no such tenant");
    if (err == 0)
        err = desk_realm(desk, name, name, realm, &shared);
    if (err == 0 && !end->force)
        err = refuse_remove(desk, name, realm, shared);
    if (err == 0)
        err = remove_all(desk, name, realm, shared);
    if (err == 0)
        err = shut_out(desk, name, end);
    if (err == 0)
        err = desk_audit(desk, &(struct deed){.who = who, .type = "tenant_remove", .tenant = name, .what = {"tenant", name}, .before = before});
    free(before);
    return desk_finish(desk, err);
}
