/* The admin door: what is asked, refused, set aside; its socket. */
#include "admin/door.h"
#include "admin/ask.h"
#include "base/err.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct rig {
    char directory[32], path[64];
    struct door *door;
    struct door_request *aside; /* what `later` was asked */
    pthread_t thread;
    atomic_bool ends, answers;
};

static void now(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer(request, 200, json_pack("{s:s}", "said", "now"));
}

static void later(void *ctx, struct door_request *request)
{
    ((struct rig *)ctx)->aside = request;
}

static void echo(void *ctx, struct door_request *request)
{
    size_t len;
    const char *body = door_body(request, &len);
    (void)ctx;
    door_answer(request, 201, json_pack("{s:s%}", "said", body, len));
}

static void query(void *ctx, struct door_request *request)
{
    const char *one = door_query(request, "one"), *two = door_query(request, "two");
    (void)ctx;
    door_answer(request, 200, json_pack("{s:o}", "said", json_sprintf("%s+%s", one ? one : "-", two ? two : "-")));
}

static void part(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer(request, 200, json_pack("{s:o}", "said", json_sprintf("%s%s", door_part(request, 0), door_part(request, 1))));
}

static void text(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer_text(request, 200, "text/plain; version=0.0.4", strdup("as it is\n"));
}

static const char *const parameters[] = {"one", "two", NULL};
static const struct door_route routes[] = {
    {"GET", "/now", DOOR_ANYBODY, 0, now, NULL},         {"POST", "/later", DOOR_ADMIN, 0, later, NULL},
    {"POST", "/echo", DOOR_ADMIN, 8, echo, NULL},        {"GET", "/query", DOOR_ADMIN, 0, query, parameters},
    {"GET", "/part/*", DOOR_ADMIN, 0, part, NULL},       {"GET", "/part/*/end", DOOR_ADMIN, 0, part, NULL},
    {"GET", "/part/*/and/*", DOOR_ADMIN, 0, part, NULL}, {"GET", "/text", DOOR_ANYBODY, 0, text, NULL},
};
#define ROUTES (sizeof routes / sizeof *routes)

/* serve: as main does: the descriptor, and now and then. */
static void *serve(void *ctx)
{
    struct rig *rig = ctx;
    while (!atomic_load(&rig->ends)) {
        struct pollfd door = {.fd = door_descriptor(rig->door), .events = POLLIN};
        poll(&door, 1, 20);
        door_run(rig->door);
        if (rig->aside && atomic_load(&rig->answers)) {
            door_answer(rig->aside, 409, json_pack("{s:s}", "error", "in the end"));
            rig->aside = NULL;
        }
    }
    return NULL;
}

static void rig_open(struct rig *rig)
{
    *rig = (struct rig){.directory = "/tmp/relay-door-XXXXXX"};
    if (!mkdtemp(rig->directory))
        abort();
    snprintf(rig->path, sizeof rig->path, "%s/door", rig->directory);
    CHECK_INT(door_open(&(struct door_config){rig->path, routes, ROUTES, rig}, &rig->door), 0);
    CHECK(pthread_create(&rig->thread, NULL, serve, rig) == 0);
}

static void rig_close(struct rig *rig)
{
    atomic_store(&rig->ends, true);
    pthread_join(rig->thread, NULL);
    door_close(rig->door);
    CHECK(access(rig->path, F_OK) != 0);
    rmdir(rig->directory);
}

static long ask(struct rig *rig, const char *method, const char *path, char *said)
{
    json_t *body;
    long status;
    char error[256];
    if (ask_door(rig->path, method, path, &status, &body, error, sizeof error) != 0)
        test_failed(path, 0, "%s", error);
    const char *text = json_string_value(json_object_get(body, status < 300 ? "said" : "error"));
    snprintf(said, 64, "%s", text ? text : "");
    json_decref(body);
    return status;
}

/* raw: bytes as they are; what came back until the door closed, or 2 s. */
static void raw(struct rig *rig, const char *request, char *answer, size_t cap)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%.60s", rig->path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t len = 0;
    ssize_t got;
    CHECK(connect(fd, (struct sockaddr *)(void *)&at, sizeof at) == 0 && write(fd, request, strlen(request)) > 0);
    shutdown(fd, SHUT_WR);
    while (len < cap - 1 && (got = read(fd, answer + len, cap - 1 - len)) > 0)
        len += (size_t)got;
    answer[len] = 0;
    close(fd);
}

