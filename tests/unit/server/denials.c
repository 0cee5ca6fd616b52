/* denials.c: what is remembered of refusals, and whose share it is. */
#include "server/explain.h"
#include "test.h"

#include <string.h>

static void put(struct denials *denials, unsigned host, uint64_t decision, bool is_proven)
{
    const struct flow flow = {
        .client = addr_v4((const uint8_t[]){10, 0, (uint8_t)(host >> 8), (uint8_t)host}, 5000), .sni = "", .alpn = ""};
    const struct event event = {.type = EVENT_DENIED,
                                .decision = decision,
                                .code = 486,
                                .hook = HOOK_COUNT,
                                .is_proven = is_proven,
                                .measure = {100, 100},
                                .reason = "realm_quota",
                                .by = "core",
                                .flow = &flow,
                                .tenant = "acme",
                                .realm = "r",
                                .user = "ann",
                                .username = view_text("eyJh.eyJz.c2ln")};
    denials_put(denials, &event, NULL, "-");
}

static bool any(const void *ctx, const struct denial *denial)
{
    (void)ctx;
    (void)denial;
    return true;
}

static bool of_host(const void *ctx, const struct denial *denial)
{
    return denial->client.ip[15] == *(const uint8_t *)ctx && denial->client.ip[14] == 0;
}

static struct denial found[DENIALS + 1];

TEST(the_last_one_comes_first_and_a_source_has_its_share)
{
    const uint8_t host = 1;
    struct denials *denials = denials_new(1);
    put(denials, 2, 1, true);
    for (uint64_t i = 2; i < 1000; i++)
        put(denials, 1, i, true);
    CHECK_INT(denials_find(denials, any, NULL, found, DENIALS), DENIALS_EACH + 1);
    CHECK_INT(found[0].decision, 999);
    CHECK_INT(found[DENIALS_EACH].decision, 1);
    CHECK_INT(denials_find(denials, of_host, &host, found, 3), 3);
    CHECK_INT(found[2].decision, 997);
    denials_free(denials);
}

TEST(many_sources_push_out_the_oldest_and_forged_ones_only_their_like)
{
    const uint8_t host = 7;
    struct denials *denials = denials_new(1);
    put(denials, 7, 1, true);
    for (unsigned i = 0; i < 20000; i++)
        put(denials, 256 + i, 2 + i, false);
    CHECK_INT(denials_find(denials, of_host, &host, found, DENIALS), 1);
    CHECK_INT(denials_find(denials, any, NULL, found, DENIALS), DENIALS / 8 + 1);
    for (unsigned i = 0; i < 20000; i++)
        put(denials, 256 + i, 30000 + i, true);
    CHECK_INT(denials_find(denials, any, NULL, found, DENIALS + 1), DENIALS);
    CHECK_INT(found[0].decision, 49999);
    CHECK_INT(denials_find(denials, of_host, &host, found, DENIALS), 0);
    denials_free(denials);
}

TEST(what_happened_is_told_in_words)
{
    char why[EXPLAIN_MAX];
    struct denials *denials = denials_new(200);
    put(denials, 1, 1, true);
    CHECK_INT(denials_find(denials, any, NULL, found, 1), 1);
    CHECK_TEXT(explain_why(&found[0], why), "tenant acme 100/100 held");
    CHECK_TEXT(explain_rule(&found[0]), "realm_quota");
    CHECK(strlen(explain_advice(&found[0])) > 0);
    CHECK_TEXT(found[0].username, "eyJh.eyJz.");
    strcpy(found[0].by, "p.lua:3");
    strcpy(found[0].reason, "no %t");
    found[0].hook = HOOK_authorize;
    CHECK_TEXT(explain_why(&found[0], why), "no %t (100 at once, then as the policy's rate has it)");
    found[0].measure = (struct gauge){0};
    CHECK_TEXT(explain_why(&found[0], why), "no %t");
    CHECK_TEXT(explain_rule(&found[0]), "authorize");
    denials_free(denials);
}

TEST(without_memory_nothing_is_remembered)
{
    for (int allowed = 0; allowed < 6; allowed++) {
        test_fail_malloc_after(allowed);
        struct denials *denials = denials_new(1);
        if (denials)
            put(denials, 1, 1, true);
        test_fail_malloc_after(-1);
        if (denials)
            CHECK(denials_find(denials, any, NULL, found, DENIALS) <= 1);
        denials_free(denials);
    }
}

TEST_LIST(RUN(the_last_one_comes_first_and_a_source_has_its_share) RUN(many_sources_push_out_the_oldest_and_forged_ones_only_their_like)
              RUN(what_happened_is_told_in_words) RUN(without_memory_nothing_is_remembered))
