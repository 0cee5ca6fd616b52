/* news: what any thread tells comes to main whole, in order, or is counted as lost */
#include "server/news.h"

#include "test.h"

#include <pthread.h>
#include <stdlib.h>

#define TELLERS 4u
#define EACH 20000u

struct ear {
    struct loop *loop;
    struct news *news;
    unsigned heard, wanted;
    int64_t next[TELLERS], lost;
    bool out_of_order, is_torn;
    char last[1024];
};

static void hear(void *ctx, const struct news_item *item)
{
    struct ear *ear = ctx;
    struct news_kept kept;
    news_keep(&kept, item);
    json_t *json = news_json(&kept.item);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(ear->last, sizeof ear->last, "%s", text);
    free(text);
    json_decref(json);
    ear->lost = (int64_t)news_counts(ear->news).lost;
    if (item->kind == NEWS_QUOTA_FULL) {
        const int64_t teller = item->values[1].number, number = item->values[2].number;
        ear->is_torn |= atoll(item->values[0].text) != number || atoll(item->values[3].text) != number;
        ear->out_of_order |= number < ear->next[teller];
        ear->next[teller] = number + 1;
        ear->heard++;
    }
    if (ear->heard + ear->lost >= ear->wanted)
        loop_stop(ear->loop);
}

static void ear_open(struct ear *ear, unsigned wanted)
{
    *ear = (struct ear){.loop = loop_new(), .news = news_new(), .wanted = wanted};
    news_serve(ear->news, ear->loop, hear, ear);
}

static void ear_close(struct ear *ear)
{
    news_close(ear->news);
    news_free(ear->news);
    loop_free(ear->loop);
}

struct teller {
    struct news *news;
    unsigned number;
};

static void *tell_many(void *arg)
{
    const struct teller *teller = arg;
    char text[16];
    for (unsigned i = 0; i < EACH; i++) {
        snprintf(text, sizeof text, "%u", i);
        news_tell(teller->news, NEWS_QUOTA_FULL, "acme",
                  NEWS(NEWS_TEXT(text), NEWS_NUMBER(teller->number), NEWS_NUMBER(i), NEWS_TEXT(text)));
    }
    return NULL;
}

