/* journal.c: which decisions are kept, their lines, and the file. */
#include "server/journal.h"

#include "base/err.h"
#include "base/json.h"
#include "policy/account.h"
#include "turn/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct journal {
    const char *path;
    int fd; /* always the same: another file takes its place */
    unsigned sample;
    struct view key;      /* of the veil */
    struct hash_key dice; /* which decisions are in the sample: all of a request, or none */
    atomic_bool is_torn;  /* the file ends within a line */
};

struct journal_page {
    struct journal *journal;
    unsigned worker;
    struct veil veil;
    struct slab lines; /* behind a newline that ends a torn line */
    struct bucket strangers;
    uint64_t lost;
    uint64_t refused; /* the last refusal that was kept */
    uint8_t bytes[JOURNAL_PAGE_MAX];
};

/* ---- the file ---- */

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

int journal_open(const struct config *config, struct journal **out, struct refusal *refusal)
{
    *out = NULL;
    if (!config->decision_log)
        return 0;
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return ERR_MEMORY;
    journal->path = config->decision_log;
    journal->sample = config->decision_log_sample;
    if (config->decision_log_key)
        journal->key = view_text(config->decision_log_key);
    crypto_random(&journal->dice, sizeof journal->dice);
    journal->fd = open_file(journal->path);
    if (journal->fd >= 0) {
        *out = journal;
        return 0;
    }
    free(journal);
    return refuse(refusal, config, "decision-log", "cannot open %s: %s", config->decision_log, strerrordesc_np(errno));
}

/* Workers write meanwhile: the number stays, and what it stands for is exchanged at once. */
bool journal_reopen(struct journal *journal)
{
    const int fd = journal ? open_file(journal->path) : -1;
    if (fd < 0)
        return !journal;
    const bool done = dup3(fd, journal->fd, O_CLOEXEC) >= 0;
    atomic_store_explicit(&journal->is_torn, false, memory_order_relaxed);
    close(fd);
    return done;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    close(journal->fd);
    free(journal);
}

/* ---- a page ---- */

static void clear(struct journal_page *page)
{
    page->lines = slab_over(page->bytes, sizeof page->bytes);
    slab_put_u8(&page->lines, '\n');
}

struct journal_page *journal_page_new(struct journal *journal, unsigned worker, struct crypto *crypto)
{
    struct journal_page *page = malloc(sizeof *page);
    if (!page)
        return NULL;
    memset(page, 0, offsetof(struct journal_page, bytes));
    page->journal = journal;
    page->worker = worker;
    page->veil = (struct veil){crypto, journal->key};
    clear(page);
    return page;
}

void journal_page_free(struct journal_page *page)
{
    if (page)
        journal_write(page);
    free(page);
}

static uint64_t lines_in(struct view text)
{
    uint64_t count = 0;
    for (const uint8_t *at; text.len && (at = memchr(text.at, '\n', text.len)); count++)
        text = view_from(text, (size_t)(at - text.at) + 1);
    return count;
}

/* What the file does not take is lost; a line of which it took a part is ended by whoever writes next. */
void journal_write(struct journal_page *page)
{
    struct journal *journal = page->journal;
    if (page->lines.len <= 1)
        return;
    const bool was_torn = atomic_exchange_explicit(&journal->is_torn, false, memory_order_relaxed);
    const struct view text = view_from(slab_view(&page->lines), was_torn ? 0 : 1);
    ssize_t written;
    do
        written = write(journal->fd, text.at, text.len);
    while (written < 0 && errno == EINTR);
    const size_t taken = written > 0 ? (size_t)written : 0;
    page->lost += lines_in(view_from(text, taken));
    if (taken ? text.at[taken - 1] != '\n' : was_torn)
        atomic_store_explicit(&journal->is_torn, true, memory_order_relaxed);
    clear(page);
}

uint64_t journal_lost(struct journal_page *page)
{
    const uint64_t lost = page->lost;
    page->lost = 0;
    return lost;
}

/* ---- a line ---- */

static void put(struct slab *line, const char *name, const char *text)
{
    slab_put_text(line, name);
    json_put_text(line, text, strlen(text));
}

/* struct head: what every line begins with. */
struct head {
    uint64_t decision;
    const char *revision, *phase, *by;
    int64_t unix_ms;
};

static void put_head(struct slab *line, const struct journal_page *page, const struct head *head)
{
    char text[128];
    snprintf(text, sizeof text, "{\"decision_id\":\"%llu\"", (unsigned long long)head->decision);
    slab_put_text(line, text);
    put(line, ",\"policy_rev\":", head->revision);
    snprintf(text, sizeof text, ",\"time\":%lld.%03d,\"worker\":%u", (long long)(head->unix_ms / 1000), (int)(head->unix_ms % 1000),
             page->worker);
    slab_put_text(line, text);
    put(line, ",\"phase\":", head->phase);
    put(line, ",\"by\":", head->by);
    slab_put_text(line, ",\"input\":");
}

