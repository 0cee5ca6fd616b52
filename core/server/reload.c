/* reload.c: read, prepare, commit or abort. */
#include "server/reload.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/worker.h"

#include <stdlib.h>

static unsigned workers_of(const struct reload *reload)
{
    return reload->service->config->workers;
}

static void post_all(struct reload *reload, enum reload_phase phase, enum letter_kind kind)
{
    reload->phase = phase;
    reload->expected = workers_of(reload);
    for (unsigned i = 0; i < workers_of(reload); i++) {
        struct policy_letter *letter = &reload->letters[i];
        letter->letter.kind = kind;
        letter->edition = reload->edition;
        letter->shadow = reload->shadow;
        worker_post(reload->service->workers[i], &letter->letter);
    }
}

static void say(const struct reload *reload, const char *failure)
{
    const struct policy_letter *first = &reload->letters[0];
    const long long ms = clock_monotonic_ms() - reload->began;
    char quoted[2 * REFUSAL_MAX];
    if (failure)
        log_say(reload->service->log, LOG_ERROR, "policies_kept", "policy_rev=%s ms=%lld reason=%s", first->revision, ms,
                log_quote(view_text(failure), quoted, sizeof quoted));
    else
        log_say(reload->service->log, LOG_INFO, "policies_loaded", "policy_rev=%s ms=%lld workers=%u", first->revision, ms, workers_of(reload));
}

static void tell(struct reload *reload, const char *failure)
{
    struct reload_asker *asker = reload->asking;
    if (!failure)
        news_tell(reload->service->news, NEWS_POLICY_RELOADED, NEWS_OPERATOR, NEWS(NEWS_TEXT(reload->letters[0].revision)));
    reload->asking = NULL;
    for (struct reload_asker *next; asker; asker = next) {
        next = asker->next;
        asker->told(asker, failure);
    }
}

/* sweep: shared objects that no policy knows any more. */
static void sweep(struct reload *reload)
{
    if (atomic_load_explicit(&reload->retired, memory_order_acquire) == 0)
        policy_shared_sweep(reload->service->policy_shared);
    if (reload->shadow) /* the old ones went when the new ones came */
        policy_shared_sweep(reload->service->shadow.shared);
}

/* conclude: all workers have the same policy again. */
static void conclude(struct reload *reload, const char *failure)
{
    const int64_t now = clock_unix_ms();
    policy_shared_end(reload->service->policy_shared, !failure);
    if (reload->shadow)
        policy_shared_end(reload->service->shadow.shared, !failure);
    sweep(reload);
    reload->phase = RELOAD_IDLE;
    say(reload, failure);
    if (failure) {
        reload->failed++;
        reload->failed_unix_ms = now;
        view_copy(view_text(failure), reload->last_failure, sizeof reload->last_failure);
    } else {
        reload->done++;
        reload->loaded_unix_ms = now;
    }
    tell(reload, failure);
}

/* read_chain: the files of one, and run them once, where a mistake harms nobody. */
static int read_chain(struct reload *reload, const struct policy_config *config, struct policy_shared *shared, struct policy_edition **edition)
{
    const struct policy_world world = {.crypto = reload->crypto};
    struct policy_edition *now = policy_edition_new(config, reload->failure, sizeof reload->failure);
    if (!now)
        return ERR_BAD;
    policy_edition_free(*edition);
    *edition = now;
    return policy_try(&(struct policy_birth){.config = config,
                                             .shared = shared,
                                             .edition = now,
                                             .world = &world,
                                             .now = loop_now(reload->loop),
                                             .unix_ms = clock_unix_ms()},
                      reload->failure, sizeof reload->failure);
}

static int read_files(struct reload *reload)
{
    struct service *service = reload->service;
    const int err = read_chain(reload, &service->policy, service->policy_shared, &reload->edition);
    if (err || !reload->shadow)
        return err;
    return read_chain(reload, &service->shadow.config, service->shadow.shared, &reload->shadow);
}

