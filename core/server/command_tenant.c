/* command_tenant.c: relay tenant set, list. */
#include "server/command_line.h"

#include "base/err.h"
#include "base/nearest.h"

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

static int check_field(const struct command_line *line, const char *word)
{
    char name[FIELD_MAX], wants[DESK_WANTS_MAX];
    const char *value = split(word, name);
    if (!value)
        return command_fail(line, COMMAND_MISUSED, "%s: a field and its value are written FIELD=VALUE", word);
    const int err = desk_tenant_check(name, value);
    if (err == ERR_NOT_FOUND)
        return unknown_field(line, name);
    return err ? command_fail(line, COMMAND_MISUSED, "%s: %s, not %s", name, desk_field_wants(desk_tenant_field(name), wants), value) : 0;
}

/* Everything is checked before anything is changed. */
int command_tenant_set(const struct command_line *line)
{
    char who[COMMAND_WHO_MAX], name[FIELD_MAX];
    int err = 0;
    for (size_t i = 1; i < line->word_count; i++) {
        const int code = check_field(line, line->words[i]);
        if (code)
            return code;
    }
    struct desk *desk = command_desk(line, true);
    if (!desk)
        return COMMAND_FAILED;
    command_who(who);
    for (size_t i = 1; i < line->word_count && err == 0; i++) {
        const char *value = split(line->words[i], name);
        err = desk_tenant_set(desk, line->words[0], name, value, who);
    }
    return command_end(line, desk, err);
}

/* For programs all there is; for people, whose lines are short, the limits that are set, as they are written. */
#define TEXT(name, ...) {#name, COLUMN_TEXT, 8},
#define NUMBER(name, ...) {#name, COLUMN_NUMBER, 8},
static const struct column columns[] = {
    {"name", COLUMN_TEXT, 20}, {"realm", COLUMN_TEXT, 20}, STORE_TENANT_CHOICES(TEXT) STORE_TENANT_LIMITS(NUMBER)};
#undef TEXT
#undef NUMBER

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

static void list_tenant(void *ctx, const struct store_tenant *tenant)
{
    struct list *list = ctx;
    if (!list->json) {
        list_short(list, tenant);
        return;
    }
#define TEXT(name, ...) {.text = tenant->name},
#define NUMBER(name, ...) {.number = tenant->name},
    list_row(list, (const struct cell[]){{.text = tenant->name},
                                         {.text = tenant->realm},
                                         STORE_TENANT_CHOICES(TEXT) STORE_TENANT_LIMITS(NUMBER)});
#undef TEXT
#undef NUMBER
}

int command_tenant_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    if (line->given & COMMAND_FLAG(JSON))
        list_begin(&list, columns, sizeof columns / sizeof *columns, true);
    else
        list_begin(&list, short_columns, sizeof short_columns / sizeof *short_columns, false);
    const int err = desk_tenants(desk, &(struct desk_page){0}, list_tenant, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
