/* loaded.h: a configuration loaded from text and arguments, for the tests of core/server. */
#ifndef RELAY_TESTS_LOADED_H
#define RELAY_TESTS_LOADED_H

#include "base/err.h"
#include "server/config.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#define LOADED_ARGUMENTS 16

struct loaded {
    struct config config;
    struct config_report report;
    int result;
    char path[64];
};

static void write_text(const char *path, const void *text, size_t len)
{
    FILE *file = fopen(path, "w");
    CHECK(file && fwrite(text, 1, len, file) == len && fclose(file) == 0);
}

/* temporary: a path that no other test uses, with this text. Removed by the caller. */
static void temporary(char path[64], const void *text, size_t len)
{
    strcpy(path, "/tmp/relay-config-XXXXXX");
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    write_text(path, text, len);
}

/* load_bytes: `text` as the file (NULL: none), then the arguments up to NULL. */
static struct loaded load_bytes(const char *text, size_t len, const char *const *arguments)
{
    static char name[] = "relay", letter[] = "-c";
    struct loaded loaded = {0};
    char *argv[LOADED_ARGUMENTS + 4] = {name}, *copies[LOADED_ARGUMENTS];
    int argc = 1, count = 0;
    if (text) {
        temporary(loaded.path, text, len);
        argv[argc++] = letter;
        argv[argc++] = loaded.path;
    }
    for (; arguments[count]; count++) {
        CHECK(count < LOADED_ARGUMENTS);
        argv[argc++] = copies[count] = strdup(arguments[count]);
    }
    loaded.result = config_load(&loaded.config, argc, argv, &loaded.report);
    if (text)
        unlink(loaded.path);
    while (count)
        free(copies[--count]);
    return loaded;
}

static struct loaded load_text(const char *text, const char *const *arguments)
{
    return load_bytes(text, text ? strlen(text) : 0, arguments);
}

/* LOAD: text of the file or NULL, then arguments. */
#define LOAD(...) LOAD_(__VA_ARGS__, NULL)
#define LOAD_(text, ...) load_text((text), (const char *const[]){__VA_ARGS__})

static void unload(struct loaded *loaded)
{
    config_close(&loaded->config);
    config_report_close(&loaded->report);
}

/* line_of: the i-th of the lines with the file's path called "conf"; "" if there is none. */
static const char *line_of(const struct loaded *loaded, char *const *lines, size_t count, size_t i)
{
    static char line[1200];
    const size_t len = strlen(loaded->path);
    if (i >= count)
        return "";
    if (len && strncmp(lines[i], loaded->path, len) == 0)
        snprintf(line, sizeof line, "conf%s", lines[i] + len);
    else
        snprintf(line, sizeof line, "%s", lines[i]);
    return line;
}

#define ERROR_LINE(loaded, i) line_of(&(loaded), (loaded).report.errors, (loaded).report.error_count, (i))
#define WARNING_LINE(loaded, i) line_of(&(loaded), (loaded).report.warnings, (loaded).report.warning_count, (i))

#define CHECK_LOADED(loaded)                                                                                                               \
    do {                                                                                                                                   \
        CHECK_TEXT(ERROR_LINE(loaded, 0), "");                                                                                             \
        CHECK_INT((loaded).result, 0);                                                                                                     \
    } while (0)

#define CHECK_REFUSED(loaded, line)                                                                                                        \
    do {                                                                                                                                   \
        CHECK_TEXT(ERROR_LINE(loaded, 0), line);                                                                                           \
        CHECK_INT((loaded).report.error_count, 1);                                                                                         \
        CHECK_INT((loaded).result, ERR_BAD);                                                                                               \
    } while (0)

#endif
