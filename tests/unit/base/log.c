/* log.c: lines that nobody can forge, and their limits; the clock is the test's own. */
#include "base/log.h"
#include "base/clock.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* these take the place of base/clock.c when the test is linked */
static msec_t now_ms = 1000;

msec_t clock_monotonic_ms(void)
{
    return now_ms;
}

int64_t clock_unix_ms(void)
{
    return INT64_C(1795464907123); /* 2026-11-23T20:15:07.123Z */
}

#define STAMP "2026-11-23T20:15:07.123Z "

static char path[] = "/tmp/relay-log-XXXXXX", moved[sizeof path + 2];

static struct log *opened(enum log_level level)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    const int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    struct log *log = log_new(path, level);
    CHECK(log);
    return log;
}

/* said: closes the log; all that it wrote, to be freed. */
static char *said(struct log *log)
{
    log_free(log);
    char *text = test_file(path);
    unlink(path);
    CHECK(text);
    return text;
}

static size_t lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

TEST(a_line_has_time_level_event_and_message)
{
    struct log *log = opened(LOG_INFO);
    log_say(log, LOG_INFO, "started", "port=%d name=%s", 3478, "relay");
    log_say(log, LOG_ERROR, "bare", "%s", "");
    char *text = said(log);
    CHECK_TEXT(text, STAMP "info started port=3478 name=relay\n" STAMP "error bare\n");
    free(text);
}

TEST(lower_levels_say_nothing)
{
    struct log *log = opened(LOG_WARNING);
    CHECK(log_wants(log, LOG_ERROR) && log_wants(log, LOG_WARNING) && !log_wants(log, LOG_INFO));
    CHECK(!log_wants(NULL, LOG_ERROR));
    log_say(log, LOG_INFO, "a", "b");
    log_say(NULL, LOG_ERROR, "a", "b");
    log_reopen(NULL);
    log_free(NULL);
    char *text = said(log);
    CHECK_TEXT(text, "");
    free(text);
}

/* What the message is, and how its line must end. */
TEST(no_message_can_forge_a_line)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\nb", "a\\x0ab"},
        {"user=x\r\n" STAMP "error forged", "user=x\\x0d\\x0a" STAMP "error forged"},
        {"\033[2J\x7f\t", "\\x1b[2J\\x7f\\x09"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xae", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xae"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3"},
        {"\xc3(", "\\xc3("},
        {"\xc0\x8a", "\\xc0\\x8a"}, /* an overlong newline */
        {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
        {"\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xc2\x85", "\\xc2\\x85"}, /* NEL */
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"},                                                 /* CSI */
        {"\xe2\x80\xa8|\xe2\x80\xa9", "\\xe2\\x80\\xa8|\\xe2\\x80\\xa9"}, /* line and paragraph separator */
        {"\xe2\x80\xae|\xe2\x81\xa6", "\\xe2\\x80\\xae|\\xe2\\x81\\xa6"}, /* direction overrides */
        {"a\\b", "a\\x5cb"},
        {"\\x0a", "\\x0a"},
        {"\\x0", "\\x5cx0"},
        {"\\x0G\\xAA", "\\x5cx0G\\x5cxAA"},
        {"%s%n", "%s%n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[256];
        struct log *log = opened(LOG_INFO);
        log_say(log, LOG_INFO, "event", "%s", cases[i].in);
        char *text = said(log);
        snprintf(want, sizeof want, STAMP "info event %s\n", cases[i].out);
        CHECK_TEXT(text, want);
        free(text);
    }
}

TEST(every_byte_leaves_one_clean_line)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        struct log *log = opened(LOG_INFO);
        log_say(log, LOG_INFO, "event", "%c%c", (int)byte, (int)byte);
        char *text = said(log);
        CHECK_INT(lines(text), 1);
        for (const char *at = text; at[1]; at++)
            CHECK((uint8_t)*at >= 0x20 && (uint8_t)*at < 0x7f);
        free(text);
    }
}

