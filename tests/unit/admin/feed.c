/* Answers that are given piece by piece: what comes, what waits, who goes. */
#include "admin/feed.h"
#include "base/clock.h"
#include "base/err.h"
#include "test.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* struct tap: a source: says `text`, then waits, ends or cuts. */
struct tap {
    struct feed *feed;
    const char *text;
    size_t endless; /* so many bytes are still to come */
    ssize_t then;
    unsigned reads, closes;
};

struct rig {
    char directory[32], path[64];
    struct door_place place;
    struct door *door;
    struct tap tap;
    struct door_request *aside;
};

static ssize_t read_tap(void *owner, char *out, size_t cap)
{
    struct tap *tap = owner;
    size_t len = strlen(tap->text);
    tap->reads++;
    if (tap->endless) {
        len = tap->endless < cap ? tap->endless : cap;
        memset(out, 'x', len);
        tap->endless -= len;
        return (ssize_t)len;
    }
    len = len < cap ? len : cap;
    memcpy(out, tap->text, len);
    tap->text += len;
    return len ? (ssize_t)len : tap->then;
}

static void close_tap(void *owner)
{
    struct tap *tap = owner;
    tap->closes++;
    tap->feed = NULL;
}

static void open_tap(struct rig *rig, struct door_request *request)
{
    rig->tap.feed = feed_open(request, 200, "text/event-stream", &(struct feed_source){read_tap, close_tap, &rig->tap});
}

static void now(void *ctx, struct door_request *request)
{
    open_tap(ctx, request);
}

static void later(void *ctx, struct door_request *request)
{
    ((struct rig *)ctx)->aside = request;
}

static void other(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer(request, 200, json_pack("{s:s}", "said", "other"));
}

static const struct door_route routes[] = {{.method = "GET", .path = "/now", .serve = now},
                                           {.method = "GET", .path = "/later", .serve = later},
                                           {.method = "GET", .path = "/other", .serve = other}};

static void rig_open(struct rig *rig, const char *text, ssize_t then)
{
    size_t failed;
    *rig = (struct rig){.directory = "/tmp/relay-feed-XXXXXX", .tap = {.text = text, .then = then}};
    if (!mkdtemp(rig->directory))
        abort();
    snprintf(rig->path, sizeof rig->path, "%s/door", rig->directory);
    rig->place.path = rig->path;
    CHECK_INT(door_open(&(struct door_config){.places = &rig->place, .place_count = 1, .routes = routes, .route_count = sizeof routes / sizeof *routes, .ctx = rig}, &rig->door, &failed), 0);
}

static void rig_close(struct rig *rig)
{
    door_close(rig->door);
    rmdir(rig->directory);
}

static int dial(struct rig *rig, const char *request)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%.60s", rig->path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)(void *)&at, sizeof at) == 0 && write(fd, request, strlen(request)) > 0);
    return fd;
}

/* turn: the door runs when its descriptor says so, as main's loop has it. */
static void turn(struct rig *rig)
{
    struct pollfd door = {.fd = door_descriptor(rig->door), .events = POLLIN};
    if (poll(&door, 1, 10) > 0)
        door_run(rig->door);
}

/* hear: runs the door until `wanted` came, or the connection ended: "END" behind it then; at most 2 s. */
static const char *hear(struct rig *rig, int fd, const char *wanted)
{
    static char got[1 << 16];
    size_t len = 0;
    const msec_t until = clock_monotonic_ms() + 2000;
    got[0] = 0;
    while (!strstr(got, wanted) && clock_monotonic_ms() < until) {
        turn(rig);
        const ssize_t more = recv(fd, got + len, sizeof got - len - 8, MSG_DONTWAIT);
        if (more == 0) {
            memcpy(got + len, "END", 4);
            break;
        }
        len += more > 0 ? (size_t)more : 0;
        got[len] = 0;
    }
    return got;
}

static void settle(struct rig *rig)
{
    for (int i = 0; i < 10; i++)
        turn(rig);
}

