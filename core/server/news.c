/* news.c: the table of kinds, and a ring of places: each has a number that says whose turn it is, a teller's or main's. */
#include "server/news.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GATHER_MS 20

static const struct news_row rows[NEWS_KINDS] = {
    [NEWS_ALLOCATION_OPENED] = {"allocation.opened",
                                .detail = {"allocation", "user", "room", "tag", "credential", "transport", "client", "relay"},
                                .help = "An allocation was made; `room` is its label, or its group, `tag` its label, or its user"},
    [NEWS_ALLOCATION_CLOSED] = {"allocation.closed",
                                .detail = {"allocation", "user", "room", "tag", "credential", "reason", "by", "#seconds", "#bytes_in",
                                           "#bytes_out"},
                                .help = "An allocation ended: why, by whom, what it relayed"},
    [NEWS_ALLOCATION_REFUSED] = {"allocation.refused", .rate = 200,
                                 .detail = {"decision", "user", "method", "#code", "reason", "by", "transport", "client"},
                                 .help = "A request of a client whose address is his own was refused; `relay explain --decision` says "
                                         "more. At most 200 a second are told"},
    [NEWS_QUOTA_WARNING] = {"quota.warning", .to_hooks = true, .detail = {"limit", "#used", "#most", "action"},
                            .help = "80 % of a limit of a tenant are used: `max_allocations`, or `month_bytes` with its action"},
    [NEWS_QUOTA_FULL] = {"quota.full", .to_hooks = true, .detail = {"limit", "#used", "#most", "action"}, .help = "All of it is used"},
    [NEWS_CREDENTIAL_REVOKED] = {"credential.revoked", .to_hooks = true, .detail = {"what", "name", "by"},
                                 .help = "A revocation: of a credential, a tag, a user, a key, or a whole tenant"},
    [NEWS_KEY_REVOKED] = {"key.revoked", .to_hooks = true, .detail = {"key", "by"},
                          .help = "A key of the admin door opens nothing any more"},
    [NEWS_TENANT_DISABLED] = {"tenant.disabled", .to_hooks = true, .detail = {"by"},
                              .help = "A tenant was disabled: its clients are refused"},
    [NEWS_NODE_DRAINING] = {"node.draining", .to_hooks = true, .detail = {"#deadline", "sibling"},
                            .help = "The node takes nobody any more, and ends at `deadline` (Unix time); tenant `*`"},
    [NEWS_CERTIFICATE_EXPIRING] = {"certificate.expiring", .to_hooks = true, .detail = {"file", "#expires", "#days"},
                                   .help = "A certificate ends within 14 days (at the start, when it is read, every day); of the operator"},
    [NEWS_POLICY_RELOADED] = {"policy.reloaded", .detail = {"revision"}, .help = "All workers have other policies; of the operator"},
    [NEWS_CERTIFICATES_RELOADED] = {"certificates.reloaded", .detail = {"#count"},
                                    .help = "The certificates were read anew; of the operator"},
    [NEWS_WEBHOOK_DEAD] = {"webhook.dead", .detail = {"webhook", "event", "reason"},
                           .help = "An event for a webhook was not taken in three days, and is given up"},
    [NEWS_WEBHOOK_TEST] = {"webhook.test", .detail = {"webhook", "by"},
                           .help = "Somebody asked for a test of a webhook, which alone is told"},
    [NEWS_GAP] = {"gap", .detail = {"why"},
                  .help = "Events are missing here: `busy`: too many came at once; `late`: they are no longer remembered; `restart`: the "
                          "relay was started anew. Whatever is asked for, everybody is told; tenant `*`"},
    [NEWS_STATS] = {"stats", .is_asked_for = true,
                    .help = "Numbers by tenant, every second, to who asks for `stats`: `seconds` that rates are of, and `tenants`: `held`, "
                            "`active`, `bps_in`, `bps_out`, `bytes_in`, `bytes_out`, `month_bytes`, `refused`"},
};

/* struct slot: `turn` is its number in the ring: a teller may have it; one more: main may; a round more: the next teller. */
struct slot {
    _Atomic uint64_t turn;
    enum news_kind kind;
    int64_t unix_ms;
    int64_t numbers[NEWS_VALUES_MAX];
    char tenant[NAME_MAX_LEN + 1];
    char text[NEWS_TEXT_MAX]; /* of the values that are one, each with its NUL */
};

struct news {
    struct slot *slots;
    _Atomic uint64_t tail; /* the next that a teller gets */
    _Atomic uint64_t lost;
    atomic_bool is_woken; /* main looks soon */
    /* main's */
    struct loop *loop; /* NULL: nobody listens yet, or any more; does not change while others tell */
    struct watch wake, gathered;
    news_fn *each;
    void *ctx;
    int64_t started_ms;
    uint64_t number, head, told_lost;
    struct news_counts counts;
    int64_t second;
    unsigned in_second[NEWS_KINDS];
};

const struct news_row *news_row(enum news_kind kind)
{
    return &rows[kind];
}

