/* roster.c: a question about allocations goes from worker to worker. */
#include "server/roster.h"

#include "base/err.h"
#include "server/worker.h"

#include <stdlib.h>

static void post(struct roster *roster)
{
    struct roster_letter *letter = roster->letter;
    letter->asker = roster->asking;
    letter->from = roster->place.index;
    letter->most = roster->left;
    letter->count = 0;
    letter->is_full = letter->is_end = false;
    worker_post(roster->service->workers[roster->place.worker], &letter->letter);
}

static void begin(struct roster *roster)
{
    struct roster_asker *asker = roster->waiting;
    roster->waiting = asker->next;
    roster->asking = asker;
    roster->place = asker->from;
    roster->left = asker->limit;
    post(roster);
}

static void end(struct roster *roster, const struct roster_place *next)
{
    struct roster_asker *asker = roster->asking;
    roster->asking = NULL;
    asker->told(asker, next, NULL);
}

/* goes_on: takes what a worker found; whether the letter must go on. Who has an id is on one worker alone, where the question begins. */
static bool goes_on(struct roster *roster)
{
    const struct roster_letter *letter = roster->letter;
    const unsigned last = roster->service->config->workers - 1;
    for (size_t i = 0; i < letter->count; i++)
        roster->asking->found(roster->asking, &letter->rows[i]);
    roster->left -= (unsigned)letter->count;
    roster->place.index = letter->from;
    if (letter->is_full) {
        end(roster, &roster->place);
        return false;
    }
    if ((letter->is_end && roster->place.worker == last) || (letter->asker->id && (letter->is_end || letter->count))) {
        end(roster, NULL);
        return false;
    }
    if (letter->is_end)
        roster->place = (struct roster_place){.worker = roster->place.worker + 1};
    return true;
}

static void on_mail(void *owner)
{
    struct roster *roster = owner;
    const bool came = mail_take(&roster->mail) != NULL;
    if (came && goes_on(roster))
        post(roster);
    if (!roster->asking && roster->waiting)
        begin(roster);
}

int roster_open(struct roster *roster, const struct service *service, struct loop *loop)
{
    *roster = (struct roster){.service = service};
    mail_init(&roster->mail, loop, on_mail, roster);
    roster->letter = malloc(sizeof *roster->letter);
    if (!roster->letter)
        return ERR_MEMORY;
    roster->letter->letter.kind = LETTER_ROSTER;
    roster->letter->back = &roster->mail;
    return 0;
}

void roster_close(struct roster *roster)
{
    if (!roster->service)
        return;
    if (roster->asking) {
        roster->asking->next = roster->waiting;
        roster->waiting = roster->asking;
    }
    for (struct roster_asker *each = roster->waiting, *next; each; each = next) {
        next = each->next;
        each->told(each, NULL, "the relay is stopping");
    }
    mail_close(&roster->mail);
    free(roster->letter);
}

void roster_ask(struct roster *roster, struct roster_asker *asker)
{
    struct roster_asker **at = &roster->waiting;
    while (*at)
        at = &(*at)->next;
    asker->next = NULL;
    *at = asker;
    if (!roster->asking)
        loop_wake(&roster->mail.wake);
}
