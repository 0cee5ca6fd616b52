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
    struct door_place place;
    struct door *door;
    struct door_request *aside; /* what `later` was asked */
    pthread_t thread;
    atomic_bool ends, answers, stops;
    char log[512]; /* what was told */
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

static void fields(void *ctx, struct door_request *request)
{
    (void)ctx;
    door_answer(request, 200, json_pack("{s:o}", "said", json_sprintf("%s %lld", door_text(request, "name"), (long long)door_number(request, "size", 7))));
}

static const struct field parameters[] = {
    {.name = "one", .kind = FIELD_TEXT, .max = 64}, {.name = "two", .kind = FIELD_TEXT, .max = 64}, {0}};
static const struct field wanted[] = {{.name = "name", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = 4},
                                    {.name = "size", .kind = FIELD_NUMBER, .min = 1, .max = 9},
                                    {0}};

#define ROW(method_, path_, scope_, serve_, ...) {.method = (method_), .path = (path_), .scope = (scope_), .serve = (serve_), __VA_ARGS__}
static const struct door_route routes[] = {
    ROW("GET", "/now", DOOR_ANYBODY, now),
    ROW("POST", "/later", DOOR_ADMIN, later),
    ROW("DELETE", "/later", DOOR_MINT, now),
    ROW("GET", "/later", DOOR_OPERATOR | DOOR_ADMIN, now),
    ROW("POST", "/echo", DOOR_ADMIN, echo, .body_max = 8),
    ROW("POST", "/fields", DOOR_ADMIN, fields, .body = wanted),
    ROW("GET", "/query", DOOR_ADMIN, query, .query = parameters),
    ROW("GET", "/part/{a}", DOOR_ADMIN, part),
    ROW("GET", "/part/{a}/end", DOOR_ADMIN, part),
    ROW("GET", "/part/{a}/and/{b}", DOOR_ADMIN, part),
    ROW("GET", "/text", DOOR_ANYBODY, text),
};
#define ROUTES (sizeof routes / sizeof *routes)

/* admit: the tokens that there are. */
static void admit(void *ctx, const struct door_request *request, const char *token, struct door_pass *out)
{
    static const struct {
        const char *token;
        struct door_pass pass;
    } cases[] = {
        {"acme-admin", {.caller = {"acme", "k1", DOOR_ADMIN}}},
        {"acme-mint", {.caller = {"acme", "k2", DOOR_MINT}}},
        {"all", {.caller = {"*", "k3", DOOR_SCOPES}}},
        {"busy", {.status = 429, .retry_s = 3, .reason = "too many"}},
        {"gone", {.status = 503, .reason = "gone"}},
    };
    (void)ctx;
    CHECK_INT(door_source(request)->family, ADDR_NONE);
    *out = (struct door_pass){.status = 401, .reason = "wrong"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].token, token) == 0)
            *out = cases[i].pass;
}

static void told(void *ctx, const struct door_request *request, unsigned status)
{
    struct rig *rig = ctx;
    const size_t len = strlen(rig->log);
    snprintf(rig->log + len, sizeof rig->log - len, "%s %s %u %s;", door_method(request), door_path(request), status, door_caller(request)->key);
}

