/* the mailbox of a thread: order, wake-ups, what clients may cause */
#include "server/mail.h"

#include "test.h"

#include <pthread.h>
#include <stdlib.h>

#define SENDERS 4u
#define EACH 20000u

struct numbered {
    struct letter letter;
    unsigned sender, number;
};

struct box {
    struct loop *loop;
    struct mail mail;
    unsigned calls, read, next[SENDERS];
    bool out_of_order;
};

static void read_all(void *owner)
{
    struct box *box = owner;
    box->calls++;
    for (struct letter *letter = mail_take(&box->mail), *next; letter; letter = next) {
        const struct numbered *numbered = (const struct numbered *)letter;
        next = letter->next;
        box->out_of_order |= numbered->number != box->next[numbered->sender]++;
        box->read++;
        free(letter);
    }
    if (box->read == SENDERS * EACH)
        loop_stop(box->loop);
}

static struct box *box_new(void)
{
    struct box *box = calloc(1, sizeof *box);
    box->loop = loop_new();
    mail_init(&box->mail, box->loop, read_all, box);
    return box;
}

static void box_free(struct box *box)
{
    mail_close(&box->mail);
    loop_free(box->loop);
    free(box);
}

static struct letter *numbered(unsigned sender, unsigned number)
{
    struct numbered *made = calloc(1, sizeof *made);
    made->sender = sender;
    made->number = number;
    return &made->letter;
}

struct sender {
    struct box *box;
    unsigned number;
    pthread_t thread;
};

static void *send_all(void *arg)
{
    const struct sender *sender = arg;
    for (unsigned i = 0; i < EACH; i++)
        mail_post(&sender->box->mail, numbered(sender->number, i));
    return NULL;
}

TEST(letters_of_many_threads_are_all_read_each_threads_in_order)
{
    struct box *box = box_new();
    struct sender senders[SENDERS];
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = box, .number = i};
        CHECK(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]) == 0);
    }
    loop_run(box->loop); /* a wake-up that were lost would leave it asleep: the test's limit would end it */
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    CHECK_INT(box->read, SENDERS * EACH);
    CHECK(!box->out_of_order);
    CHECK(box->calls <= SENDERS * EACH);
    CHECK(mail_take(&box->mail) == NULL);
    box_free(box);
}

TEST(offers_are_refused_beyond_the_limit_and_posts_are_not)
{
    struct box *box = box_new();
    for (unsigned i = 0; i < MAIL_OFFERS_MAX; i++)
        CHECK(mail_offer(&box->mail, numbered(0, i)));
    struct letter *more = numbered(0, MAIL_OFFERS_MAX);
    for (int i = 0; i < 10; i++)
        CHECK(!mail_offer(&box->mail, more));
    mail_post(&box->mail, more);
    read_all(box);
    CHECK_INT(box->read, MAIL_OFFERS_MAX + 1);
    CHECK(!box->out_of_order);
    CHECK(mail_offer(&box->mail, numbered(0, MAIL_OFFERS_MAX + 1)));
    read_all(box);
    CHECK(!box->out_of_order);
    box_free(box);
}

TEST_LIST(RUN(letters_of_many_threads_are_all_read_each_threads_in_order) RUN(offers_are_refused_beyond_the_limit_and_posts_are_not))
