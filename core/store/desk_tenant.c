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

int desk_tenant_check(const char *name, const char *value)
{
    const struct desk_field *field = desk_tenant_field(name);
    if (!field)
        return ERR_NOT_FOUND;
    return is_value_for(field, value) ? 0 : ERR_RANGE;
}

static int set_field(struct desk *desk, const char *name, const struct desk_field *field, const char *value)
{
    char text[OPAQUE_MAX_LEN + 1], sql[128];
    int64_t number = 0;
    int err = RUN(desk, "INSERT INTO tenants (name, created_ms) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", TEXT(name),
                  NUMBER(clock_unix_ms()));
    if (err)
        return err;
    if (field->most)
        parse_number(value, field->most, &number);
    else
        prepare_text(value, text);
    snprintf(sql, sizeof sql, "UPDATE tenants SET %s = ?2 WHERE name = ?1", field->name);
    return RUN(desk, sql, TEXT(name), field->most ? NUMBER(number) : TEXT(text));
}

int desk_tenant_set(struct desk *desk, const char *name, const char *field, const char *value, const char *who)
{
    int err = desk_tenant_check(field, value);
    if (err)
        return desk_refuse(desk, err, err == ERR_NOT_FOUND ? "no such field of a tenant" : "not a value for this field");
    if (!*name || strlen(name) >= sizeof((struct store_tenant *)0)->name)
        return desk_refuse(desk, ERR_RANGE, "a tenant's name has 1 to 128 bytes");
    err = desk_start(desk);
    if (err == 0)
        err = set_field(desk, name, desk_tenant_field(field), value);
    if (err == 0)
        err = desk_audit(desk, who, "tenant_set", (const char *const[]){"tenant", name, field, value});
    return desk_finish(desk, err);
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
