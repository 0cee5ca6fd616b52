/* command_events.c: relay events: what happens, as it does, a line each; where the relay goes away it waits for it. */
#include "server/command_line.h"

#include "admin/ask.h"
#include "server/news.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_S 1
#define LINE_MAX_LEN 65536

/* struct tail: what came of a line so far, and where it was in the events. */
struct tail {
    bool json;
    char line[LINE_MAX_LEN];
    size_t len;
    char id[64];
    bool has_begun; /* an answer came once */
};

static void print_value(const char *name, const json_t *value)
{
    char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text && *text) {
        printf(" %s=", name);
        list_text(text, 0);
    }
    free(text);
}

static void print_member(const json_t *event, const char *name, const char *after)
{
    const char *text = json_string_value(json_object_get(event, name));
    list_text(text && *text ? text : "-", 0);
    fputs(after, stdout);
}

static void print_event(const struct tail *tail, const char *text)
{
    const char *name;
    json_t *value, *event = tail->json ? NULL : json_loads(text, 0, NULL);
    if (tail->json)
        puts(text);
    if (!event)
        return;
    print_member(event, "timestamp", " ");
    print_member(event, "type", " ");
    print_member(event, "tenant", "");
    json_object_foreach(json_object_get(event, "data"), name, value) print_value(name, value);
    puts("");
    json_decref(event);
}

static void take_line(struct tail *tail)
{
    tail->line[tail->len] = 0;
    if (strncmp(tail->line, "data: ", 6) == 0)
        print_event(tail, tail->line + 6);
    else if (strncmp(tail->line, "id: ", 4) == 0)
        snprintf(tail->id, sizeof tail->id, "%s", tail->line + 4);
    tail->len = 0;
}

static bool take(void *ctx, const char *bytes, size_t len)
{
    struct tail *tail = ctx;
    tail->has_begun = true;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            take_line(tail);
        else if (tail->len < sizeof tail->line - 1)
            tail->line[tail->len++] = bytes[i];
    }
    return fflush(stdout) == 0;
}

/* follow: until it ends; 0, or the exit code when it was refused, or nobody has ever answered. */
static int follow(const struct command_line *line, const char *socket, const char *path, struct tail *tail)
{
    char header[96], error[512], *text = NULL;
    long status = 0;
    snprintf(header, sizeof header, "Last-Event-ID: %s", tail->id);
    const struct ask_follow wish = {path, *tail->id ? header : NULL, take, tail};
    tail->len = 0;
    const int err = ask_follow(socket, &wish, &status, &text, error, sizeof error);
    if (ferror(stdout))
        return command_fail(line, COMMAND_FAILED, "standard output cannot be written");
    if (err)
        return tail->has_begun ? 0 : command_fail(line, COMMAND_FAILED, "%s", error);
    json_t *body = status == 200 || status == 503 ? NULL : json_loads(text, 0, NULL);
    const char *why = json_string_value(json_object_get(body, "error"));
    const int code = status == 200 || status == 503 ? 0 : command_fail(line, COMMAND_FAILED, "%s", why ? why : "refused");
    json_decref(body);
    free(text);
    return code;
}

static int follow_all(const struct command_line *line, const char *socket, const char *path)
{
    static const char lost[] = "relay events: the relay is gone: waiting for it\n";
    int code = 0;
    struct tail *tail = calloc(1, sizeof *tail);
    if (!tail)
        return command_fail(line, COMMAND_FAILED, "out of memory");
    tail->json = line->given & COMMAND_FLAG(JSON);
    while ((code = follow(line, socket, path, tail)) == 0) {
        fputs(lost, stderr);
        sleep(AGAIN_S);
    }
    free(tail);
    return code;
}

int command_events(const struct command_line *line)
{
    char socket[COMMAND_SOCKET_MAX], path[ASK_PATH_MAX];
    if (line->given & COMMAND_FLAG(DESCRIBE)) {
        news_describe(stdout);
        return command_answered(line, NULL);
    }
    struct slab out = slab_over(path, sizeof path - 1);
    slab_put_text(&out, "/v1/events");
    ask_put(&out, "tenant", line->tenant);
    ask_put(&out, "type", line->type);
    if (out.overflow)
        return command_fail(line, COMMAND_MISUSED, "what is asked for is too long");
    path[out.len] = 0;
    const int code = command_door(line, socket, sizeof socket);
    return code ? code : follow_all(line, socket, path);
}