TEST(a_row_answers_and_what_is_no_row_is_refused)
{
    struct rig rig;
    char said[64], answer[2048];
    rig_open(&rig);
    CHECK_INT(ask(&rig, "GET", "/now", said), 200);
    CHECK_TEXT(said, "now");
    CHECK_INT(ask(&rig, "GET", "/nowhere", said), 404);
    CHECK_TEXT(said, "not found");
    CHECK_INT(ask(&rig, "POST", "/now", said), 405);
    CHECK_TEXT(said, "method not allowed");
    raw(&rig, "DELETE /later HTTP/1.0\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, " 405 ") && strstr(answer, "Allow: POST\r\n"));
    raw(&rig, "HEAD /now HTTP/1.0\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, " 200 ") && !strstr(answer, "said"));
    rig_close(&rig);
}

TEST(a_body_is_bounded_by_its_row)
{
    struct rig rig;
    char answer[2048];
    rig_open(&rig);
    raw(&rig, "POST /echo HTTP/1.0\r\nContent-Length: 8\r\n\r\n12345678", answer, sizeof answer);
    CHECK(strstr(answer, " 201 ") && strstr(answer, "\"said\": \"12345678\""));
    raw(&rig, "POST /echo HTTP/1.0\r\nContent-Length: 9\r\n\r\n123456789", answer, sizeof answer);
    CHECK(strstr(answer, " 413 "));
    raw(&rig, "POST /later HTTP/1.0\r\nContent-Length: 1\r\n\r\n1", answer, sizeof answer);
    CHECK(strstr(answer, " 413 "));
    raw(&rig, "no HTTP at all\r\n\r\n", answer, sizeof answer);
    CHECK(!strstr(answer, " 200 "));
    rig_close(&rig);
}

/* ask_of: GET of a path with parameters, written as the commands do. */
static long ask_of(struct rig *rig, const char *path, const char *one, const char *two, char *said)
{
    char whole[ASK_PATH_MAX];
    struct slab out = slab_over(whole, sizeof whole - 1);
    slab_put_text(&out, path);
    ask_put(&out, "one", one);
    ask_put(&out, "two", two);
    whole[out.len] = 0;
    return ask(rig, "GET", whole, said);
}

TEST(a_row_is_given_the_parameters_that_it_names_and_no_others)
{
    struct rig rig;
    char said[64];
    rig_open(&rig);
    CHECK_INT(ask_of(&rig, "/query", NULL, NULL, said), 200);
    CHECK_TEXT(said, "-+-");
    CHECK_INT(ask_of(&rig, "/query", "a b&two=c%/?", "\xc3\xa4=", said), 200);
    CHECK_TEXT(said, "a b&two=c%/?+\xc3\xa4=");
    CHECK_INT(ask(&rig, "GET", "/query?one", said), 200);
    CHECK_TEXT(said, "-+-");
    CHECK_INT(ask(&rig, "GET", "/query?one=1&oen=2", said), 400);
    CHECK_TEXT(said, "no such parameter, or no such value: oen");
    CHECK_INT(ask(&rig, "GET", "/query?one=a%00b", said), 400);
    CHECK_INT(ask(&rig, "GET", "/query?%00=1", said), 400);
    CHECK_INT(ask(&rig, "GET", "/now?one=1", said), 400);
    rig_close(&rig);
}

TEST(a_star_of_a_row_is_one_segment)
{
    static const struct {
        const char *path;
        long status;
        const char *said;
    } cases[] = {
        {"/part/7", 200, "7"},       {"/part/a%20b", 200, "a b"},     {"/part/7/end", 200, "7"},        {"/part/", 404, "not found"},
        {"/part/7/and/8", 200, "78"}, {"/part/7/and/", 404, "not found"},
        {"/part", 404, "not found"}, {"/part/7/8", 404, "not found"}, {"/part//end", 404, "not found"}, {"/part/7/end/", 404, "not found"},
    };
    struct rig rig;
    char said[64], longest[DOOR_PART_MAX + 16] = "/part/";
    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(ask(&rig, "GET", cases[i].path, said), cases[i].status);
        CHECK_TEXT(said, cases[i].said);
    }
    memset(longest + 6, 'x', DOOR_PART_MAX);
    CHECK_INT(ask(&rig, "GET", longest, said), 200);
    longest[6 + DOOR_PART_MAX] = 'x';
    CHECK_INT(ask(&rig, "GET", longest, said), 404);
    rig_close(&rig);
}

TEST(a_row_may_answer_with_a_text_of_its_own_kind)
{
    struct rig rig;
    char answer[2048], error[256], *got = NULL;
    long status;
    rig_open(&rig);
    raw(&rig, "GET /text HTTP/1.0\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, " 200 ") && strstr(answer, "Content-Type: text/plain; version=0.0.4\r\n"));
    CHECK_INT(ask_door_text(rig.path, "GET", "/text", &status, &got, error, sizeof error), 0);
    CHECK_TEXT(got, "as it is\n");
    free(got);
    rig_close(&rig);
}

static void *ask_later(void *ctx)
{
    static char said[64];
    return ask(ctx, "POST", "/later", said) == 409 ? said : NULL;
}

TEST(an_answer_may_come_later_and_others_are_answered_meanwhile)
{
    struct rig rig;
    char said[64];
    void *result;
    pthread_t asker;
    rig_open(&rig);
    CHECK(pthread_create(&asker, NULL, ask_later, &rig) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_INT(ask(&rig, "GET", "/now", said), 200);
    atomic_store(&rig.answers, true);
    pthread_join(asker, &result);
    CHECK_TEXT(result, "in the end");
    rig_close(&rig);
}

TEST(who_waits_when_it_closes_is_told)
{
    struct rig rig;
    pthread_t asker;
    rig_open(&rig);
    CHECK(pthread_create(&asker, NULL, ask_later, &rig) == 0);
    usleep(100000);
    rig_close(&rig);
    pthread_join(asker, NULL);
}

TEST(the_socket_is_its_owners_and_a_dead_one_is_replaced)
{
    struct rig rig;
    struct stat file;
    struct door *second = NULL;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[64];
    rig_open(&rig);
    CHECK(stat(rig.path, &file) == 0 && (file.st_mode & 0777) == 0600);
    CHECK_INT(door_open(&(struct door_config){rig.path, routes, ROUTES, &rig}, &second), ERR_EXISTS);
    CHECK(stat(rig.path, &file) == 0);
    snprintf(path, sizeof path, "%.40s/dead", rig.directory);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)(void *)&at, sizeof at) == 0);
    close(fd);
    CHECK_INT(door_open(&(struct door_config){path, routes, ROUTES, &rig}, &second), 0);
    door_close(second);
    fclose(fopen(path, "w"));
    CHECK_INT(door_open(&(struct door_config){path, routes, ROUTES, &rig}, &second), ERR_BAD);
    unlink(path);
    CHECK_INT(door_open(&(struct door_config){"/nowhere/at/all", routes, ROUTES, &rig}, &second), ERR_SYSTEM);
    rig_close(&rig);
}

TEST(nobody_there_is_said_with_the_reason)
{
    char error[256];
    long status;
    json_t *body;
    CHECK(ask_door("/nowhere/door", "GET", "/", &status, &body, error, sizeof error) != 0);
    CHECK(strstr(error, "/nowhere/door: "));
}

TEST_LIST(RUN(a_row_answers_and_what_is_no_row_is_refused) RUN(a_body_is_bounded_by_its_row)
              RUN(an_answer_may_come_later_and_others_are_answered_meanwhile) RUN(who_waits_when_it_closes_is_told)
                  RUN(the_socket_is_its_owners_and_a_dead_one_is_replaced) RUN(nobody_there_is_said_with_the_reason)
                      RUN(a_row_is_given_the_parameters_that_it_names_and_no_others) RUN(a_star_of_a_row_is_one_segment)
                          RUN(a_row_may_answer_with_a_text_of_its_own_kind))
