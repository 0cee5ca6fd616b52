/* waiting.h: a stage whose world lets hooks wait: what was answered, and what was fetched, is remembered. */
#ifndef RELAY_TESTS_WAITING_H
#define RELAY_TESTS_WAITING_H

#include "stage.h"

#include "policy/wait.h"

#define WHEN 61000
#define UNIX 1700000060000

/* struct waiting: a stage whose world remembers what was answered and what was fetched. */
struct waiting {
    struct stage stage;
    struct verdict answer;
    enum hook answered; /* HOOK_COUNT: nothing was */
    struct ticket ticket;
    int answers, fetches, cancels;
    struct handle fetched[8];
    struct http_request asked; /* the last one */
    char url[256], body[256], header[256];
    msec_t due, timeout_ms;
    int fetch_error;
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
    *transfer = &w->fetched[w->fetches & 7];
    w->fetched[w->fetches++ & 7] = handle;
    return 0;
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
