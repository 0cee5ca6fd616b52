/* command_tenant.c: relay tenant set, list. */
#include "server/command_line.h"

#include "base/err.h"
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define FIELD_MAX 64
#define FIELDS_TEXT_MAX 256

static const char *join_fields(char out[FIELDS_TEXT_MAX])
{
    struct slab slab = slab_over(out, FIELDS_TEXT_MAX);
    for (const char *const *field = desk_tenant_fields(); *field; field++) {
        slab_put_text(&slab, slab.len ? ", " : "");
        slab_put_text(&slab, *field);
    }
    slab_put_u8(&slab, 0);
    return slab.overflow ? "" : out;
}

static int unknown_field(const struct command_line *line, const char *name)
{
    const char *const *fields = desk_tenant_fields();
    char all[FIELDS_TEXT_MAX];
    size_t count = 0;
    while (fields[count])
        count++;
    const char *meant = nearest(name, fields, count);
    if (meant)
        return command_fail(line, COMMAND_MISUSED, "%s: no such field: did you mean %s?", name, meant);
    return command_fail(line, COMMAND_MISUSED, "%s: no such field: there are %s", name, join_fields(all));
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
    char name[FIELD_MAX];
    const char *value = split(word, name);
    if (!value)
        return command_fail(line, COMMAND_MISUSED, "%s: a field and its value are written FIELD=VALUE", word);
    const int err = desk_tenant_check(name, value);
    if (err == ERR_NOT_FOUND)
        return unknown_field(line, name);
    if (err && strcmp(name, "status") == 0)
        return command_fail(line, COMMAND_MISUSED, "status: active or disabled, not %s", value);
    return err ? command_fail(line, COMMAND_MISUSED, "%s: not a value for it: %s", name, value) : 0;
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

static const struct column columns[] = {
    {"name", COLUMN_TEXT, 20},
    {"realm", COLUMN_TEXT, 20},
    {"status", COLUMN_TEXT, 8},
    {"max_allocations", COLUMN_NUMBER, 15},
    {"max_user_allocations", COLUMN_NUMBER, 20},
    {"max_bps", COLUMN_NUMBER, 12},
    {"max_lifetime_s", COLUMN_NUMBER, 14},
};

static void list_tenant(void *ctx, const struct store_tenant *tenant)
{
    list_row(ctx, (const struct cell[]){{.text = tenant->name},
                                        {.text = tenant->realm},
                                        {.text = tenant->status},
                                        {.number = tenant->max_allocations},
                                        {.number = tenant->max_user_allocations},
                                        {.number = tenant->max_bps},
                                        {.number = tenant->max_lifetime_s}});
}

int command_tenant_list(const struct command_line *line)
{
    struct list list;
    struct desk *desk = command_desk(line, false);
    if (!desk)
        return COMMAND_FAILED;
    list_begin(&list, columns, sizeof columns / sizeof *columns, line->given & COMMAND_FLAG(JSON));
    const int err = desk_tenants(desk, list_tenant, &list);
    list_end(&list);
    return command_end(line, desk, err);
}
