/* command_policy.c: relay reload and relay policy: questions to a relay that runs, at its admin door. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "server/config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HTTP_OK = 200 };

/* door_of: the socket that the command line or the configuration names, into `out`: 0; else the exit code, and it is said why. */
static int door_of(const struct command_line *line, char *out, size_t cap)
{
    struct config config;
    struct config_report report;
    char *arguments[] = {"relay", "-c", (char *)(uintptr_t)line->config, NULL};
    if (line->admin_socket) {
        snprintf(out, cap, "%s", line->admin_socket);
        return 0;
    }
    if (!line->config)
        return command_fail(line, COMMAND_MISUSED, "which relay? say --admin-socket, or -c with the file that it was started with");
    config_load(&config, 3, arguments, &report); /* what else is wrong with the file is not our business */
    int code = 0;
    if (config.admin_socket)
        snprintf(out, cap, "%s", config.admin_socket);
    else
        code = command_fail(line, COMMAND_FAILED, "%s: %s", line->config, report.error_count ? report.errors[0] : "no admin-socket");
    config_report_close(&report);
    config_close(&config);
    return code;
}

/* ask: 0 and the answer, to be let go; or the exit code: none, or not `200`: it is said why. */
static int ask(const struct command_line *line, const char *method, const char *path, json_t **body)
{
    char socket[4096], error[512];
    long status;
    const int code = door_of(line, socket, sizeof socket);
    if (code)
        return code;
    if (ask_door(socket, method, path, &status, body, error, sizeof error) != 0)
        return command_fail(line, COMMAND_FAILED, "%s", error);
    if (status == HTTP_OK)
        return 0;
    const char *why = json_string_value(json_object_get(*body, "error"));
    command_fail(line, COMMAND_FAILED, "%s", why ? why : "refused");
    json_decref(*body);
    return COMMAND_FAILED;
}

static int answered(const struct command_line *line, json_t *body)
{
    json_decref(body);
    return fflush(stdout) == 0 ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "standard output cannot be written");
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

static long long number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

int command_reload(const struct command_line *line)
{
    json_t *body;
    const int code = ask(line, "POST", "/v1/reload", &body);
    if (code)
        return code;
    printf("policies loaded: revision %s on %lld workers\n", text_of(body, "revision"), number_of(body, "workers"));
    return answered(line, body);
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
    const int code = ask(line, "GET", "/v1/policy", &body);
    if (code)
        return code;
    if (line->given & COMMAND_FLAG_JSON) {
        json_dumpf(body, stdout, JSON_INDENT(2));
        puts("");
        return answered(line, body);
    }
    const json_t *refusal = json_object_get(body, "last_refusal");
    printf("%-10s%s\n", "revision", text_of(body, "revision"));
    print_list("files", json_object_get(body, "files"));
    print_list("hooks", json_object_get(body, "hooks"));
    print_time("loaded", number_of(body, "loaded_at"));
    printf("%-10s%zu\n%-10s%lld, and %lld refused\n", "workers", json_array_size(json_object_get(body, "workers")), "reloads",
           number_of(body, "reloads"), number_of(body, "refused"));
    if (json_is_object(refusal)) {
        print_time("refused", number_of(refusal, "at"));
        printf("%-10s%s\n", "because", text_of(refusal, "reason"));
    }
    return answered(line, body);
}
