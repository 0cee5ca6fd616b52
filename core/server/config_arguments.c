/* config_arguments.c: the command line, read as coturn reads it: --name=value, --name value, -l value, -lvalue, -abc.
 *
 * A flag, and an option whose bare name has a meaning, take a value only behind "=". The line is read twice: first for what only it may say
 * (which file), then, after the file, for the rest, which wins over the file.
 */
#include "server/loader.h"

#include <string.h>

#define NAME_ROOM 64

/* struct cursor: the argument in hand, and how many are left behind it. */
struct cursor {
    struct loader *loader;
    char **next, **end;
    bool early;
};

static bool is_early(const char *name)
{
    const struct option *option = option_find(name);
    return option ? (option->traits & OPTION_COMMAND_LINE) != 0 : !ignored_find(name); /* what is unknown is told at once */
}

/* A secret is wiped from the process list once it is read; until then everybody could see it. */
static void say(const struct cursor *cursor, const char *name, char *value)
{
    struct loader *loader = cursor->loader;
    const struct option *option = option_find(name);
    if (is_early(name) != cursor->early)
        return;
    if (value && option && option->kind == OPTION_ACTION) {
        loader_error(loader, COMMAND_LINE, name, "takes no value");
        return;
    }
    loader_say(loader, name, value, COMMAND_LINE);
    if (!value || !option || !(option->traits & OPTION_CONFIDENTIAL))
        return;
    loader_warning(loader, COMMAND_LINE, option->name, "every user of this machine could read it here at the start; the file is safer");
    memset(value, '*', strlen(value));
}

static bool must_have_value(const char *name)
{
    const struct option *option = option_find(name);
    const struct ignored *row = ignored_find(name);
    return option ? option_takes_value(option) && !option->bare : row && ignored_takes_value(row);
}

static void long_option(struct cursor *cursor, char *argument)
{
    char *equals = strchr(argument, '=');
    char name[NAME_ROOM];
    view_copy(view_of(argument, equals ? (size_t)(equals - argument) : strlen(argument)), name, sizeof name);
    if (equals)
        say(cursor, name, equals + 1);
    else if (must_have_value(name) && cursor->next < cursor->end)
        say(cursor, name, *cursor->next++);
    else
        say(cursor, name, NULL);
}

static const char *name_of(char letter)
{
    const struct option *option = option_by_letter(letter);
    const struct ignored *row = ignored_by_letter(letter);
    return option ? option->name : row ? row->name : NULL;
}

static void letters(struct cursor *cursor, char *argument)
{
    for (; *argument; argument++) {
        const char *name = name_of(*argument);
        char *value = argument + 1;
        if (!name) {
            say(cursor, (char[]){'-', *argument, 0}, NULL);
            return;
        }
        if (!must_have_value(name)) {
            say(cursor, name, NULL);
            continue;
        }
        if (!*value)
            value = cursor->next < cursor->end ? *cursor->next++ : NULL;
        say(cursor, name, value);
        return;
    }
}

void loader_arguments(struct loader *loader, int argc, char **argv, bool early)
{
    struct cursor cursor = {.loader = loader, .next = argv + (argc > 0), .end = argv + argc, .early = early};
    while (cursor.next < cursor.end) {
        char *argument = *cursor.next++;
        if (strncmp(argument, "--", 2) == 0 && argument[2])
            long_option(&cursor, argument + 2);
        else if (argument[0] == '-' && argument[1] && argument[1] != '-')
            letters(&cursor, argument + 1);
        else if (early)
            loader_error(loader, COMMAND_LINE, argument, "is no option; options begin with a dash");
    }
}
