/* command_tenant.c: relay tenant add, set, list, show, remove. */
#include "server/command_line.h"

#include "base/clock.h"
#include "base/nearest.h"
#include "server/revocation.h"

#include <stdio.h>
#include <string.h>

#define FIELD_MAX 64
#define FIELDS_TEXT_MAX 512

static int unknown_field(const struct command_line *line, const char *name)
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    const char *names[DESK_TENANT_FIELDS_MAX];
    char all[FIELDS_TEXT_MAX];
    struct slab slab = slab_over(all, sizeof all);
    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i].name;
        slab_put_text(&slab, i ? ", " : "");
        slab_put_text(&slab, fields[i].name);
    }
    slab_put_u8(&slab, 0);
    const char *meant = nearest(name, names, count);
    if (meant)
        return command_fail(line, COMMAND_MISUSED, "%s: no such field: did you mean %s?", name, meant);
    return command_fail(line, COMMAND_MISUSED, "%s: no such field: there are %s", name, slab.overflow ? "others" : all);
}

/* split: the value of "field=value", its field into `name`; NULL if it is none. */
static const char *split(const char *word, char name[FIELD_MAX])
{
    const size_t len = strcspn(word, "=");
    if (!word[len] || len == 0 || len >= FIELD_MAX)
        return NULL;
    view_copy(view_of(word, len), name, FIELD_MAX);
    return word + len + 1;
}

static int take_field(const struct command_line *line, struct desk_tenant *tenant, const char *word)
{
    char name[FIELD_MAX], wants[DESK_WANTS_MAX];
    const char *value = split(word, name);
    if (!value)
        return command_fail(line, COMMAND_MISUSED, "%s: a field and its value are written FIELD=VALUE", word);
    const struct desk_field *field = desk_tenant_field(name);
    if (!field)
        return unknown_field(line, name);
    if (desk_tenant_take(tenant, field, value) != 0)
        return command_fail(line, COMMAND_MISUSED, "%s: %s, not %s", name, desk_field_wants(field, wants), value);
    return 0;
}

/* read_tenant: all that the words say. Everything is checked before anything is changed. */
static int read_tenant(const struct command_line *line, struct desk_tenant *tenant)
{
    int code = command_check_file(line);
    if (code)
        return code;
    if (desk_tenant_begin(tenant, line->words[0]) != 0)
        return command_fail(line, COMMAND_MISUSED, "%s: a tenant's name has 1 to 127 bytes, and is not *", line->words[0]);
    for (size_t i = 1; i < line->word_count && code == 0; i++)
        code = take_field(line, tenant, line->words[i]);
    return code;
}

static int put_here(const struct command_line *line, const struct desk_tenant *tenant, enum desk_put how)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, true);
    return desk ? command_end(line, desk, desk_tenant_put(desk, tenant, how, command_who(who))) : COMMAND_FAILED;
}

/* body_of: what is given, as an object. */
static json_t *body_of(const struct desk_tenant *tenant)
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    json_t *body = json_object();
    for (size_t i = 0; i < count; i++)
        if (tenant->given & UINT64_C(1) << i)
            json_object_set_new(body, fields[i].name,
                                fields[i].most ? json_integer(desk_tenant_number(&tenant->row, &fields[i]))
                                               : json_string(desk_tenant_text(&tenant->row, &fields[i])));
    return body;
}

static int put_there(const struct command_line *line, const struct desk_tenant *tenant, enum desk_put how)
{
    struct command_question question = {.method = "PATCH", .path = {"v1", "tenants", tenant->row.name}, .query = {{"create", "true"}}, .body = body_of(tenant)};
    json_t *answer = NULL;
    if (how == DESK_ADD) {
        question = (struct command_question){.method = "POST", .path = {"v1", "tenants"}, .body = question.body};
        json_object_set_new(question.body, "name", json_string(tenant->row.name));
    }
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

static int put(const struct command_line *line, enum desk_put how)
{
    struct desk_tenant tenant;
    const int code = read_tenant(line, &tenant);
    if (code)
        return code;
    return (command_is_remote(line) ? put_there : put_here)(line, &tenant, how);
}

int command_tenant_add(const struct command_line *line)
{
    return put(line, DESK_ADD);
}

int command_tenant_set(const struct command_line *line)
{
    return put(line, DESK_PUT);
}

static int remove_here(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX];
    struct desk *desk = command_desk(line, false);
    const struct desk_tenant_end end = {.force = line->given & COMMAND_FLAG(FORCE), .shut_out_until_ms = clock_unix_ms() + REVOCATION_MS};
    return desk ? command_end(line, desk, desk_tenant_remove(desk, line->words[0], &end, command_who(who))) : COMMAND_FAILED;
}

static int remove_there(const struct command_line *line)
{
    const struct command_question question = {
        .method = "DELETE", .path = {"v1", "tenants", line->words[0]}, .query = {{"force", line->given & COMMAND_FLAG(FORCE) ? "true" : NULL}}};
    json_t *answer = NULL;
    const int code = command_send(line, &question, &answer);
    return code ? code : command_answered(line, answer);
}

int command_tenant_remove(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return command_is_remote(line) ? remove_there(line) : remove_here(line);
}