TEST(what_there_is_comes_and_what_comes_later_when_it_is_there)
{
    struct rig rig;
    rig_open(&rig, "one\n", FEED_LATER);
    const int fd = dial(&rig, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *got = hear(&rig, fd, "one\n");
    CHECK(strstr(got, " 200 ") && strstr(got, "Content-Type: text/event-stream\r\n") && strstr(got, "Transfer-Encoding: chunked\r\n"));
    settle(&rig);
    const unsigned reads = rig.tap.reads;
    settle(&rig);
    CHECK_INT(rig.tap.reads, reads); /* who waits costs nothing */
    rig.tap.text = "two\n";
    feed_wake(rig.tap.feed);
    CHECK(strstr(hear(&rig, fd, "two\n"), "two\n"));
    settle(&rig);
    rig.tap.then = FEED_END;
    feed_wake(rig.tap.feed);
    CHECK(strstr(hear(&rig, fd, "0\r\n\r\n"), "0\r\n\r\n"));
    CHECK_INT(rig.tap.closes, 1);
    close(fd);
    rig_close(&rig);
}

TEST(an_answer_that_comes_later_may_be_one)
{
    struct rig rig;
    rig_open(&rig, "late\n", FEED_END);
    const int fd = dial(&rig, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    settle(&rig);
    CHECK(rig.aside != NULL);
    open_tap(&rig, rig.aside);
    CHECK(strstr(hear(&rig, fd, "0\r\n\r\n"), "late\n"));
    CHECK_INT(rig.tap.closes, 1);
    close(fd);
    rig_close(&rig);
}

TEST(one_that_is_cut_does_not_look_whole)
{
    struct rig rig;
    rig_open(&rig, "half\n", FEED_CUT);
    const int fd = dial(&rig, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *got = hear(&rig, fd, "0\r\n\r\n");
    CHECK(strstr(got, "half\n") && strstr(got, "END") && !strstr(got, "0\r\n\r\n"));
    CHECK_INT(rig.tap.closes, 1);
    close(fd);
    rig_close(&rig);
}

TEST(asked_for_its_head_alone_it_is_closed_unread)
{
    struct rig rig;
    rig_open(&rig, "body\n", FEED_LATER);
    const int fd = dial(&rig, "HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(strstr(hear(&rig, fd, "\r\n\r\n"), " 200 "));
    settle(&rig);
    CHECK_INT(rig.tap.reads, 0);
    CHECK_INT(rig.tap.closes, 1);
    close(fd);
    rig_close(&rig);
}

TEST(a_reader_who_has_gone_is_noticed_at_the_next_word)
{
    struct rig rig;
    rig_open(&rig, "one\n", FEED_LATER);
    const int fd = dial(&rig, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(&rig, fd, "one\n");
    settle(&rig);
    close(fd);
    settle(&rig);
    CHECK_INT(rig.tap.closes, 0);
    rig.tap.text = ":\n";
    feed_wake(rig.tap.feed);
    settle(&rig);
    CHECK_INT(rig.tap.closes, 1);
    rig_close(&rig);
}

TEST(a_reader_who_takes_nothing_holds_nobody_up)
{
    struct rig rig;
    rig_open(&rig, "", FEED_LATER);
    rig.tap.endless = (size_t)64 << 20;
    const int slow = dial(&rig, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    settle(&rig);
    const int fd = dial(&rig, "GET /other HTTP/1.0\r\n\r\n");
    CHECK(strstr(hear(&rig, fd, "other"), "other"));
    CHECK(rig.tap.endless > (size_t)32 << 20);
    close(fd);
    rig_close(&rig);
    CHECK_INT(rig.tap.closes, 1);
    close(slow);
}

TEST(those_that_are_open_when_the_door_closes_are_cut)
{
    struct rig rig;
    rig_open(&rig, "one\n", FEED_LATER);
    const int fd = dial(&rig, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(&rig, fd, "one\n");
    settle(&rig);
    rig_close(&rig);
    CHECK_INT(rig.tap.closes, 1);
    close(fd);
}

TEST_LIST(RUN(what_there_is_comes_and_what_comes_later_when_it_is_there) RUN(an_answer_that_comes_later_may_be_one)
              RUN(one_that_is_cut_does_not_look_whole) RUN(asked_for_its_head_alone_it_is_closed_unread)
                  RUN(a_reader_who_has_gone_is_noticed_at_the_next_word) RUN(a_reader_who_takes_nothing_holds_nobody_up)
                      RUN(those_that_are_open_when_the_door_closes_are_cut))
