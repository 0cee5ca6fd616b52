/* config.c: config_load from end to end, and the memory of a configuration and its report. */
#include "server/config.h"

#include "base/err.h"
#include "base/nearest.h"
#include "server/loader.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* struct block: one piece of memory of a config, in a chain from config->memory. */
struct block {
    struct block *next;
    alignas(max_align_t) unsigned char bytes[];
};

void *loader_room(struct loader *loader, size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);
    if (!block) {
        loader->out_of_memory = true;
        return NULL;
    }
    block->next = loader->config->memory;
    loader->config->memory = block;
    return block->bytes;
}

char *loader_keep(struct loader *loader, struct view text)
{
    char *copy = loader_room(loader, text.len + 1);
    if (copy)
        memcpy(copy, text.at, text.len);
    return copy;
}

void *loader_append(struct loader *loader, void *items, size_t *count, size_t item_size)
{
    void *at;
    memcpy(&at, items, sizeof at);
    if ((*count & (*count - 1)) == 0) { /* none, or a power of two: full */
        void *wider = loader_room(loader, item_size * (*count ? 2 * *count : 1));
        if (!wider)
            return NULL;
        if (*count)
            memcpy(wider, at, item_size * *count);
        memcpy(items, &wider, sizeof wider);
        at = wider;
    }
    return (char *)at + item_size * (*count)++;
}

/* tell: "where: option: reason" as one more of the lines. */
static void tell(struct loader *loader, char ***lines, size_t *count, const char *const place[2], const char *format, va_list args)
{
    char reason[768], option[QUOTE_MAX], *line = NULL;
    vsnprintf(reason, sizeof reason, format, args);
    const char *where = place[0] ? place[0] : loader->config->file ? loader->config->file : COMMAND_LINE;
    log_quote(view_text(place[1]), option, sizeof option); /* it may be any word that was said */
    option[strlen(option) - 1] = 0;
    const size_t size = strlen(where) + strlen(option) + strlen(reason) + 5;
    char **wider = realloc(*lines, (*count + 1) * sizeof *wider);
    if (wider) {
        *lines = wider;
        line = malloc(size);
    }
    if (!line) {
        loader->out_of_memory = true;
        return;
    }
    snprintf(line, size, "%s: %s: %s", where, option + 1, reason);
    wider[(*count)++] = line;
}

void loader_error(struct loader *loader, const char *where, const char *option, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(loader, &loader->report->errors, &loader->report->error_count, (const char *const[]){where, option}, format, args);
    va_end(args);
}

void loader_warning(struct loader *loader, const char *where, const char *option, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(loader, &loader->report->warnings, &loader->report->warning_count, (const char *const[]){where, option}, format, args);
    va_end(args);
}

void loader_note(struct loader *loader, const char *where, const char *option, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(loader, &loader->report->notes, &loader->report->note_count, (const char *const[]){where, option}, format, args);
    va_end(args);
}

static void say_ignored(struct loader *loader, const struct ignored *row, const char *value, const char *where)
{
    bool on = true;
    if (ignored_is_refused(row)) {
        if (!ignored_takes_value(row) && value && parse_flag(value, &on) == 0 && !on)
            return;
        loader_error(loader, where, row->name, "is refused: %s", row->instead);
    } else if (!loader->warned[row - ignored]) {
        loader->warned[row - ignored] = true;
        loader_warning(loader, where, row->name, "has no meaning here: %s", row->instead);
    }
}

static void say_unknown(struct loader *loader, const char *name, const char *where)
{
    const char *words[CONFIG_OPTIONS_MAX + IGNORED_MAX], *best;
    size_t count = 0;
    for (size_t i = 0; i < option_count; i++)
        words[count++] = options[i].name;
    for (size_t i = 0; i < ignored_count; i++)
        words[count++] = ignored[i].name;
    best = nearest(name, words, count);
    if (best)
        loader_error(loader, where, name, "there is no such option; did you mean %s?", best);
    else
        loader_error(loader, where, name, "there is no such option; relay --help lists them");
}

void loader_say(struct loader *loader, const char *name, const char *value, const char *where)
{
    const struct option *option = option_find(name);
    const struct ignored *row = ignored_find(name);
    if (option)
        setting_apply(&(struct setting){.loader = loader, .option = option, .value = value, .where = where});
    else if (row)
        say_ignored(loader, row, value, where);
    else
        say_unknown(loader, name, where);
}

static bool only_prints(enum config_action action)
{
    return action != CONFIG_RUN && action != CONFIG_CHECK;
}

int config_load(struct config *config, int argc, char **argv, struct config_report *report)
{
    *config = (struct config){0};
    *report = (struct config_report){0};
    struct loader loader = {.config = config, .report = report};
    cidr_init(&config->proxies);
    cidr_init(&config->allowed_peers);
    cidr_init(&config->denied_peers);

    for (size_t i = 0; i < option_count; i++)
        if (options[i].fallback)
            loader_say(&loader, options[i].name, options[i].fallback, NULL);
    loader_arguments(&loader, argc, argv, true);
    if (only_prints(config->action)) {
        config_report_close(report);
        return loader.out_of_memory ? ERR_MEMORY : 0;
    }
    if (config->file)
        loader_file(&loader, config->file);
    loader_arguments(&loader, argc, argv, false);
    loader_check(&loader);
    if (!report->error_count && !loader.out_of_memory)
        loader_derive(&loader);
    if (loader.out_of_memory)
        return ERR_MEMORY;
    return report->error_count ? ERR_BAD : 0;
}

void config_close(struct config *config)
{
    for (struct block *block = config->memory, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    cidr_close(&config->proxies);
    cidr_close(&config->allowed_peers);
    cidr_close(&config->denied_peers);
    *config = (struct config){0};
}

static void close_lines(char **lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(lines[i]);
    free(lines);
}

void config_report_close(struct config_report *report)
{
    close_lines(report->errors, report->error_count);
    close_lines(report->warnings, report->warning_count);
    close_lines(report->notes, report->note_count);
    *report = (struct config_report){0};
}

const char *config_where(const struct config *config, const char *name)
{
    const struct option *option = option_find(name);
    assert(option);
    return config->origins[option - options];
}
