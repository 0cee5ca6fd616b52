/* config_file.c: the file: coturn's syntax, line by line.
 *
 * "name=value", "name value" or "name"; blanks around and blank lines do not count; a line that begins with "#" is a remark; double quotes
 * around a value are taken off. A "#" further on belongs to the value, as secrets may have one.
 */
#include "base/err.h"
#include "server/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n\v\f"

/* unquote: false if the quote that begins the value is not closed. */
static bool unquote(char **value)
{
    const size_t len = strlen(*value);
    if (**value != '"')
        return true;
    if (len < 2 || (*value)[len - 1] != '"')
        return false;
    (*value)[len - 1] = 0;
    ++*value;
    return true;
}

static char *trim(char *line)
{
    line += strspn(line, BLANKS);
    size_t len = strlen(line);
    while (len > 0 && strchr(BLANKS, line[len - 1]))
        len--;
    line[len] = 0;
    return line;
}

static void read_line(struct loader *loader, char *line, const char *where)
{
    char *name = trim(line), *value = name + strcspn(name, "= \t");
    if (*name == 0 || *name == '#')
        return;
    if (*value) {
        *value++ = 0;
        value += strspn(value, "= \t"); /* coturn skips every "=" here: a value that begins with one is quoted */
    } else {
        value = NULL;
    }
    const struct option *option = option_find(name);
    if (value && !unquote(&value))
        loader_error(loader, where, name, "the quote is not closed");
    else if (option && option->traits & OPTION_COMMAND_LINE)
        loader_error(loader, where, name, "belongs on the command line, not into the file");
    else
        loader_say(loader, name, value, where);
}

static void read_lines(struct loader *loader, const char *path, FILE *file)
{
    char *line = NULL, place[4200];
    size_t cap = 0;
    ssize_t len;
    for (unsigned number = 1; (len = getline(&line, &cap, file)) >= 0; number++) {
        snprintf(place, sizeof place, "%s:%u", path, number);
        const char *where = loader_keep(loader, view_text(place));
        if (!where)
            break;
        if (strlen(line) != (size_t)len)
            loader_error(loader, where, "line", "has a zero byte");
        else
            read_line(loader, line, where);
    }
    free(line);
}

void loader_file(struct loader *loader, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file) {
        errno = 0;
        read_lines(loader, path, file);
    }
    if (!file || ferror(file))
        loader_error(loader, COMMAND_LINE, "config", "%s cannot be read: %s", path, strerror(errno));
    if (file)
        fclose(file);
}