TEST(an_event_is_escaped_too)
{
    struct log *log = opened(LOG_INFO);
    log_say(log, LOG_INFO, "a\nb", "c");
    char *text = said(log);
    CHECK_TEXT(text, STAMP "info a\\x0ab c\n");
    free(text);
}

TEST(a_line_is_cut_at_its_limit_and_says_so)
{
    char many[3000];
    for (size_t len = LOG_LINE_MAX - 60; len < LOG_LINE_MAX + 60; len++) {
        struct log *log = opened(LOG_INFO);
        memset(many, 'm', len);
        many[len] = 0;
        log_say(log, LOG_INFO, "event", "%s", many);
        memset(many, '\n', len); /* four bytes each once escaped */
        log_say(log, LOG_INFO, "event", "%s", many);
        char *text = said(log);
        const size_t first = strcspn(text, "\n") + 1, second = strlen(text) - first;
        CHECK_INT(lines(text), 2);
        CHECK(first <= LOG_LINE_MAX && second <= LOG_LINE_MAX && second > LOG_LINE_MAX - 8);
        const bool cut = strlen(STAMP "info event ") + len > LOG_LINE_MAX - strlen("...\n");
        CHECK_INT(strncmp(text + first - 4, "...", 3) == 0, cut);
        CHECK(strcmp(text + first + second - 8, "\\x0a...\n") == 0);
        free(text);
    }
}

TEST(a_flood_is_counted_and_told_when_its_window_ends)
{
    struct log *log = opened(LOG_INFO);
    for (int i = 0; i < LOG_BURST + 5; i++)
        log_say(log, LOG_INFO, "flood", "n=%d", i);
    now_ms += 9999;
    log_say(log, LOG_INFO, "flood", "still");
    log_say(log, LOG_INFO, "other", "not limited");
    now_ms += 1;
    log_say(log, LOG_INFO, "later", "any line ends the window");
    log_say(log, LOG_INFO, "flood", "again");
    char *text = said(log);
    CHECK_INT(lines(text), LOG_BURST + 4);
    const char *tail = strstr(text, STAMP "info other");
    CHECK_TEXT(tail, STAMP "info other not limited\n" STAMP "info flood suppressed=6\n" STAMP "info later any line ends the window\n" STAMP
                           "info flood again\n");
    free(text);
}

TEST(what_was_suppressed_is_told_at_close)
{
    struct log *log = opened(LOG_INFO);
    for (int i = 0; i < LOG_BURST + 1000; i++)
        log_say(log, LOG_WARNING, "flood", "n=%d", i);
    char *text = said(log);
    CHECK_INT(lines(text), LOG_BURST + 1);
    CHECK(strstr(text, STAMP "warning flood suppressed=1000\n"));
    free(text);
}

TEST(debug_lines_are_never_suppressed)
{
    struct log *log = opened(LOG_DEBUG);
    for (int i = 0; i < LOG_BURST * 3; i++)
        log_say(log, LOG_DEBUG, "allocated", "n=%d", i);
    char *text = said(log);
    CHECK_INT(lines(text), LOG_BURST * 3);
    free(text);
}

TEST(each_event_has_a_budget_of_its_own)
{
    enum { NAMES = 60 };
    struct log *log = opened(LOG_INFO);
    for (int i = 0; i < NAMES * (LOG_BURST + 1); i++) {
        char name[16];
        snprintf(name, sizeof name, "event_%d", i % NAMES);
        log_say(log, LOG_INFO, name, "x");
    }
    char *text = said(log);
    CHECK_INT(lines(text), NAMES * (LOG_BURST + 1));
    free(text);
}

TEST(many_event_names_stay_bounded)
{
    struct log *log = opened(LOG_INFO);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 1000; i++) {
            char name[80];
            snprintf(name, sizeof name, "event_%d%s", i, i % 10 ? "" : "_with_a_name_that_is_longer_than_a_row_has_room_for");
            log_say(log, LOG_INFO, name, "x");
        }
    char *text = said(log);
    CHECK(lines(text) >= 128 * 10 && lines(text) <= 128 * (LOG_BURST + 1));
    free(text);
}