TEST(many_threads_tell_and_each_is_heard_in_its_order_or_counted_as_lost)
{
    struct ear ear;
    pthread_t threads[TELLERS];
    struct teller tellers[TELLERS];
    ear_open(&ear, TELLERS * EACH);
    for (unsigned i = 0; i < TELLERS; i++) {
        tellers[i] = (struct teller){ear.news, i};
        pthread_create(&threads[i], NULL, tell_many, &tellers[i]);
    }
    loop_run(ear.loop);
    for (unsigned i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(!ear.out_of_order);
    CHECK(!ear.is_torn);
    CHECK_INT(ear.heard + ear.lost, TELLERS * EACH);
    CHECK(ear.heard >= NEWS_SLOTS);
    CHECK_INT(news_counts(ear.news).lost, ear.lost);
    CHECK_INT(news_counts(ear.news).told[NEWS_QUOTA_FULL], ear.heard);
    ear_close(&ear);
}

TEST(what_finds_no_place_is_told_as_a_gap)
{
    struct ear ear;
    ear_open(&ear, NEWS_SLOTS + 7);
    for (unsigned i = 0; i < NEWS_SLOTS + 7; i++)
        news_tell(ear.news, NEWS_QUOTA_FULL, "acme", NEWS(NEWS_TEXT("0"), NEWS_NUMBER(0), NEWS_NUMBER(0), NEWS_TEXT("0")));
    loop_run(ear.loop);
    CHECK_INT(ear.heard, NEWS_SLOTS);
    CHECK_INT(ear.lost, 7);
    CHECK(strstr(ear.last, "\"type\":\"gap\"") && strstr(ear.last, "\"tenant\":\"*\",\"data\":{\"why\":\"busy\"}"));
    ear_close(&ear);
}

TEST(refusals_beyond_their_rate_are_lost_and_counted)
{
    struct ear ear;
    const unsigned rate = news_row(NEWS_ALLOCATION_REFUSED)->rate;
    ear_open(&ear, UINT32_MAX);
    for (unsigned i = 0; i < 4 * rate; i++)
        news_tell(ear.news, NEWS_ALLOCATION_REFUSED, "acme",
                  NEWS(NEWS_TEXT("1"), NEWS_TEXT("eve"), NEWS_TEXT("ALLOCATE"), NEWS_NUMBER(403), NEWS_TEXT("no"), NEWS_TEXT("core"),
                       NEWS_TEXT("udp"), NEWS_TEXT("192.0.2.1:1")));
    news_close(ear.news);
    const uint64_t told = news_counts(ear.news).told[NEWS_ALLOCATION_REFUSED];
    CHECK(told >= rate && told <= 2 * rate); /* the second may have changed */
    CHECK_INT(ear.lost, 4 * rate - told);
    ear_close(&ear);
}

TEST(its_json_has_the_names_of_its_row)
{
    struct ear ear;
    ear_open(&ear, UINT32_MAX);
    news_tell(ear.news, NEWS_CREDENTIAL_REVOKED, "acme", NEWS(NEWS_TEXT("tag"), NEWS_TEXT("b\xf6se\x01\""), NEWS_TEXT("k1")));
    news_close(ear.news);
    CHECK(strstr(ear.last, "{\"id\":\"evt_") && strstr(ear.last, "_1\",\"type\":\"credential.revoked\",\"timestamp\":\"20"));
    CHECK(strstr(ear.last, "Z\",\"tenant\":\"acme\",\"data\":{\"what\":\"tag\",\"name\":\"b\xc3\xb6se\\u0001\\\"\",\"by\":\"k1\"}}"));
    ear_close(&ear);
}

TEST(texts_that_are_too_long_together_are_cut_and_none_is_missing)
{
    struct ear ear;
    char text[2 * NEWS_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ear_open(&ear, UINT32_MAX);
    news_tell(ear.news, NEWS_CREDENTIAL_REVOKED, text, NEWS(NEWS_TEXT("a"), NEWS_TEXT(text), NEWS_TEXT(text)));
    news_close(ear.news);
    CHECK(strstr(ear.last, "\"what\":\"a\",\"name\":\"xxx") && strstr(ear.last, "xxx\",\"by\":\"\"}}"));
    ear_close(&ear);
}

TEST(kinds_are_found_by_their_names)
{
    for (unsigned kind = 0; kind < NEWS_KINDS; kind++)
        CHECK_INT(news_find(view_text(news_row((enum news_kind)kind)->name)), kind);
    CHECK_INT(news_find(view_text("allocation")), NEWS_KINDS);
    CHECK_INT(news_find(view_text("")), NEWS_KINDS);
}

TEST(the_page_of_events_is_that_of_the_program)
{
    char *text = NULL, *page = test_file("core/EVENTS.md");
    size_t len;
    FILE *out = open_memstream(&text, &len);
    news_describe(out);
    fclose(out);
    if (!page || strcmp(text, page) != 0)
        test_failed(__FILE__, __LINE__, "core/EVENTS.md is another: build/relay events --describe > core/EVENTS.md");
    free(text);
    free(page);
}

TEST(nobody_may_want_to_know)
{
    news_tell(NULL, NEWS_KEY_REVOKED, "acme", NEWS(NEWS_TEXT("k"), NEWS_TEXT("w")));
    news_serve(NULL, NULL, hear, NULL);
    news_close(NULL);
    news_free(NULL);
    struct news *news = news_new();
    news_tell(news, NEWS_KEY_REVOKED, "acme", NEWS(NEWS_TEXT("k"), NEWS_TEXT("w")));
    news_close(news);
    news_free(news);
}

TEST_LIST(RUN(many_threads_tell_and_each_is_heard_in_its_order_or_counted_as_lost) RUN(what_finds_no_place_is_told_as_a_gap)
              RUN(refusals_beyond_their_rate_are_lost_and_counted) RUN(its_json_has_the_names_of_its_row)
                  RUN(texts_that_are_too_long_together_are_cut_and_none_is_missing) RUN(kinds_are_found_by_their_names)
                      RUN(nobody_may_want_to_know) RUN(the_page_of_events_is_that_of_the_program))
