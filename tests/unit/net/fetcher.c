/* fetcher.c: an exchange is the thread's from its start to its end; who asks is told once, or never when he gave it up. */
#include "net/fetcher.h"

#include "base/err.h"
#include "test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKED 200
#define ASKERS 3
#define PATIENCE_S 20

/* struct backend: answers each connection with what it was sent, one after the other; while `is_mute` it reads nothing. */
struct backend {
    int listener;
    pthread_t thread;
    atomic_bool ends, is_mute;
    char url[96], rule[64];
};

static void answer(int fd)
{
    char request[4096] = "", response[8192];
    size_t len = 0;
    while (!strstr(request, "\r\n\r\n") && len < sizeof request - 1) {
        const ssize_t got = read(fd, request + len, sizeof request - 1 - len);
        if (got <= 0)
            return;
        len += (size_t)got;
    }
    const char *agent = strstr(request, "x-number: ");
    char number[16] = "";
    if (agent)
        sscanf(agent, "x-number: %15[0-9]", number);
    const int all = snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Echo: %s\r\nConnection: close\r\n\r\n%s",
                             strlen(number), number, number);
    (void)!write(fd, response, (size_t)all);
}

static void *serve(void *ctx)
{
    struct backend *backend = ctx;
    while (!atomic_load(&backend->ends)) {
        struct pollfd at = {.fd = backend->listener, .events = POLLIN};
        if (atomic_load(&backend->is_mute) || poll(&at, 1, 10) <= 0) {
            poll(NULL, 0, 1);
            continue;
        }
        const int fd = accept(backend->listener, NULL, NULL);
        answer(fd);
        close(fd);
    }
    return NULL;
}

static void backend_open(struct backend *backend)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *backend = (struct backend){.listener = socket(AF_INET, SOCK_STREAM, 0)};
    if (bind(backend->listener, (struct sockaddr *)(void *)&at, len) != 0 || listen(backend->listener, 1024) != 0 ||
        getsockname(backend->listener, (struct sockaddr *)(void *)&at, &len) != 0)
        test_failed(__FILE__, __LINE__, "no backend");
    snprintf(backend->rule, sizeof backend->rule, "127.0.0.1:%u", ntohs(at.sin_port));
    snprintf(backend->url, sizeof backend->url, "http://%s/x", backend->rule);
    pthread_create(&backend->thread, NULL, serve, backend);
}

static void backend_close(struct backend *backend)
{
    atomic_store(&backend->ends, true);
    pthread_join(backend->thread, NULL);
    close(backend->listener);
}

struct rig {
    struct backend backend;
    const char *rules[1];
    struct fetcher *fetcher;
};

static void rig_open(struct rig *rig)
{
    backend_open(&rig->backend);
    rig->rules[0] = rig->backend.rule;
    CHECK_INT(fetcher_open(rig->rules, 1, &rig->fetcher), 0);
}

static void rig_close(struct rig *rig)
{
    fetcher_close(rig->fetcher);
    backend_close(&rig->backend);
}

/* struct asker: told once for each of his. */
struct asker {
    struct fetch *fetch;
    atomic_int told;
    sem_t *bell;
};

static void told(void *owner)
{
    struct asker *asker = owner;
    atomic_fetch_add(&asker->told, 1);
    sem_post(asker->bell);
}

static int ask(struct rig *rig, struct asker *asker, const char *url, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    const struct http_header header = {"x-number", text};
    const struct http_request request = {.method = "GET", .url = url, .headers = &header, .header_count = 1, .timeout_ms = 10000};
    const struct fetch_ending ending = {told, asker};
    return fetch_start(rig->fetcher, &request, &ending, &asker->fetch);
}

static bool rings(sem_t *bell)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return sem_timedwait(bell, &until) == 0;
}

static bool is_answer_to(const struct asker *asker, int number)
{
    char text[16];
    const struct http_response *response = fetch_response(asker->fetch);
    snprintf(text, sizeof text, "%d", number);
    bool echoes = false;
    for (size_t i = 0; i < response->header_count; i++)
        echoes |= strcmp(response->headers[i].name, "x-echo") == 0 && strcmp(response->headers[i].value, text) == 0;
    return !response->error && response->status == 200 && view_equal(response->body, view_text(text)) && echoes;
}