enum news_kind news_find(struct view name)
{
    unsigned kind = 0;
    while (kind < NEWS_KINDS && !view_equal(view_text(rows[kind].name), name))
        kind++;
    return (enum news_kind)kind;
}

static size_t detail_count(const struct news_row *row)
{
    size_t count = 0;
    while (row->detail[count])
        count++;
    return count;
}

static bool is_text(const struct news_row *row, size_t i)
{
    return *row->detail[i] != '#';
}

struct news *news_new(void)
{
    struct news *news = calloc(1, sizeof *news);
    struct slot *slots = news ? calloc(NEWS_SLOTS, sizeof *slots) : NULL;
    if (!slots) {
        free(news);
        return NULL;
    }
    news->slots = slots;
    news->started_ms = clock_unix_ms();
    for (uint64_t i = 0; i < NEWS_SLOTS; i++)
        atomic_init(&slots[i].turn, i);
    return news;
}

void news_free(struct news *news)
{
    if (!news)
        return;
    free(news->slots);
    free(news);
}

/* ---- telling ---- */

/* claim: the next place, whose turn is *at; NULL: all are full. */
static struct slot *claim(struct news *news, uint64_t *at)
{
    *at = atomic_load_explicit(&news->tail, memory_order_relaxed);
    for (;;) {
        struct slot *slot = &news->slots[*at & (NEWS_SLOTS - 1)];
        const uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn < *at)
            return NULL;
        if (turn > *at)
            *at = atomic_load_explicit(&news->tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&news->tail, at, *at + 1, memory_order_relaxed, memory_order_relaxed))
            return slot;
    }
}

static void fill(struct slot *slot, const struct news_row *row, const struct news_value *values, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        slot->numbers[i] = values[i].number;
        if (!is_text(row, i))
            continue;
        const size_t room = sizeof slot->text - len - (count - i); /* a NUL is left for each of the others */
        view_copy(view_text(values[i].text), slot->text + len, room);
        len += strlen(slot->text + len) + 1;
    }
}

static void wake(struct news *news)
{
    if (!atomic_exchange_explicit(&news->is_woken, true, memory_order_seq_cst) && news->loop)
        loop_wake(&news->wake);
}

void news_tell(struct news *news, enum news_kind kind, const char *tenant, const struct news_value *values, size_t count)
{
    uint64_t at;
    if (!news)
        return;
    assert(count == detail_count(&rows[kind]));
    struct slot *slot = claim(news, &at);
    if (!slot) {
        atomic_fetch_add_explicit(&news->lost, 1, memory_order_relaxed);
        wake(news);
        return;
    }
    slot->kind = kind;
    slot->unix_ms = clock_unix_ms();
    view_copy(view_text(tenant), slot->tenant, sizeof slot->tenant);
    fill(slot, &rows[kind], values, count);
    atomic_store_explicit(&slot->turn, at + 1, memory_order_release);
    wake(news);
}

/* ---- passing on ---- */

/* is_within: whether the second has room for one more of the kind. */
static bool is_within(struct news *news, const struct news_item *item)
{
    const unsigned rate = rows[item->kind].rate;
    if (item->unix_ms / 1000 != news->second)
        memset(news->in_second, 0, sizeof news->in_second);
    news->second = item->unix_ms / 1000;
    return !rate || news->in_second[item->kind]++ < rate;
}

static void pass(struct news *news, struct news_item *item)
{
    snprintf(item->id, sizeof item->id, "evt_%llx_%llu", (unsigned long long)news->started_ms, (unsigned long long)++news->number);
    news->counts.told[item->kind]++;
    if (news->each)
        news->each(news->ctx, item);
}

static void read_slot(const struct slot *slot, struct news_item *out)
{
    const struct news_row *row = &rows[slot->kind];
    const char *text = slot->text;
    *out = (struct news_item){.kind = slot->kind, .unix_ms = slot->unix_ms, .tenant = slot->tenant};
    for (size_t i = 0; row->detail[i]; i++) {
        out->values[i].number = slot->numbers[i];
        if (!is_text(row, i))
            continue;
        out->values[i].text = text;
        text += strlen(text) + 1;
    }
}

/* The texts of an item fit: they came out of a slot. */
void news_keep(struct news_kept *kept, const struct news_item *item)
{
    const struct news_row *row = &rows[item->kind];
    size_t len = 0;
    kept->item = *item;
    kept->item.tenant = view_copy(view_text(item->tenant), kept->tenant, sizeof kept->tenant);
    for (size_t i = 0; row->detail[i]; i++) {
        if (!is_text(row, i))
            continue;
        kept->item.values[i].text = view_copy(view_text(item->values[i].text), kept->text + len, sizeof kept->text - len);
        len += strlen(item->values[i].text) + 1;
    }
}

/* tell_lost: behind what came before it, as far as that is known. */
static void tell_lost(struct news *news, uint64_t more)
{
    const uint64_t lost = atomic_load_explicit(&news->lost, memory_order_relaxed) - news->told_lost;
    struct news_item item = {.kind = NEWS_GAP, .unix_ms = clock_unix_ms(), .tenant = NEWS_ALL, .values = {NEWS_TEXT("busy")}};
    if (lost + more == 0)
        return;
    news->told_lost += lost;
    news->counts.lost += lost + more;
    pass(news, &item);
}

