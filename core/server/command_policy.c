/* command_policy.c: relay reload and relay policy: questions to a relay that runs, at its admin door. */
#include "server/command_line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

int command_reload(const struct command_line *line)
{
    json_t *body;
    const int code = command_ask(line, "POST", "/v1/reload", &body);
    if (code)
        return code;
    printf("policies loaded: revision %s on %lld workers\n", command_shown(body, "revision"), number_of(body, "workers"));
    return command_answered(line, body);
}

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    json_t *item;
    printf("%-10s", label);
    json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
    puts(json_array_size(list) ? "" : "-");
}

static void print_time(const char *label, long long unix_s)
{
    char text[32];
    const time_t at = (time_t)unix_s;
    struct tm date;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &date));
    printf("%-10s%s\n", label, text);
}

int command_policy(const struct command_line *line)
{
    json_t *body;
    const int code = command_ask(line, "GET", "/v1/policy", &body);
    if (code)
        return code;
    if (line->given & COMMAND_FLAG(JSON)) {
        json_dumpf(body, stdout, JSON_INDENT(2));
        puts("");
        return command_answered(line, body);
    }
    const json_t *refusal = json_object_get(body, "last_refusal");
    printf("%-10s%s\n", "revision", command_shown(body, "revision"));
    print_list("files", json_object_get(body, "files"));
    print_list("hooks", json_object_get(body, "hooks"));
    print_time("loaded", number_of(body, "loaded_at"));
    printf("%-10s%zu\n%-10s%lld, and %lld refused\n", "workers", json_array_size(json_object_get(body, "workers")), "reloads",
           number_of(body, "reloads"), number_of(body, "refused"));
    if (json_is_object(refusal)) {
        print_time("refused", number_of(refusal, "at"));
        printf("%-10s%s\n", "because", command_shown(refusal, "reason"));
    }
    return command_answered(line, body);
}