static void begin(struct reload *reload)
{
    reload->is_wanted = false;
    reload->asking = reload->waiting;
    reload->waiting = NULL;
    if (!reload->service->policy_shared) {
        tell(reload, "there is no policy: the relay was started without one");
        return;
    }
    reload->began = clock_monotonic_ms();
    policy_shared_begin(reload->service->policy_shared);
    if (reload->shadow)
        policy_shared_begin(reload->service->shadow.shared);
    if (read_files(reload) == 0)
        post_all(reload, RELOAD_PREPARING, LETTER_PREPARE);
    else
        conclude(reload, reload->failure);
}

/* judge: every worker has answered PREPARE. */
static void judge(struct reload *reload)
{
    unsigned i = 0;
    while (i < workers_of(reload) && !reload->letters[i].failed)
        i++;
    if (i == workers_of(reload)) {
        post_all(reload, RELOAD_COMMITTING, LETTER_COMMIT);
        return;
    }
    view_copy(view_text(reload->letters[i].reason), reload->failure, sizeof reload->failure);
    post_all(reload, RELOAD_ABORTING, LETTER_ABORT);
}

static void on_mail(void *owner)
{
    struct reload *reload = owner;
    for (const struct letter *letter = mail_take(&reload->mail); letter; letter = letter->next)
        reload->expected--;
    if (reload->expected)
        return;
    if (reload->phase == RELOAD_PREPARING)
        judge(reload);
    else if (reload->phase != RELOAD_IDLE)
        conclude(reload, reload->phase == RELOAD_ABORTING ? reload->failure : NULL);
    if (reload->phase == RELOAD_IDLE && reload->is_wanted)
        begin(reload);
}

/* look: files that changed, and stayed as they are from one look to the next: not before whoever writes them is done. */
static void look(struct reload *reload)
{
    const uint64_t shadow = reload->shadow ? policy_edition_stale(reload->shadow) : 0;
    const uint64_t now = policy_edition_stale(reload->edition) + 3 * shadow;
    const bool settled = now && now == reload->seen && now != reload->tried;
    reload->seen = now;
    if (!settled || reload->phase != RELOAD_IDLE)
        return;
    reload->tried = now;
    reload_ask(reload, NULL);
}

void reload_tick(struct reload *reload)
{
    if (!reload->service->policy_shared)
        return;
    sweep(reload);
    if (reload->service->config->policy_watch)
        look(reload);
}

int reload_open(struct reload *reload, struct service *service, struct loop *loop)
{
    const unsigned workers = service->config->workers;
    *reload = (struct reload){.service = service, .loop = loop, .edition = service->edition, .shadow = service->shadow.edition, .loaded_unix_ms = clock_unix_ms()};
    atomic_init(&reload->retired, 0);
    service->edition = service->shadow.edition = NULL;
    mail_init(&reload->mail, loop, on_mail, reload);
    reload->crypto = crypto_new();
    reload->letters = calloc(workers, sizeof *reload->letters);
    if (!reload->crypto || !reload->letters)
        return ERR_MEMORY;
    for (unsigned i = 0; i < workers; i++) {
        reload->letters[i].back = &reload->mail;
        reload->letters[i].retired = &reload->retired;
        worker_policy_state(service->workers[i], &reload->letters[i]);
    }
    return 0;
}

void reload_close(struct reload *reload)
{
    static const char stopping[] = "the relay is stopping";
    if (!reload->service)
        return;
    tell(reload, stopping);
    reload->asking = reload->waiting;
    tell(reload, stopping);
    mail_close(&reload->mail);
    policy_edition_free(reload->edition);
    policy_edition_free(reload->shadow);
    crypto_free(reload->crypto);
    free(reload->letters);
}

/* A reload that is asked for while the loop does something else begins when that is done: nobody is told from within his own call. */
void reload_ask(struct reload *reload, struct reload_asker *asker)
{
    if (asker) {
        asker->next = reload->waiting;
        reload->waiting = asker;
    }
    reload->is_wanted = true;
    if (reload->phase == RELOAD_IDLE)
        loop_wake(&reload->mail.wake);
}
