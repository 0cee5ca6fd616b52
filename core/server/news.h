/* news.h: what happens, told from any thread to main: who was there and who was refused, what was revoked, what comes to its end.
 *
 * A kind is a row of one table: its name, what its detail has, who gets it. Telling takes no lock, no memory and no time of anybody's: it
 * is a copy into one of NEWS_SLOTS places, and what finds none is lost, counted, and told as NEWS_GAP. Main takes all that has come a few
 * times in a tenth of a second and passes it on to who listens, in the order of the places: that of time, of each thread.
 *
 * Whose it is: of a tenant; "*": of all; "": the operator's alone.
 */
#ifndef RELAY_SERVER_NEWS_H
#define RELAY_SERVER_NEWS_H

#include "base/bytes.h"
#include "net/loop.h"
#include "turn/verdict.h"

#include <jansson.h>
#include <stdio.h>

#define NEWS_SLOTS 2048 /* a power of two */
#define NEWS_VALUES_MAX 10
#define NEWS_TEXT_MAX 704 /* of all texts of one: more is cut */
#define NEWS_ALL "*"
#define NEWS_OPERATOR ""

enum news_kind {
    NEWS_ALLOCATION_OPENED,
    NEWS_ALLOCATION_CLOSED,
    NEWS_ALLOCATION_REFUSED,
    NEWS_QUOTA_WARNING,
    NEWS_QUOTA_FULL,
    NEWS_CREDENTIAL_REVOKED,
    NEWS_KEY_REVOKED,
    NEWS_TENANT_DISABLED,
    NEWS_NODE_DRAINING,
    NEWS_CERTIFICATE_EXPIRING,
    NEWS_POLICY_RELOADED,
    NEWS_CERTIFICATES_RELOADED,
    NEWS_WEBHOOK_DEAD,
    NEWS_WEBHOOK_TEST,
    NEWS_GAP,
    NEWS_STATS,
    NEWS_KINDS
};

/* struct news_row: a kind. The names of its detail are in the order in which they are told; # before one: a number, else a text. */
struct news_row {
    const char *name;
    bool to_hooks;     /* webhooks may have it */
    bool is_asked_for; /* a stream has it only if it names it */
    unsigned rate;     /* so many in a second, others are lost: clients can make as many as they like; 0: all */
    const char *detail[NEWS_VALUES_MAX + 1];
    const char *help; /* whose it is is part of it */
};
#define NEWS_HOOK_TYPES                                                                                                                    \
    "quota.warning|quota.full|credential.revoked|key.revoked|tenant.disabled|node.draining|certificate.expiring" /* those `to_hooks` */
const struct news_row *news_row(enum news_kind);
enum news_kind news_find(struct view name); /* NEWS_KINDS: there is none */

/* struct news_value: a text, never NULL, or a number, as the row has it. */
struct news_value {
    const char *text;
    int64_t number;
};
#define NEWS_TEXT(value)                                                                                                                   \
    (struct news_value)                                                                                                                    \
    {                                                                                                                                      \
        .text = (value)                                                                                                                    \
    }
#define NEWS_NUMBER(value)                                                                                                                 \
    (struct news_value)                                                                                                                    \
    {                                                                                                                                      \
        .number = (int64_t)(value)                                                                                                         \
    }

/* NEWS: the values of a detail, all that its row names, as the last two arguments of news_tell. */
#define NEWS(...) (const struct news_value[]){__VA_ARGS__}, sizeof((const struct news_value[]){__VA_ARGS__}) / sizeof(struct news_value)

struct news;

struct news *news_new(void); /* NULL without memory */
void news_free(struct news *);

/* news_tell: something happened. Any thread; never waits. NULL: nobody wants to know.
 * news_tell(news, NEWS_KEY_REVOKED, tenant, NEWS(NEWS_TEXT(id), NEWS_TEXT(who))); */
void news_tell(struct news *, enum news_kind, const char *tenant, const struct news_value *, size_t count);

/* struct news_item: what was told, at main; borrowed. No other has its id, of any start. */
#define NEWS_ID_MAX 48
struct news_item {
    enum news_kind kind;
    char id[NEWS_ID_MAX];
    int64_t unix_ms;
    const char *tenant;
    struct news_value values[NEWS_VALUES_MAX];
};

/* struct news_kept: a copy that lasts, of an item that is its own.  news_keep: makes it. */
struct news_kept {
    struct news_item item;
    char tenant[NAME_MAX_LEN + 1], text[NEWS_TEXT_MAX];
};
void news_keep(struct news_kept *, const struct news_item *);

/* news_json: {"id", "type", "timestamp", "tenant", "data"}: what streams and webhooks carry; NULL without memory. */
json_t *news_json(const struct news_item *);

/* news_serve: who listens, on main's loop, from now on; before other threads tell. news_flush: what has come is passed on now. news_close:
 * what has come is passed on a last time; other threads have ended. */
typedef void news_fn(void *ctx, const struct news_item *);
void news_serve(struct news *, struct loop *, news_fn *, void *ctx);
void news_flush(struct news *);
void news_close(struct news *);

/* news_describe: core/EVENTS.md. */
void news_describe(FILE *);

/* struct news_counts: told: passed on, by kind; lost: found no place, or were more than their rate. Main's. */
struct news_counts {
    uint64_t told[NEWS_KINDS], lost;
};
struct news_counts news_counts(const struct news *);

#endif