TEST(a_log_is_reopened_after_rotation_and_kept_if_it_cannot_be)
{
    struct log *log = opened(LOG_INFO);
    snprintf(moved, sizeof moved, "%s.1", path);
    log_say(log, LOG_INFO, "a", "before");
    CHECK_INT(rename(path, moved), 0);
    log_say(log, LOG_INFO, "a", "still the old one");
    CHECK_INT(mkdir(path, 0700), 0);
    log_reopen(log);
    log_say(log, LOG_INFO, "a", "kept");
    CHECK_INT(rmdir(path), 0);
    log_reopen(log);
    log_say(log, LOG_INFO, "a", "after");
    struct stat status;
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_mode & 0777 & ~0640u, 0);
    char *new = said(log), *old = test_file(moved);
    unlink(moved);
    CHECK_TEXT(new, STAMP "info a after\n");
    CHECK_TEXT(old, STAMP "info a before\n" STAMP "info a still the old one\n" STAMP
                          "warning log_reopen_failed reason=Is a directory\n" STAMP "info a kept\n");
    free(new);
    free(old);
}

TEST(a_path_that_cannot_be_opened_is_no_log)
{
    CHECK(!log_new("/nonexistent/relay.log", LOG_INFO));
    test_fail_malloc_after(0);
    struct log *log = log_new("stderr", LOG_INFO);
    test_fail_malloc_after(-1);
    CHECK(!log);
    log = log_new("stderr", LOG_ERROR);
    CHECK(log);
    log_free(log);
    CHECK(write(STDERR_FILENO, "", 0) == 0); /* still open */
}

struct talker {
    pthread_t thread;
    struct log *log;
    int number;
};

static void *talk(void *arg)
{
    const struct talker *talker = arg;
    char name[24];
    snprintf(name, sizeof name, "thread_%d", talker->number);
    for (int i = 0; i < 500; i++)
        log_say(talker->log, LOG_INFO, i % 2 ? name : "all", "line %d", i);
    return NULL;
}

