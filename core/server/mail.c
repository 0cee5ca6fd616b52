/* mail.c: a list to which any thread adds with one exchange, and which its reader takes whole. */
#include "server/mail.h"

void mail_init(struct mail *mail, struct loop *loop, void (*call)(void *owner), void *owner)
{
    atomic_init(&mail->posted, NULL);
    atomic_init(&mail->offers, 0);
    watch_wake(&mail->wake, loop, call, owner);
}

void mail_close(struct mail *mail)
{
    watch_stop(&mail->wake);
}

static void put(struct mail *mail, struct letter *letter)
{
    struct letter *newest = atomic_load_explicit(&mail->posted, memory_order_relaxed);
    do
        letter->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&mail->posted, &newest, letter, memory_order_release, memory_order_relaxed));
    if (!newest)
        loop_wake(&mail->wake);
}

void mail_post(struct mail *mail, struct letter *letter)
{
    letter->is_offer = false;
    put(mail, letter);
}

bool mail_offer(struct mail *mail, struct letter *letter)
{
    letter->is_offer = true;
    if (atomic_fetch_add_explicit(&mail->offers, 1, memory_order_relaxed) < MAIL_OFFERS_MAX) {
        put(mail, letter);
        return true;
    }
    atomic_fetch_sub_explicit(&mail->offers, 1, memory_order_relaxed);
    return false;
}

struct letter *mail_take(struct mail *mail)
{
    struct letter *newest = atomic_exchange_explicit(&mail->posted, NULL, memory_order_acquire), *oldest = NULL;
    while (newest) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
        if (oldest->is_offer)
            atomic_fetch_sub_explicit(&mail->offers, 1, memory_order_relaxed);
    }
    return oldest;
}