static void drain(struct news *news)
{
    uint64_t refused = 0;
    for (;; news->head++) {
        struct slot *slot = &news->slots[news->head & (NEWS_SLOTS - 1)];
        struct news_item item;
        if (atomic_load_explicit(&slot->turn, memory_order_acquire) != news->head + 1)
            break;
        read_slot(slot, &item);
        if (is_within(news, &item))
            pass(news, &item);
        else
            refused++;
        atomic_store_explicit(&slot->turn, news->head + NEWS_SLOTS, memory_order_release);
    }
    tell_lost(news, refused);
}

static void on_gathered(void *owner)
{
    struct news *news = owner;
    atomic_store_explicit(&news->is_woken, false, memory_order_seq_cst); /* first: what comes from now on wakes again */
    drain(news);
}

static void on_wake(void *owner)
{
    struct news *news = owner;
    watch_after(&news->gathered, news->loop, GATHER_MS, on_gathered, news);
}

void news_serve(struct news *news, struct loop *loop, news_fn *each, void *ctx)
{
    if (!news)
        return;
    news->each = each;
    news->ctx = ctx;
    news->loop = loop;
    watch_wake(&news->wake, loop, on_wake, news);
    if (atomic_load(&news->is_woken))
        loop_wake(&news->wake);
}

void news_flush(struct news *news)
{
    if (news)
        on_gathered(news);
}

void news_close(struct news *news)
{
    if (!news || !news->loop)
        return;
    watch_stop(&news->wake);
    watch_stop(&news->gathered);
    drain(news);
    news->each = NULL;
    news->loop = NULL;
}

struct news_counts news_counts(const struct news *news)
{
    return news ? news->counts : (struct news_counts){0};
}

/* ---- JSON ---- */

static json_t *text_of(const char *text)
{
    char clean[2 * NEWS_TEXT_MAX];
    return json_string(utf8_text(view_text(text), clean, sizeof clean));
}

static json_t *time_of(int64_t unix_ms)
{
    const time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    return json_sprintf("%s.%03dZ", text, (int)(unix_ms % 1000));
}

json_t *news_json(const struct news_item *item)
{
    const struct news_row *row = &rows[item->kind];
    json_t *data = json_object();
    for (size_t i = 0; row->detail[i]; i++) {
        if (is_text(row, i))
            json_object_set_new(data, row->detail[i], text_of(item->values[i].text));
        else
            json_object_set_new(data, row->detail[i] + 1, json_integer(item->values[i].number));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", item->id, "type", row->name, "timestamp", time_of(item->unix_ms), "tenant",
                     text_of(item->tenant), "data", data);
}

/* ---- core/EVENTS.md ---- */

static void describe(const struct news_row *row, FILE *out)
{
    fprintf(out, "| `%s` |", row->name);
    for (size_t i = 0; row->detail[i]; i++)
        fprintf(out, "%s`%s`", i ? ", " : " ", row->detail[i] + !is_text(row, i));
    fprintf(out, " | %s | %s |\n", row->to_hooks ? "yes" : "", row->help);
}

void news_describe(FILE *out)
{
    fputs("# Events\n\nWhat `GET /v1/events` and `relay events` tell, and webhooks. This page is made by `relay events --describe`; a test "
          "holds it against the "
          "program.\n\n"
          "An event is `{\"id\", \"type\", \"timestamp\", \"tenant\", \"data\"}`. Its id is the same wherever it is told. A tenant's key "
          "hears of its own tenant and of what has the tenant "
          "`*`; what is of the\noperator has the tenant \"\".\n\n"
          "| type | data | webhooks | when |\n|---|---|---|---|\n",
          out);
    for (unsigned i = 0; i < NEWS_KINDS; i++)
        describe(&rows[i], out);
    fputs("\n## Webhooks\n\n"
          "A webhook is posted the event as JSON, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it:\n\n"
          "| header | what |\n|---|---|\n"
          "| `webhook-id` | the event's id: the same in every attempt, so that who has seen it can leave it |\n"
          "| `webhook-timestamp` | when it was posted, in Unix seconds; refuse what is older than some minutes |\n"
          "| `webhook-signature` | `v1,` and Base64 of the HMAC-SHA256 of `ID.TIMESTAMP.BODY` under the secret: the bytes whose Base64 "
          "stands behind `whsec_` |\n\n"
          "2xx takes it. 410 ends the webhook. All else, a redirect too, is tried again after 1, 2, 10 and 30 seconds, 2, 10 and 30 "
          "minutes, 1, 3, 6, 12 and twice 24 hours; then it is given up "
          "(`webhook.dead`).\nEach event is told at least once, also through a crash of the relay; in no certain order. "
          "`examples/webhook.py` receives and verifies them.\n",
          out);
}