TEST(threads_never_mix_their_lines)
{
    struct log *log = opened(LOG_INFO);
    struct talker talkers[4];
    for (int i = 0; i < 4; i++) {
        talkers[i] = (struct talker){.log = log, .number = i};
        CHECK_INT(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        log_reopen(log);
    for (int i = 0; i < 4; i++)
        pthread_join(talkers[i].thread, NULL);
    char *text = said(log);
    size_t count = 0;
    for (char *line = text; *line; line += strcspn(line, "\n") + 1, count++)
        CHECK(strncmp(line, STAMP "info ", sizeof STAMP + 4) == 0);
    CHECK_INT(count, 5 * (LOG_BURST + 1));
    CHECK(strstr(text, "info all suppressed=980\n"));
    free(text);
}

/* A reader that stopped reading (a terminal on hold, a stuck collector of logs) loses lines and holds up nobody. */
TEST(a_pipe_that_nobody_empties_does_not_hold_up_the_server)
{
    static char got[1 << 20];
    char message[LOG_LINE_MAX / 2];
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = 0;
    snprintf(path, sizeof path, "%s", "/tmp/relay-log-XXXXXX");
    CHECK(mkdtemp(path));
    snprintf(moved, sizeof moved, "%s/p", path);
    CHECK_INT(mkfifo(moved, 0600), 0);
    const int reader = open(moved, O_RDWR | O_NONBLOCK);
    struct log *log = log_new(moved, LOG_DEBUG);
    alarm(10);
    for (int i = 0; i < 1000; i++)
        log_say(log, LOG_DEBUG, "flood", "%s", message);
    alarm(0);
    ssize_t len = read(reader, got, sizeof got);
    CHECK(len > 0 && got[len - 1] == '\n');
    log_say(log, LOG_INFO, "again", "read=%d", 1);
    len = read(reader, got, sizeof got - 1);
    CHECK(len > 0);
    got[len] = 0;
    CHECK_TEXT(got, STAMP "info again read=1\n");
    log_free(log);
    close(reader);
    unlink(moved);
    rmdir(path);
}

TEST(a_quoted_value_is_one_printable_word_and_survives_the_log)
{
    char out[64];
    CHECK_TEXT(log_quote(view_text("plain"), out, sizeof out), "\"plain\"");
    CHECK_TEXT(log_quote(view_text(""), out, sizeof out), "\"\"");
    CHECK_TEXT(log_quote(view_of(NULL, 0), out, sizeof out), "\"\"");
    CHECK_TEXT(log_quote(view_of("a\0b", 3), out, sizeof out), "\"a\\x00b\"");
    CHECK_TEXT(log_quote(view_text("\"x\" y=\\\xc3\xa9\n"), out, sizeof out), "\"\\x22x\\x22 y=\\x5c\\xc3\\xa9\\x0a\"");
    struct log *log = opened(LOG_INFO);
    log_say(log, LOG_INFO, "user", "name=%s", log_quote(view_text("\\x0a\n\""), out, sizeof out));
    char *text = said(log);
    CHECK_TEXT(text, STAMP "info user name=\"\\x5cx0a\\x0a\\x22\"\n");
    free(text);
}

TEST(a_quoted_value_is_cut_to_its_room)
{
    for (size_t cap = 3; cap < 40; cap++) {
        uint8_t *room = test_guarded("........................................", cap);
        char *out = (char *)room;
        CHECK(log_quote(view_text("abc\n\n\nabc\n\nabcdefg"), out, cap) == out);
        const size_t len = strlen(out);
        CHECK(len < cap && len >= 2 && out[0] == '"' && out[len - 1] == '"');
        CHECK(cap - len <= 4);
        test_unguard(room, cap);
    }
}

struct caught {
    size_t count;
    char event[32], message[2 * LOG_LINE_MAX];
    enum log_level level;
};

static void on_said(void *ctx, enum log_level level, const char *event, const char *message)
{
    struct caught *caught = ctx;
    caught->count++;
    caught->level = level;
    snprintf(caught->event, sizeof caught->event, "%s", event);
    snprintf(caught->message, sizeof caught->message, "%s", message);
}

TEST(what_is_caught_is_what_was_said_all_of_it)
{
    struct caught caught = {0};
    struct log *log = log_catch(on_said, &caught);
    char text[1500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    CHECK(log_wants(log, LOG_DEBUG));
    for (int i = 0; i < 3 * LOG_BURST; i++)
        log_say(log, LOG_DEBUG, "told", "%d \n%s", i, text);
    CHECK_INT(caught.count, 3 * LOG_BURST);
    CHECK_INT(caught.level, LOG_DEBUG);
    CHECK_TEXT(caught.event, "told");
    CHECK(strncmp(caught.message, "59 \nxxx", 7) == 0 && strlen(caught.message) == 4 + sizeof text - 1);
    log_free(log);
}

TEST_LIST(RUN(what_is_caught_is_what_was_said_all_of_it) RUN(a_line_has_time_level_event_and_message) RUN(lower_levels_say_nothing) RUN(no_message_can_forge_a_line)
              RUN(every_byte_leaves_one_clean_line) RUN(an_event_is_escaped_too) RUN(a_line_is_cut_at_its_limit_and_says_so)
                  RUN(a_flood_is_counted_and_told_when_its_window_ends) RUN(what_was_suppressed_is_told_at_close) RUN(debug_lines_are_never_suppressed)
                      RUN(each_event_has_a_budget_of_its_own) RUN(many_event_names_stay_bounded)
                          RUN(a_log_is_reopened_after_rotation_and_kept_if_it_cannot_be) RUN(a_path_that_cannot_be_opened_is_no_log)
                              RUN(threads_never_mix_their_lines) RUN(a_pipe_that_nobody_empties_does_not_hold_up_the_server)
                                  RUN(a_quoted_value_is_one_printable_word_and_survives_the_log)
                                  RUN(a_quoted_value_is_cut_to_its_room))