TEST(an_answer_comes_whole_to_who_asked)
{
    struct rig rig;
    sem_t bell;
    static struct asker askers[ASKED];
    rig_open(&rig);
    sem_init(&bell, 0, 0);
    for (int i = 0; i < ASKED; i++) {
        askers[i] = (struct asker){.bell = &bell};
        CHECK_INT(ask(&rig, &askers[i], rig.backend.url, i), 0);
    }
    for (int i = 0; i < ASKED; i++)
        CHECK(rings(&bell));
    for (int i = 0; i < ASKED; i++) {
        CHECK_INT(askers[i].told, 1);
        CHECK(!fetch_cancel(askers[i].fetch));
        CHECK(is_answer_to(&askers[i], i));
        fetch_free(askers[i].fetch);
    }
    rig_close(&rig);
    sem_destroy(&bell);
}

TEST(what_may_not_be_asked_is_said_at_once)
{
    struct rig rig;
    struct asker asker = {0};
    rig_open(&rig);
    CHECK_INT(ask(&rig, &asker, "http://127.0.0.1:1/", 1), ERR_DENIED);
    CHECK_INT(ask(&rig, &asker, "no url", 1), ERR_BAD);
    rig_close(&rig);
}

TEST(a_backend_that_is_not_there_is_an_answer_too)
{
    struct rig rig;
    sem_t bell;
    struct asker asker = {.bell = &bell};
    rig_open(&rig);
    sem_init(&bell, 0, 0);
    backend_close(&rig.backend);
    CHECK_INT(ask(&rig, &asker, rig.backend.url, 1), 0);
    CHECK(rings(&bell));
    CHECK_TEXT(fetch_response(asker.fetch)->error, "connect");
    fetch_free(asker.fetch);
    fetcher_close(rig.fetcher);
    sem_destroy(&bell);
}

/* struct leaver: gives up every other one of his, some before the thread has seen them, some while they wait. */
struct leaver {
    struct rig *rig;
    pthread_t thread;
    sem_t bell;
    struct asker askers[ASKED];
    int gone, left;
};

static void *come_and_leave(void *ctx)
{
    struct leaver *leaver = ctx;
    for (int i = 0; i < ASKED; i++) {
        leaver->askers[i] = (struct asker){.bell = &leaver->bell};
        if (ask(leaver->rig, &leaver->askers[i], leaver->rig->backend.url, i) != 0)
            abort();
        if (i % 8 == 0)
            poll(NULL, 0, 1);
        if (i % 2 && fetch_cancel(leaver->askers[i].fetch))
            leaver->gone++;
        else
            leaver->left++;
    }
    return NULL;
}

TEST(who_gives_up_is_never_told_and_nobody_waits_for_him)
{
    struct rig rig;
    static struct leaver leavers[ASKERS];
    rig_open(&rig);
    for (int i = 0; i < ASKERS; i++) {
        leavers[i] = (struct leaver){.rig = &rig};
        sem_init(&leavers[i].bell, 0, 0);
        pthread_create(&leavers[i].thread, NULL, come_and_leave, &leavers[i]);
    }
    for (int i = 0; i < ASKERS; i++) {
        struct leaver *leaver = &leavers[i];
        pthread_join(leaver->thread, NULL);
        CHECK(leaver->gone > 0);
        for (int k = 0; k < leaver->left; k++)
            CHECK(rings(&leaver->bell));
        int said = 0;
        for (int k = 0; k < ASKED; k++)
            if (leaver->askers[k].told) {
                CHECK(is_answer_to(&leaver->askers[k], k));
                fetch_free(leaver->askers[k].fetch);
                said++;
            }
        CHECK_INT(said, leaver->left);
        sem_destroy(&leaver->bell);
    }
    rig_close(&rig);
}

TEST(it_closes_while_given_up_exchanges_hang)
{
    struct rig rig;
    static struct asker askers[ASKED];
    sem_t bell;
    rig_open(&rig);
    sem_init(&bell, 0, 0);
    atomic_store(&rig.backend.is_mute, true);
    for (int i = 0; i < ASKED; i++) {
        askers[i] = (struct asker){.bell = &bell};
        CHECK_INT(ask(&rig, &askers[i], rig.backend.url, i), 0);
    }
    poll(NULL, 0, 20);
    for (int i = 0; i < ASKED; i++)
        CHECK(fetch_cancel(askers[i].fetch) || askers[i].told);
    for (int i = 0; i < ASKED; i++)
        if (askers[i].told)
            fetch_free(askers[i].fetch);
    rig_close(&rig);
    sem_destroy(&bell);
}

TEST_LIST(RUN(an_answer_comes_whole_to_who_asked) RUN(what_may_not_be_asked_is_said_at_once) RUN(a_backend_that_is_not_there_is_an_answer_too)
              RUN(who_gives_up_is_never_told_and_nobody_waits_for_him) RUN(it_closes_while_given_up_exchanges_hang))
