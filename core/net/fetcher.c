/* fetcher.c: the thread, and those who wait for it. */
#include "net/fetcher.h"

#include "base/err.h"
#include "net/http.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NICE 10

enum fetch_state { FETCH_WAITS, FETCH_UNWANTED, FETCH_TOLD };

struct fetch {
    struct fetcher *of;
    struct fetch_ending ending;
    struct http_request request; /* in `asked` */
    char *asked;
    struct http_response response; /* in `said`; the error is a constant */
    char *said;
    size_t said_len;

    struct http_exchange *exchange; /* the thread's; NULL: not begun, or ended */
    enum fetch_state state;         /* guarded by of->lock, as what follows */
    bool is_given;
    struct fetch *next;
};

struct fetcher {
    const char *const *rules;
    size_t rule_count;
    struct loop *loop;
    struct http *http;
    struct watch wake;
    pthread_t thread;
    bool is_started;
    atomic_size_t count; /* not ended */
    atomic_size_t bytes; /* of answers that nobody has freed */
    pthread_mutex_t lock;
    bool closing;
    struct fetch *given; /* to the thread: to begin or, unwanted, to drop; the newest first */
};

/* ---- copies ---- */

/* struct scribe: writes texts one behind the other; without `at` it only measures. */
struct scribe {
    char *at;
    size_t len;
};

static const char *scribe_put(struct scribe *scribe, const void *bytes, size_t len)
{
    char *to = scribe->at ? scribe->at + scribe->len : NULL;
    if (to) {
        if (len)
            memcpy(to, bytes, len);
        to[len] = 0;
    }
    scribe->len += len + 1;
    return to;
}

static const char *scribe_text(struct scribe *scribe, const char *text)
{
    return scribe_put(scribe, text, strlen(text));
}

/* scribe_headers: the array is at the start of the block, before all texts. */
static void scribe_headers(struct scribe *scribe, struct http_header *to, const struct http_header *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct http_header copy = {scribe_text(scribe, from[i].name), scribe_text(scribe, from[i].value)};
        if (scribe->at)
            to[i] = copy;
    }
}

static struct view scribe_view(struct scribe *scribe, struct view from)
{
    return view_of(scribe_put(scribe, from.at, from.len), from.len);
}

static void copy_request(struct scribe *scribe, const struct http_request *from, struct http_request *to)
{
    struct http_header *headers = (struct http_header *)(void *)scribe->at;
    scribe->len = from->header_count * sizeof *headers;
    *to = (struct http_request){.header_count = from->header_count, .timeout_ms = from->timeout_ms};
    scribe_headers(scribe, headers, from->headers, from->header_count);
    to->headers = headers;
    to->method = scribe_text(scribe, from->method);
    to->url = scribe_text(scribe, from->url);
    to->body = scribe_view(scribe, from->body);
}

static void copy_response(struct scribe *scribe, const struct http_response *from, struct http_response *to)
{
    struct http_header *headers = (struct http_header *)(void *)scribe->at;
    scribe->len = from->header_count * sizeof *headers;
    *to = (struct http_response){.error = from->error, .status = from->status, .header_count = from->header_count};
    scribe_headers(scribe, headers, from->headers, from->header_count);
    to->headers = headers;
    to->body = scribe_view(scribe, from->body);
}

/* ---- the thread ---- */

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    atomic_fetch_sub(&fetch->of->bytes, fetch->said_len);
    free(fetch->asked);
    free(fetch->said);
    free(fetch);
}

/* keep_response: in place of one that there is no room for, that. */
static void keep_response(struct fetch *fetch, const struct http_response *response)
{
    struct scribe scribe = {0};
    copy_response(&scribe, response, &fetch->response);
    const bool fits = atomic_fetch_add(&fetch->of->bytes, scribe.len) + scribe.len <= HTTP_ALL_MAX;
    fetch->said_len = scribe.len;
    fetch->said = scribe.at = fits ? malloc(scribe.len) : NULL;
    if (scribe.at)
        copy_response(&scribe, response, &fetch->response);
    else
        fetch->response = (struct http_response){.error = fits ? "failed" : "too large"};
}

/* end: who asked is told under the lock: once it is known that nobody was, nobody will be. One that nobody wants is among those given. */
static void end(struct fetch *fetch, const struct http_response *response)
{
    struct fetcher *fetcher = fetch->of;
    fetch->exchange = NULL;
    keep_response(fetch, response);
    pthread_mutex_lock(&fetcher->lock);
    if (fetch->state == FETCH_WAITS) {
        atomic_fetch_sub(&fetcher->count, 1);
        fetch->state = FETCH_TOLD;
        fetch->ending.done(fetch->ending.owner);
    }
    pthread_mutex_unlock(&fetcher->lock);
}

static void on_ended(void *owner, const struct http_response *response)
{
    end(owner, response);
}

static void begin(struct fetch *fetch)
{
    static const struct http_response failed = {.error = "failed"};
    const struct http_ending ending = {on_ended, fetch};
    if (http_start(fetch->of->http, &fetch->request, &ending, &fetch->exchange) != 0)
        end(fetch, &failed);
}

static void drop(struct fetch *fetch)
{
    if (fetch->exchange)
        http_cancel(fetch->exchange);
    atomic_fetch_sub(&fetch->of->count, 1);
    fetch_free(fetch);
}