static void put_cost(struct slab *line, const struct policy_cost *cost)
{
    char text[96];
    snprintf(text, sizeof text, ",\"ns\":%lld,\"instructions\":%llu%s}\n", (long long)cost->ns, (unsigned long long)cost->instructions,
             cost->waited ? ",\"waited\":true" : "");
    slab_put_text(line, text);
}

/* keep: the line is whole, or lost. */
static void keep(struct journal_page *page, const struct slab *line)
{
    if (line->overflow)
        page->lost++;
    else
        page->lines = *line;
}

/* ---- which ---- */

static bool lets_in(const struct verdict *verdict)
{
    return verdict->kind != VERDICT_DENY && verdict->kind != VERDICT_FAIL && verdict->kind != VERDICT_REAUTH &&
           verdict->kind != VERDICT_CLOSE;
}

/* is_sampled: by the id: what is asked of one request is kept together. */
static bool is_sampled(const struct journal *journal, uint64_t decision)
{
    const uint64_t die = table_hash(&journal->dice, view_of(&decision, sizeof decision)) >> 32;
    return die * 100 >> 32 < journal->sample;
}

/* admit: a refusal of a stranger, of whom there may be many. */
static bool admit(struct journal_page *page, msec_t now)
{
    if (bucket_take(&page->strangers, 8 * JOURNAL_STRANGERS, 1, now))
        return true;
    page->lost++;
    return false;
}

static bool differs_in_shadow(const struct finding *finding)
{
    return finding->shadow && finding->shadow->kind != VERDICT_LATER;
}

static bool is_wanted(struct journal_page *page, const struct finding *finding)
{
    const struct question *question = finding->question;
    if (lets_in(finding->final) && finding->said->kind != VERDICT_FAIL)
        return differs_in_shadow(finding) || is_sampled(page->journal, question->decision);
    page->refused = question->decision;
    return (question->hook != HOOK_route && question->hook != HOOK_authenticate) || admit(page, question->now);
}

/* differs: what the core made of it is not what the policy said. */
static bool differs(const struct verdict *said, const struct verdict *final)
{
    return said->kind != final->kind || said->code != final->code || strcmp(said->realm, final->realm) != 0 ||
           !limits_equal(&said->limits, &final->limits);
}

static void put_shadow(struct slab *line, const struct verdict *shadow, const struct veil *veil)
{
    put(line, ",\"shadow\":{\"by\":", *shadow->by ? shadow->by : "nobody");
    slab_put_text(line, ",\"result\":");
    if (shadow->kind == VERDICT_LATER)
        slab_put_text(line, "{\"decision\":\"undecided\"}");
    else
        account_put_answer(line, shadow, veil);
    slab_put_u8(line, '}');
}

void journal_note(struct journal_page *page, const struct finding *finding)
{
    static const struct policy_cost none;
    const struct question *question = finding->question;
    const struct policy_cost *cost = finding->policy ? policy_cost(finding->policy) : &none;
    const bool is_core = finding->said->kind == VERDICT_SILENT;
    const char *by = is_core ? "" : finding->said->by;
    struct slab line = page->lines;
    if (cost->remembered || !is_wanted(page, finding))
        return;
    put_head(&line, page,
             &(struct head){question->decision, finding->policy ? policy_revision(finding->policy) : "-", policy_hook_name(question->hook),
                            *by ? by : "core", question->unix_ms});
    account_put_question(&line, question, &page->veil);
    slab_put_text(&line, ",\"result\":");
    account_put_answer(&line, is_core ? finding->final : finding->said, &page->veil);
    if (!is_core && differs(finding->said, finding->final)) {
        slab_put_text(&line, ",\"final\":");
        account_put_answer(&line, finding->final, &page->veil);
    }
    if (finding->shadow)
        put_shadow(&line, finding->shadow, &page->veil);
    put_cost(&line, cost);
    keep(page, &line);
}

void journal_tell(struct journal_page *page, const struct event *event, const char *revision)
{
    struct verdict verdict = {.kind = VERDICT_DENY, .code = event->code};
    struct slab line = page->lines;
    if ((event->type != EVENT_DENIED && event->type != EVENT_AUTH_FAILED) || event->decision == page->refused)
        return;
    if (event->type == EVENT_AUTH_FAILED && !admit(page, event->now))
        return;
    page->refused = event->decision;
    view_copy(view_text(event->reason), verdict.reason, sizeof verdict.reason);
    view_copy(view_text(event->by), verdict.by, sizeof verdict.by);
    put_head(&line, page, &(struct head){event->decision, revision, "core", event->by, event->unix_ms});
    account_put_event(&line, event, &page->veil);
    slab_put_text(&line, ",\"result\":");
    account_put_answer(&line, &verdict, &page->veil);
    put_cost(&line, &(struct policy_cost){0});
    keep(page, &line);
}