/* For programs all there is; for people, whose lines are short, the limits that are set, as they are written. */
#define TEXT(name, ...) {#name, COLUMN_TEXT, 8},
#define NUMBER(name, ...) {#name, COLUMN_NUMBER, 8},
static const struct column columns[] = {
    {"name", COLUMN_TEXT, 20}, {"realm", COLUMN_TEXT, 20}, STORE_TENANT_CHOICES(TEXT) STORE_TENANT_LIMITS(NUMBER)};
#undef TEXT
#undef NUMBER
#define COLUMNS (sizeof columns / sizeof *columns)

static const struct column short_columns[] = {
    {"name", COLUMN_TEXT, 20}, {"realm", COLUMN_TEXT, 20}, {"status", COLUMN_TEXT, 8}, {"limits", COLUMN_TEXT, 0}};

static void put_limit(struct slab *slab, const char *name, int64_t value)
{
    char number[24];
    if (!value)
        return;
    snprintf(number, sizeof number, "=%jd", (intmax_t)value);
    slab_put_text(slab, slab->len ? " " : "");
    slab_put_text(slab, name);
    slab_put_text(slab, number);
}

static void list_short(struct list *list, const struct store_tenant *tenant)
{
    char limits[FIELDS_TEXT_MAX];
    struct slab slab = slab_over(limits, sizeof limits);
#define X(name, most) put_limit(&slab, #name, tenant->name);
    STORE_TENANT_LIMITS(X)
#undef X
    slab_put_u8(&slab, 0);
    list_row(list, (const struct cell[]){{.text = tenant->name}, {.text = tenant->realm}, {.text = tenant->status}, {.text = slab.overflow ? "..." : limits}});
}

/* cells_of: of all columns. */
static void cells_of(const struct store_tenant *tenant, struct cell cells[])
{
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    cells[0] = (struct cell){.text = tenant->name};
    for (size_t i = 0; i < count; i++)
        cells[i + 1] = fields[i].most ? (struct cell){.number = desk_tenant_number(tenant, &fields[i])}
                                      : (struct cell){.text = desk_tenant_text(tenant, &fields[i])};
}

static void list_tenant(void *ctx, const struct store_tenant *tenant)
{
    struct list *list = ctx;
    struct cell cells[COLUMNS];
    if (!list->json) {
        list_short(list, tenant);
        return;
    }
    cells_of(tenant, cells);
    list_row(list, cells);
}

/* tenant_of: a row of a relay's answer. */
static struct store_tenant tenant_of(const json_t *row)
{
    struct desk_tenant tenant;
    char number[24];
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    desk_tenant_begin(&tenant, command_text(row, "name"));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(row, fields[i].name);
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        desk_tenant_take(&tenant, &fields[i], fields[i].most ? number : command_text(row, fields[i].name));
    }
    return tenant.row;
}

static void list_told(void *ctx, const json_t *row)
{
    const struct store_tenant tenant = tenant_of(row);
    list_tenant(ctx, &tenant);
}

static void begin(const struct command_line *line, struct list *list)
{
    if (line->given & COMMAND_FLAG(JSON))
        list_begin(list, columns, COLUMNS, true);
    else
        list_begin(list, short_columns, sizeof short_columns / sizeof *short_columns, false);
}

static int list_here(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    begin(line, &list);
    const int err = desk_tenants(desk, &(struct desk_page){0}, list_tenant, &list);
    list_end(&list);
    return command_end(line, desk, err);
}

static int list_there(const struct command_line *line)
{
    struct list list;
    json_t *rows;
    const int code = command_rows(line, &(struct command_question){.method = "GET", .path = {"v1", "tenants"}}, "tenants", SIZE_MAX, &rows);
    if (code)
        return code;
    begin(line, &list);
    return command_list(line, &list, rows, list_told);
}

int command_tenant_list(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return command_is_remote(line) ? list_there(line) : list_here(line);
}

static void show(const struct command_line *line, const struct store_tenant *tenant)
{
    struct cell cells[COLUMNS];
    cells_of(tenant, cells);
    list_one(columns, COLUMNS, cells, line->given & COMMAND_FLAG(JSON));
}

static void take(void *ctx, const struct store_tenant *tenant)
{
    struct store_tenant *out = ctx;
    *out = *tenant;
}

static int show_here(const struct command_line *line)
{
    struct store_tenant tenant = {0};
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    const int err = desk_tenants(desk, &(struct desk_page){.name = line->words[0]}, take, &tenant);
    if (err == 0 && !*tenant.name) {
        desk_close(desk);
        return command_fail(line, COMMAND_FAILED, "no such tenant");
    }
    if (err == 0)
        show(line, &tenant);
    return command_end(line, desk, err);
}

static int show_there(const struct command_line *line)
{
    json_t *answer = NULL;
    const int code = command_send(line, &(struct command_question){.method = "GET", .path = {"v1", "tenants", line->words[0]}}, &answer);
    if (code)
        return code;
    const struct store_tenant tenant = tenant_of(answer);
    show(line, &tenant);
    return command_answered(line, answer);
}

int command_tenant_show(const struct command_line *line)
{
    const int code = command_check_file(line);
    if (code)
        return code;
    return command_is_remote(line) ? show_there(line) : show_here(line);
}