/* take: the next one that was given, and whether it is wanted; NULL: none. From then on only who cancels it gives it again. */
static struct fetch *take(struct fetcher *fetcher, struct fetch **list, bool *is_wanted)
{
    pthread_mutex_lock(&fetcher->lock);
    struct fetch *fetch = *list;
    if (fetch) {
        *list = fetch->next;
        fetch->is_given = false;
        *is_wanted = fetch->state == FETCH_WAITS;
    }
    pthread_mutex_unlock(&fetcher->lock);
    return fetch;
}

/* all_given: the oldest first. */
static struct fetch *all_given(struct fetcher *fetcher, bool *closing)
{
    struct fetch *oldest = NULL;
    pthread_mutex_lock(&fetcher->lock);
    *closing = fetcher->closing;
    for (struct fetch *fetch = fetcher->given, *next; fetch; fetch = next) {
        next = fetch->next;
        fetch->next = oldest;
        oldest = fetch;
    }
    fetcher->given = NULL;
    pthread_mutex_unlock(&fetcher->lock);
    return oldest;
}

static void on_given(void *owner)
{
    struct fetcher *fetcher = owner;
    bool is_wanted, closing;
    struct fetch *list = all_given(fetcher, &closing), *fetch;
    while ((fetch = take(fetcher, &list, &is_wanted)))
        if (is_wanted)
            begin(fetch);
        else
            drop(fetch);
    if (closing)
        loop_stop(fetcher->loop);
}

/* Where processors are short, packets come first. Of Linux, niceness is a thread's. */
static void *run(void *arg)
{
    struct fetcher *fetcher = arg;
    setpriority(PRIO_PROCESS, 0, NICE);
    loop_run(fetcher->loop);
    return NULL;
}

/* Signals are main's: the thread is born with all of them blocked. */
static int start(struct fetcher *fetcher)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    fetcher->is_started = pthread_create(&fetcher->thread, NULL, run, fetcher) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fetcher->is_started ? 0 : ERR_SYSTEM;
}

int fetcher_open(const char *const *rules, size_t rule_count, struct fetcher **out)
{
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    int err = ERR_MEMORY;
    *out = NULL;
    if (!fetcher)
        return err;
    fetcher->rules = rules;
    fetcher->rule_count = rule_count;
    pthread_mutex_init(&fetcher->lock, NULL);
    fetcher->loop = loop_new();
    fetcher->http = fetcher->loop ? http_new(fetcher->loop, rules, rule_count) : NULL;
    if (fetcher->http) {
        watch_wake(&fetcher->wake, fetcher->loop, on_given, fetcher);
        err = start(fetcher);
    }
    if (err)
        fetcher_close(fetcher);
    else
        *out = fetcher;
    return err;
}

static void stop(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    fetcher->closing = true;
    pthread_mutex_unlock(&fetcher->lock);
    loop_wake(&fetcher->wake);
    pthread_join(fetcher->thread, NULL);
}

void fetcher_close(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    if (fetcher->is_started)
        stop(fetcher);
    watch_stop(&fetcher->wake);
    http_free(fetcher->http);
    if (fetcher->loop)
        loop_free(fetcher->loop);
    pthread_mutex_destroy(&fetcher->lock);
    free(fetcher);
}

/* ---- one fetch ---- */

/* give: the caller holds the lock. */
static void give(struct fetcher *fetcher, struct fetch *fetch)
{
    if (fetch->is_given)
        return;
    fetch->is_given = true;
    fetch->next = fetcher->given;
    if (!fetcher->given)
        loop_wake(&fetcher->wake);
    fetcher->given = fetch;
}

static struct fetch *fetch_new(struct fetcher *fetcher, const struct http_request *request, const struct fetch_ending *ending)
{
    struct scribe scribe = {0};
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return NULL;
    *fetch = (struct fetch){.of = fetcher, .ending = *ending};
    copy_request(&scribe, request, &fetch->request);
    fetch->asked = scribe.at = malloc(scribe.len);
    if (scribe.at) {
        copy_request(&scribe, request, &fetch->request);
        return fetch;
    }
    fetch_free(fetch);
    return NULL;
}

int fetch_start(struct fetcher *fetcher, const struct http_request *request, const struct fetch_ending *ending, struct fetch **out)
{
    const int err = http_judge(fetcher->rules, fetcher->rule_count, request->url);
    if (err)
        return err;
    const bool fits = atomic_fetch_add(&fetcher->count, 1) < HTTP_EXCHANGES_MAX;
    struct fetch *fetch = fits ? fetch_new(fetcher, request, ending) : NULL;
    if (!fetch) {
        atomic_fetch_sub(&fetcher->count, 1);
        return fits ? ERR_MEMORY : ERR_BUSY;
    }
    *out = fetch;
    pthread_mutex_lock(&fetcher->lock);
    give(fetcher, fetch);
    pthread_mutex_unlock(&fetcher->lock);
    return 0;
}

bool fetch_cancel(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->of;
    pthread_mutex_lock(&fetcher->lock);
    const bool is_gone = fetch->state == FETCH_WAITS;
    if (is_gone) {
        fetch->state = FETCH_UNWANTED;
        give(fetcher, fetch);
    }
    pthread_mutex_unlock(&fetcher->lock);
    return is_gone;
}

/* They are told under the lock. */
void fetcher_settle(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    pthread_mutex_lock(&fetcher->lock);
    pthread_mutex_unlock(&fetcher->lock);
}

const struct http_response *fetch_response(const struct fetch *fetch)
{
    return &fetch->response;
}
