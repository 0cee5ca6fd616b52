/* tenants.c: limits reach an entry once, in the order of the database; who holds one keeps it; nothing that was counted is lost. */
#include "ledger/tenants.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static bool tell(struct tenants *tenants, const char *name, uint64_t stamp, uint64_t max_active)
{
    const struct tenant_news news = {.limits = {.max_active = max_active, .tenant_bps = 8 * max_active}, .stamp = stamp};
    return tenants_tell(tenants, view_text(name), &news);
}

static struct tenant *take(struct tenants *tenants, const char *name)
{
    return tenants_take(tenants, view_text(name));
}

TEST(a_later_version_of_the_limits_wins_whoever_comes_first)
{
    struct tenants *tenants = tenants_new(4);
    CHECK(!tenants_knows(tenants, view_text("acme")));
    CHECK(tell(tenants, "acme", 7, 10));
    CHECK(tenants_knows(tenants, view_text("acme")));
    struct tenant *acme = take(tenants, "acme");
    const uint64_t version = acme->version, all = tenants_version(tenants);
    CHECK_INT(TENANT_LIMIT(acme, max_active), 10);
    CHECK_INT(acme->bps.most, 80);
    CHECK(tell(tenants, "acme", 6, 5));
    CHECK(tell(tenants, "acme", 7, 5));
    CHECK_INT(TENANT_LIMIT(acme, max_active), 10);
    CHECK(tell(tenants, "acme", 8, 10)); /* the same: nobody need look */
    CHECK(acme->version == version && tenants_version(tenants) == all);
    CHECK(tell(tenants, "acme", 9, 5));
    CHECK_INT(TENANT_LIMIT(acme, max_active), 5);
    CHECK(acme->version > version && tenants_version(tenants) > all);
    tenants_give(tenants, acme);
    tenants_free(tenants);
}

TEST(a_tenant_of_no_database_has_no_limits_until_it_is_told_some)
{
    struct tenants *tenants = tenants_new(4);
    struct tenant *acme = take(tenants, "acme");
    struct tenant_limits limits;
    tenant_limits(acme, &limits);
    CHECK(memcmp(&limits, &(struct tenant_limits){0}, sizeof limits) == 0);
    CHECK(tell(tenants, "acme", 1, 3));
    tenant_limits(acme, &limits);
    CHECK_INT(limits.max_active, 3);
    CHECK_INT(limits.tenant_bps, 24);
    tenants_give(tenants, acme);
    tenants_free(tenants);
}

TEST(a_place_is_given_up_only_by_who_holds_nothing_and_its_counts_are_nobodys_then)
{
    struct tenants *tenants = tenants_new(2);
    char name[TENANT_NAME_MAX + 1];
    struct tenant *a = take(tenants, "a"), *b = take(tenants, "b");
    CHECK(a && b && !take(tenants, "c") && !tell(tenants, "c", 1, 1));
    tenant_add(a, TENANT_BYTES_IN, 100);
    tenants_count(tenants, view_text("a"), TENANT_REFUSED, 2);
    tenants_count(tenants, view_text("nobody we know"), TENANT_REFUSED, 3);
    CHECK(tell(tenants, "a", 4, 4));
    tenants_give(tenants, a);
    struct tenant *c = take(tenants, "c");
    CHECK(c == a && c->held == 1 && c->counts[TENANT_BYTES_IN] == 0 && TENANT_LIMIT(c, max_active) == 0 && c->bps.most == 0);
    CHECK_INT(tenants_nobody(tenants)->counts[TENANT_BYTES_IN], 100);
    CHECK_INT(tenants_nobody(tenants)->counts[TENANT_REFUSED], 5);
    CHECK(!tenants_knows(tenants, view_text("a")));
    CHECK(tell(tenants, "c", 1, 1)); /* versions of another do not count */
    CHECK_INT(TENANT_LIMIT(c, max_active), 1);
    CHECK_INT(tenants_used(tenants), 2);
    CHECK(tenants_name(tenants, 0, name));
    CHECK_TEXT(name, "c");
    tenants_give(tenants, b);
    tenants_give(tenants, c);
    tenants_free(tenants);
}

