/* waiting.h: a stage whose world lets hooks wait: what was answered, and what was fetched, is remembered. */
#ifndef RELAY_TESTS_WAITING_H
#define RELAY_TESTS_WAITING_H

#include "stage.h"

#include "policy/wait.h"

#define WHEN 61000
#define UNIX 1700000060000

/* struct waiting: a stage whose world remembers what was answered and what was asked of it. */
struct waiting {
    struct stage stage;
    struct verdict answer;
    enum hook answered; /* HOOK_COUNT: nothing was */
    struct ticket ticket;
    int answers, fetches, cancels;
    struct handle fetched[8], http; /* http: the last exchange */
    struct http_request asked; /* the last one */
    char url[256], body[256], header[256];
    msec_t due, timeout_ms;
    int fetch_error;
    struct datum data[8]; /* of the last query; its statement is in url, texts are in texts */
    char texts[8][64];
    size_t datum_count;
    const struct dns_answer *known;
};

static inline void on_answer(void *ctx, const struct question *question, struct verdict *verdict)
{
    struct waiting *w = ctx;
    w->answers++;
    w->answered = question->hook;
    w->ticket = question->ticket;
    w->answer = *verdict;
}

static inline void on_wake(void *ctx, msec_t due)
{
    ((struct waiting *)ctx)->due = due;
}

/* take_errand: one more is under way. */
static inline int take_errand(struct waiting *w, struct handle handle, void **errand)
{
    *errand = &w->fetched[w->fetches & 7];
    w->fetched[w->fetches++ & 7] = handle;
    return 0;
}

static inline int on_fetch(void *ctx, struct policy *policy, struct handle handle, const struct http_request *request, void **transfer)
{
    struct waiting *w = ctx;
    (void)policy;
    if (w->fetch_error)
        return w->fetch_error;
    view_copy(view_text(request->url), w->url, sizeof w->url);
    view_copy(request->body, w->body, sizeof w->body);
    *w->header = 0;
    if (request->header_count)
        snprintf(w->header, sizeof w->header, "%s: %s", request->headers[0].name, request->headers[0].value);
    w->timeout_ms = request->timeout_ms;
    w->http = handle;
    return take_errand(w, handle, transfer);
}

static inline int on_query(void *ctx, struct policy *policy, struct handle handle, const struct query *query, void **errand)
{
    struct waiting *w = ctx;
    (void)policy;
    if (w->fetch_error)
        return w->fetch_error;
    view_copy(query->sql, w->url, sizeof w->url);
    w->datum_count = query->datum_count;
    for (size_t i = 0; i < query->datum_count && i < 8; i++) {
        w->data[i] = query->data[i];
        if (query->data[i].kind == DATUM_TEXT)
            view_copy(query->data[i].text, w->texts[i], sizeof w->texts[i]);
    }
    return take_errand(w, handle, errand);
}

static inline int on_resolve(void *ctx, struct policy *policy, struct handle handle, const struct dns_question *question, void **errand)
{
    struct waiting *w = ctx;
    (void)policy;
    if (w->fetch_error)
        return w->fetch_error;
    snprintf(w->url, sizeof w->url, "%d %s", (int)question->type, question->name);
    return take_errand(w, handle, errand);
}

static inline const struct dns_answer *on_recall(void *ctx, const struct dns_question *question)
{
    (void)question;
    return ((struct waiting *)ctx)->known;
}

static inline void on_cancel(void *ctx, void *transfer)
{
    struct waiting *w = ctx;
    *(struct handle *)transfer = (struct handle){0};
    w->cancels++;
}

static inline uint32_t count_of(void *ctx, const char *kind, const char *tenant, const char *user)
{
    return stage_count(ctx, kind, tenant, user);
}

static inline void on_audit(void *ctx, const char *type, const char *detail)
{
    stage_audit(&((struct waiting *)ctx)->stage, type, detail);
}

static inline void play(struct waiting *w, const char *text)
{
    *w = (struct waiting){.answered = HOOK_COUNT, .due = POLICY_NEVER};
    stage_set(&w->stage);
    struct policy_world *world = &w->stage.world;
    world->ctx = w;
    world->count = count_of;
    world->audit = on_audit;
    world->answer = on_answer;
    world->wake = on_wake;
    world->fetch = on_fetch;
    world->query = on_query;
    world->resolve = on_resolve;
    world->recall = on_recall;
    world->cancel = on_cancel;
    stage_add(&w->stage, "p.lua", text);
    if (!stage_load(&w->stage))
        test_failed("p.lua", 0, "%s", w->stage.error);
}

/* ask: with a place to wait under the name `ticket`. */
static inline enum verdict_kind ask(struct waiting *w, enum hook hook, uint32_t ticket)
{
    struct question question = stage_question(&w->stage, hook);
    question.ticket = (struct ticket){{ticket, ticket}};
    w->stage.verdict = (struct verdict){0};
    policy_ask(w->stage.policy, &question, &w->stage.verdict);
    return w->stage.verdict.kind;
}

static inline void turn(struct waiting *w, msec_t ms)
{
    policy_turn(w->stage.policy, WHEN + ms, UNIX + ms);
}

static inline void land(struct waiting *w, int number, const char *body)
{
    static const struct http_header headers[] = {{"content-type", "text/plain"}, {"x-more", "1"}};
    const struct http_response response = {.status = 200, .headers = headers, .header_count = 2, .body = view_text(body)};
    policy_fetched(w->stage.policy, w->fetched[number], &response, WHEN + 10, UNIX + 10);
}

static inline void fail(struct waiting *w, int number, const char *error)
{
    const struct http_response response = {.error = error, .body = view_text("")};
    policy_fetched(w->stage.policy, w->fetched[number], &response, WHEN + 10, UNIX + 10);
}

static inline void clear(struct waiting *w)
{
    CHECK_INT(policy_waits(w->stage.policy), 0);
    CHECK_INT(w->stage.policy->pending.live, 0);
    CHECK_INT(w->stage.policy->flights.live, 0);
    stage_clear(&w->stage);
}

#endif