/* serve: as main does: the descriptor, and now and then. */
static void *serve(void *ctx)
{
    struct rig *rig = ctx;
    while (!atomic_load(&rig->ends)) {
        struct pollfd door = {.fd = door_descriptor(rig->door), .events = POLLIN};
        poll(&door, 1, 20);
        if (atomic_load(&rig->stops))
            door_stop(rig->door);
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
    size_t failed;
    *rig = (struct rig){.directory = "/tmp/relay-door-XXXXXX"};
    if (!mkdtemp(rig->directory))
        abort();
    snprintf(rig->path, sizeof rig->path, "%s/door", rig->directory);
    rig->place.path = rig->path;
    CHECK_INT(door_open(&(struct door_config){.places = &rig->place, .place_count = 1, .routes = routes, .route_count = ROUTES, .ctx = rig, .admit = admit, .told = told}, &rig->door, &failed), 0);
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
    raw(&rig, "PUT /later HTTP/1.0\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, " 405 ") && strstr(answer, "Allow: POST, DELETE, GET, HEAD\r\n"));
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
    CHECK_TEXT(said, "+-");
    CHECK_INT(ask(&rig, "GET", "/query?one=1&one=1", said), 400);
    CHECK_TEXT(said, "one: it is said twice");
    CHECK_INT(ask(&rig, "GET", "/query?one=1&oen=2", said), 400);
    CHECK_TEXT(said, "oen: there is no such name here: did you mean one?");
    CHECK_INT(ask(&rig, "GET", "/query?one=a%00b", said), 400);
    CHECK_INT(ask(&rig, "GET", "/query?%00=1", said), 400);
    CHECK_INT(ask(&rig, "GET", "/now?one=1", said), 400);
    rig_close(&rig);
}

TEST(a_body_is_read_by_the_fields_of_its_row)
{
    static const struct {
        const char *body, *answer;
    } cases[] = {
        {"{\"name\": \"ann\", \"size\": 9}", "\"said\": \"ann 9\""},
        {"{\"name\": \"ann\"}", "\"said\": \"ann 7\""},
        {"{\"size\": 3}", "\"field\": \"name\""},
        {"{\"name\": \"ann\", \"sise\": 3}", "\"sise: there is no such name here: did you mean size?\""},
        {"{\"name\": ", "\"the body is no JSON"},
    };
    struct rig rig;
    char answer[2048], request[256];
    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "POST /fields HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(cases[i].body), cases[i].body);
        raw(&rig, request, answer, sizeof answer);
        CHECK(strstr(answer, i < 2 ? " 200 " : " 400 "));
        CHECK(strstr(answer, cases[i].answer));
    }
    rig_close(&rig);
}

TEST(a_key_opens_what_its_scopes_are_for)
{
    static const struct {
        const char *line, *key;
        const char *answer[3];
    } cases[] = {
        {"POST /echo", "Bearer acme-admin", {" 201 "}},
        {"POST /echo", "bearer  acme-admin", {" 201 "}},
        {"DELETE /later", "Bearer acme-admin", {" 403 "}},
        {"DELETE /later", "Bearer acme-mint", {" 200 "}},
        {"GET /later", "Bearer acme-admin", {" 403 "}},
        {"GET /later", "Bearer all", {" 200 "}},
        {"POST /echo", "Bearer wrong", {" 401 ", "WWW-Authenticate: Bearer\r\n"}},
        {"POST /echo", "Basic YTpi", {" 401 "}},
        {"POST /echo", "Bearer busy", {" 429 ", "Retry-After: 3\r\n"}},
        {"POST /echo", "Bearer gone", {" 503 "}},
        {"GET /now", "Bearer wrong", {" 200 "}},
        {"GET /nowhere", "Bearer wrong", {" 404 "}},
    };
    struct rig rig;
    char answer[2048], request[256];
    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "%s HTTP/1.0\r\nAuthorization: %s\r\n\r\n", cases[i].line, cases[i].key);
        raw(&rig, request, answer, sizeof answer);
        for (size_t k = 0; k < 3 && cases[i].answer[k]; k++)
            if (!strstr(answer, cases[i].answer[k]))
                test_failed(cases[i].key, (int)i, "%s", answer);
    }
    rig_close(&rig);
    CHECK(strstr(rig.log, "DELETE /later 403 k1;") && strstr(rig.log, "POST /echo 401 ;") && strstr(rig.log, "GET /nowhere 404 ;"));
    CHECK(!strstr(rig.log, "acme"));
}

TEST(a_name_in_a_path_of_a_row_is_one_segment)
{
    static const struct {
        const char *path;
        long status;
        const char *said;
    } cases[] = {
        {"/part/7", 200, "7"},       {"/part/a%20b", 200, "a b"}, {"/part/a%2Fb/end", 200, "a/b"}, {"/part/a%00b", 404, "not found"},
        {"/part/a%2", 404, "not found"}, {"/part/a%zz", 404, "not found"}, {"/part/%", 404, "not found"}, {"/part/a+b", 200, "a+b"},     {"/part/7/end", 200, "7"},        {"/part/", 404, "not found"},
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

TEST(while_it_stops_no_row_is_served_and_who_waits_is_answered)
{
    struct rig rig;
    char said[64];
    void *result;
    pthread_t asker;
    rig_open(&rig);
    CHECK(pthread_create(&asker, NULL, ask_later, &rig) == 0);
    usleep(100000);
    atomic_store(&rig.stops, true);
    usleep(100000);
    CHECK_INT(ask(&rig, "GET", "/now", said), 503);
    CHECK_TEXT(said, "the relay is stopping");
    atomic_store(&rig.answers, true);
    pthread_join(asker, &result);
    CHECK_TEXT(result, "in the end");
    rig_close(&rig);
}

/* open_at: `place` stays with the door. */
static int open_at(struct door_place *place, const char *path, struct door **out)
{
    size_t failed;
    *place = (struct door_place){.path = path};
    return door_open(&(struct door_config){.places = place, .place_count = 1, .routes = routes, .route_count = ROUTES}, out, &failed);
}

TEST(the_socket_is_its_owners_and_a_dead_one_is_replaced)
{
    struct rig rig;
    struct stat file;
    struct door_place place;
    struct door *second = NULL;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[64];
    rig_open(&rig);
    CHECK(stat(rig.path, &file) == 0 && (file.st_mode & 0777) == 0600);
    CHECK_INT(open_at(&place, rig.path, &second), ERR_EXISTS);
    CHECK(stat(rig.path, &file) == 0);
    snprintf(path, sizeof path, "%.40s/dead", rig.directory);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)(void *)&at, sizeof at) == 0);
    close(fd);
    CHECK_INT(open_at(&place, path, &second), 0);
    door_close(second);
    fclose(fopen(path, "w"));
    CHECK_INT(open_at(&place, path, &second), ERR_BAD);
    unlink(path);
    CHECK_INT(open_at(&place, "/nowhere/at/all", &second), ERR_SYSTEM);
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
                  RUN(while_it_stops_no_row_is_served_and_who_waits_is_answered)
                  RUN(the_socket_is_its_owners_and_a_dead_one_is_replaced) RUN(nobody_there_is_said_with_the_reason)
                      RUN(a_row_is_given_the_parameters_that_it_names_and_no_others) RUN(a_name_in_a_path_of_a_row_is_one_segment) RUN(a_body_is_read_by_the_fields_of_its_row)
                          RUN(a_key_opens_what_its_scopes_are_for)
                          RUN(a_row_may_answer_with_a_text_of_its_own_kind))