TEST(a_name_that_is_too_long_has_no_place)
{
    struct tenants *tenants = tenants_new(2);
    char name[TENANT_NAME_MAX + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK(!take(tenants, name));
    name[TENANT_NAME_MAX] = 0;
    struct tenant *longest = take(tenants, name);
    CHECK(longest);
    CHECK_TEXT(longest->name, name);
    tenants_give(tenants, longest);
    tenants_free(tenants);
}

TEST(months_are_those_of_the_calendar)
{
    static const struct {
        int64_t unix_s, year, month;
    } rows[] = {
        {0, 1970, 1},           {2678399, 1970, 1},     {2678400, 1970, 2},     {951782399, 2000, 2},   {951868799, 2000, 2},
        {951868800, 2000, 3},   {1709251199, 2024, 2},  {1709251200, 2024, 3},  {1735689599, 2024, 12}, {1735689600, 2025, 1},
        {1795651200, 2026, 11}, {1796083199, 2026, 11}, {1796083200, 2026, 12}, {4107542399, 2100, 2},  {4107542400, 2100, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_INT(tenant_month(rows[i].unix_s * 1000), (rows[i].year - 1970) * 12 + rows[i].month - 1);
}

TEST(bytes_count_for_their_month_and_a_new_entry_goes_on_where_the_database_ends)
{
    struct tenants *tenants = tenants_new(2);
    const struct tenant_news news = {.limits = {.month_bytes = 1000}, .stamp = 1, .month = 682, .month_bytes = 900};
    CHECK(tenants_tell(tenants, view_text("acme"), &news));
    CHECK(tenants_tell(tenants, view_text("acme"), &news));
    struct tenant *acme = take(tenants, "acme");
    CHECK_INT(tenant_month_bytes(acme, 682), 900);
    CHECK(!tenant_is_over(acme, 682));
    tenant_month_add(tenants, acme, 682, 99);
    CHECK(!tenant_is_over(acme, 682));
    tenant_month_add(tenants, acme, 683, 50); /* another worker's clock is ahead */
    tenant_month_add(tenants, acme, 682, 1);
    CHECK(tenant_is_over(acme, 682));
    CHECK_INT(tenant_month_bytes(acme, 682), 1000);
    CHECK_INT(tenant_month_bytes(acme, 683), 50);
    tenant_month_add(tenants, acme, 684, 7);
    CHECK_INT(tenant_month_bytes(acme, 682), 0);
    CHECK_INT(tenant_month_bytes(acme, 684), 7);
    CHECK(!tenant_is_over(acme, 684));
    tenants_give(tenants, acme);
    tenants_free(tenants);
}

#define THREADS 4
#define TURNS 4000
#define MOST 3

struct crowd {
    struct tenants *tenants;
    atomic_uint woken, refused;
    atomic_bool exceeded;
};

static void *wake_and_rest(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < TURNS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i % 8);
        struct tenant *some = take(crowd->tenants, name), *acme = take(crowd->tenants, "acme");
        tell(crowd->tenants, "acme", (uint64_t)i + 2, MOST);
        if (tenant_wake(acme)) {
            if (atomic_load(&acme->active) > MOST)
                atomic_store(&crowd->exceeded, true);
            atomic_fetch_add(&crowd->woken, 1);
            tenant_add(acme, TENANT_PACKETS_IN, 1);
            tenant_month_add(crowd->tenants, acme, i / (TURNS / 2), 1);
            tenant_rest(acme);
        } else
            atomic_fetch_add(&crowd->refused, 1);
        tenants_give(crowd->tenants, acme);
        if (some)
            tenants_give(crowd->tenants, some);
    }
    return NULL;
}

TEST(many_threads_never_hold_more_than_may_be_active_and_lose_no_count)
{
    struct crowd crowd = {.tenants = tenants_new(6)};
    pthread_t threads[THREADS];
    CHECK(tell(crowd.tenants, "acme", 1, MOST));
    struct tenant *acme = take(crowd.tenants, "acme");
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, wake_and_rest, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(!atomic_load(&crowd.exceeded));
    CHECK_INT(crowd.woken + crowd.refused, THREADS * TURNS);
    CHECK_INT(acme->counts[TENANT_PACKETS_IN], crowd.woken);
    CHECK_INT(acme->active, 0);
    CHECK_INT(acme->held, 1);
    CHECK_INT(tenant_month_bytes(acme, 0) + tenant_month_bytes(acme, 1), crowd.woken);
    tenants_give(crowd.tenants, acme);
    for (uint32_t i = 0; i < tenants_used(crowd.tenants); i++)
        CHECK_INT(tenants_at(crowd.tenants, i)->held, 0);
    tenants_free(crowd.tenants);
}

TEST(without_memory_there_are_no_tenants_and_no_more_of_them)
{
    test_fail_malloc_after(-1);
    tenants_free(tenants_new(2));
    const long needed = test_mallocs();
    CHECK(needed > 0);
    for (long n = 0; n < needed; n++) {
        test_fail_malloc_after(n);
        struct tenants *tenants = tenants_new(2);
        test_fail_malloc_after(-1);
        CHECK(!tenants);
    }
    struct tenants *tenants = tenants_new(2);
    test_fail_malloc_after(0);
    CHECK(!take(tenants, "a") && !take(tenants, "b"));
    test_fail_malloc_after(-1);
    struct tenant *a = take(tenants, "a"), *b = take(tenants, "b"); /* the places were not lost */
    CHECK(a && b && a != b);
    tenants_give(tenants, a);
    tenants_give(tenants, b);
    tenants_free(tenants);
}

TEST_LIST(RUN(a_later_version_of_the_limits_wins_whoever_comes_first) RUN(a_tenant_of_no_database_has_no_limits_until_it_is_told_some)
              RUN(a_place_is_given_up_only_by_who_holds_nothing_and_its_counts_are_nobodys_then) RUN(a_name_that_is_too_long_has_no_place)
                  RUN(months_are_those_of_the_calendar) RUN(bytes_count_for_their_month_and_a_new_entry_goes_on_where_the_database_ends)
                      RUN(many_threads_never_hold_more_than_may_be_active_and_lose_no_count)
                          RUN(without_memory_there_are_no_tenants_and_no_more_of_them))
