/* log.c: the logger. */
#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a pipe with room takes a whole line");

#define LOG_WINDOW_MS 10000
#define EVENTS 128 /* a power of two, well above the number of event names; beyond it they share budgets */
#define EVENT_MAX 48

static const char *const level_names[] = {[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

struct event {
    char name[EVENT_MAX]; /* "": a free row */
    enum log_level level;
    msec_t window_ends_ms;
    uint32_t lines;
    uint64_t suppressed;
};

struct log {
    pthread_mutex_t lock; /* guards all below, and the order of lines */
    int fd;
    msec_t due_ms; /* when the first window with suppressed lines ends */
    struct event events[EVENTS];
    enum log_level level; /* constant, as is all below */
    log_catch_fn *each;   /* NULL: lines are written */
    void *ctx;
    char path[]; /* "": standard output or error */
};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

struct log *log_new(const char *path, enum log_level level)
{
    const bool err = path && strcmp(path, "stderr") == 0;
    if (!path || err || strcmp(path, "stdout") == 0)
        path = "";
    struct log *log = calloc(1, sizeof *log + strlen(path) + 1);
    if (!log)
        return NULL;
    memcpy(log->path, path, strlen(path) + 1);
    log->level = level;
    log->due_ms = INT64_MAX;
    log->fd = *path ? open_path(path) : err ? STDERR_FILENO : STDOUT_FILENO;
    if (log->fd < 0) {
        free(log);
        return NULL;
    }
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

struct log *log_catch(log_catch_fn *each, void *ctx)
{
    struct log *log = log_new(NULL, LOG_DEBUG);
    if (!log)
        return NULL;
    log->each = each;
    log->ctx = ctx;
    return log;
}

/* is_deceptive: characters that a viewer may take for a line's end, a control, or a change of direction. */
static bool is_deceptive(const uint8_t *at, size_t len)
{
    if (len == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    if (len == 2)
        return at[0] == 0xc2 && at[1] < 0xa0; /* U+0080..009F */
    if (len != 3 || at[0] != 0xe2)
        return false;
    return (at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) ||
           (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9); /* U+2028..202E, 2066..2069 */
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* is_escape: a \xHH that is there already, from log_quote. */
static bool is_escape(struct view in)
{
    return in.len >= 4 && in.at[1] == 'x' && is_hex(in.at[2]) && is_hex(in.at[3]);
}

static void put_escaped(struct slab *out, struct view in)
{
    while (in.len && !out->overflow) {
        const size_t len = utf8_len(in);
        const bool plain = len && !is_deceptive(in.at, len) && (in.at[0] != '\\' || is_escape(in));
        const size_t used = len ? len : 1;
        if (plain) {
            slab_put(out, view_cut(in, used));
        } else {
            char hex[4 * 4 + 1];
            for (size_t i = 0; i < used; i++)
                snprintf(hex + 4 * i, 5, "\\x%02x", in.at[i]);
            slab_put_text(out, hex);
        }
        in = view_from(in, used);
    }
}

/* put_head: "2026-11-23T20:15:07.123Z level event" */
static void put_head(struct slab *out, enum log_level level, const char *event)
{
    const int64_t now = clock_unix_ms();
    const time_t seconds = (time_t)(now / 1000);
    struct tm tm;
    char stamp[64];
    gmtime_r(&seconds, &tm);
    const size_t len = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp + len, sizeof stamp - len, ".%03dZ %s ", (int)(now % 1000), level_names[level]);
    slab_put_text(out, stamp);
    put_escaped(out, view_text(event));
}

/* takes_a_line: a pipe or a terminal has room for one (a pipe is writable when PIPE_BUF bytes fit, and a line is shorter); a file always has. */
static bool takes_a_line(int fd)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    return poll(&out, 1, 0) > 0;
}

/* write_line: one write(2), under the lock. What a full disk or a stuck reader does not take is lost: logging never stops the relaying. */
static void write_line(struct log *log, struct slab *line)
{
    static const char cut[] = "...";
    line->cap += sizeof cut; /* kept back by line_begin: for the mark of a cut line, and the newline */
    if (line->overflow) {
        line->overflow = false;
        slab_put_text(line, cut);
    }
    slab_put_u8(line, '\n');
    while (takes_a_line(log->fd) && write(log->fd, line->at, line->len) < 0 && errno == EINTR)
        continue;
}

static struct slab line_begin(char text[LOG_LINE_MAX], enum log_level level, const char *event)
{
    struct slab line = slab_over(text, LOG_LINE_MAX - sizeof "...");
    put_head(&line, level, event);
    return line;
}

static void tell_suppressed(struct log *log, struct event *event)
{
    char text[LOG_LINE_MAX], count[48];
    struct slab line = line_begin(text, event->level, event->name);
    snprintf(count, sizeof count, " suppressed=%llu", (unsigned long long)event->suppressed);
    slab_put_text(&line, count);
    write_line(log, &line);
    event->suppressed = 0;
}

/* tell_due: tell what was suppressed in windows that have ended. */
static void tell_due(struct log *log, msec_t now)
{
    if (now < log->due_ms)
        return;
    log->due_ms = INT64_MAX;
    for (size_t i = 0; i < EVENTS; i++) {
        struct event *event = &log->events[i];
        if (event->suppressed && event->window_ends_ms <= now)
            tell_suppressed(log, event);
        else if (event->suppressed && event->window_ends_ms < log->due_ms)
            log->due_ms = event->window_ends_ms;
    }
}

static struct event *event_row(struct log *log, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the names are our own */
    for (const char *at = name; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct event *event = &log->events[(hash + i) % EVENTS];
        if (!*event->name)
            view_copy(view_text(name), event->name, sizeof event->name);
        if (strncmp(event->name, name, sizeof event->name - 1) == 0)
            return event;
    }
    return &log->events[hash % EVENTS];
}

static bool admit(struct log *log, enum log_level level, const char *name)
{
    const msec_t now = clock_monotonic_ms();
    tell_due(log, now);
    struct event *event = event_row(log, name);
    event->level = level;
    if (now >= event->window_ends_ms) {
        event->window_ends_ms = now + LOG_WINDOW_MS;
        event->lines = 0;
    }
    if (event->lines < LOG_BURST) {
        event->lines++;
        return true;
    }
    event->suppressed++;
    if (event->window_ends_ms < log->due_ms)
        log->due_ms = event->window_ends_ms;
    return false;
}

bool log_wants(const struct log *log, enum log_level level)
{
    return log && level <= log->level;
}

static void say(struct log *log, enum log_level level, const char *event, const char *message)
{
    char text[LOG_LINE_MAX];
    struct slab line = line_begin(text, level, event);
    if (*message)
        slab_put_u8(&line, ' ');
    put_escaped(&line, view_text(message));
    write_line(log, &line);
}

/* hand_over: without a lock, as `each` may not come back. */
static void hand_over(const struct log *log, enum log_level level, const char *event, const char *format, va_list args)
{
    char message[2 * LOG_LINE_MAX] = "";
    vsnprintf(message, sizeof message, format, args);
    log->each(log->ctx, level, event, message);
}

static void say_line(struct log *log, enum log_level level, const char *event, const char *format, va_list args)
{
    pthread_mutex_lock(&log->lock);
    if (level == LOG_DEBUG || admit(log, level, event)) {
        char message[LOG_LINE_MAX + 1] = ""; /* more than a line holds, so that what does not fit shows as cut */
        vsnprintf(message, sizeof message, format, args);
        say(log, level, event, message);
    }
    pthread_mutex_unlock(&log->lock);
}

void log_say(struct log *log, enum log_level level, const char *event, const char *format, ...)
{
    va_list args;
    if (!log_wants(log, level))
        return;
    va_start(args, format);
    if (log->each)
        hand_over(log, level, event, format, args);
    else
        say_line(log, level, event, format, args);
    va_end(args);
}

void log_reopen(struct log *log)
{
    if (!log || !*log->path)
        return;
    const int fd = open_path(log->path);
    if (fd < 0) {
        log_say(log, LOG_WARNING, "log_reopen_failed", "reason=%s", strerrordesc_np(errno));
        return;
    }
    pthread_mutex_lock(&log->lock);
    const int old = log->fd;
    log->fd = fd;
    pthread_mutex_unlock(&log->lock);
    close(old);
}

void log_free(struct log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < EVENTS; i++)
        if (log->events[i].suppressed)
            tell_suppressed(log, &log->events[i]);
    if (*log->path)
        close(log->fd);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

char *log_quote(struct view in, char *out, size_t cap)
{
    assert(cap >= 3);
    struct slab slab = slab_over(out, cap - 2); /* the closing quote and the NUL always fit */
    slab_put_u8(&slab, '"');
    for (size_t i = 0; i < in.len && !slab.overflow; i++) {
        char hex[5];
        const bool plain = in.at[i] >= 0x20 && in.at[i] < 0x7f && in.at[i] != '"' && in.at[i] != '\\';
        snprintf(hex, sizeof hex, plain ? "%c" : "\\x%02x", in.at[i]);
        slab_put_text(&slab, hex);
    }
    memcpy(out + slab.len, "\"", 2);
    return out;
}
