/* command_ask.c: how a verb asks the relay that runs: at the admin door that the command line or its configuration names. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>

enum { HTTP_OK = 200 };

int command_door(const struct command_line *line, char *out, size_t cap)
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

/* tell_refused: with what the door said of it. */
static int tell_refused(const struct command_line *line, const json_t *body)
{
    const char *why = json_string_value(json_object_get(body, "error"));
    return command_fail(line, COMMAND_FAILED, "%s", why ? why : "refused");
}

static int end_refused(const struct command_line *line, char *text)
{
    json_t *body = text ? json_loads(text, 0, NULL) : NULL;
    const int code = tell_refused(line, body);
    json_decref(body);
    free(text);
    return code;
}

static bool print_piece(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    return fwrite(bytes, 1, len, stdout) == len;
}

int command_ask_copy(const struct command_line *line, const char *path)
{
    char socket[COMMAND_SOCKET_MAX], error[512], *text = NULL;
    long status;
    const struct ask_follow wish = {.path = path, .each = print_piece};
    const int code = command_door(line, socket, sizeof socket);
    if (code)
        return code;
    if (ask_follow(socket, &wish, &status, &text, error, sizeof error) != 0)
        return ferror(stdout) ? command_answered(line, NULL) : command_fail(line, COMMAND_FAILED, "%s", error);
    if (status != HTTP_OK)
        return end_refused(line, text);
    free(text);
    return command_answered(line, NULL);
}

int command_ask_text(const struct command_line *line, const char *path, char **text)
{
    char socket[COMMAND_SOCKET_MAX], error[512];
    long status;
    const int code = command_door(line, socket, sizeof socket);
    if (code)
        return code;
    if (ask_door_text(socket, "GET", path, &status, text, error, sizeof error) != 0)
        return command_fail(line, COMMAND_FAILED, "%s", error);
    if (status == HTTP_OK)
        return 0;
    return end_refused(line, *text);
}

int command_ask(const struct command_line *line, const char *method, const char *path, json_t **body)
{
    char socket[COMMAND_SOCKET_MAX], error[512];
    long status;
    const int code = command_door(line, socket, sizeof socket);
    if (code)
        return code;
    if (ask_door(socket, method, path, &status, body, error, sizeof error) != 0)
        return command_fail(line, COMMAND_FAILED, "%s", error);
    if (status == HTTP_OK)
        return 0;
    tell_refused(line, *body);
    json_decref(*body);
    return COMMAND_FAILED;
}

int command_answered(const struct command_line *line, json_t *body)
{
    json_decref(body);
    return fflush(stdout) == 0 ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "standard output cannot be written");
}
