/* quota.c: limits are exact, for one thread and for many; units taken = units given back. */
#include "ledger/quota.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static struct quota_request ask(const char *tenant, const char *user)
{
    return (struct quota_request){.tenant = view_text(tenant), .user = view_text(user)};
}

static uint32_t user_count(const struct quota *quota, const char *tenant, const char *user)
{
    return quota_user(quota, view_text(tenant), view_text(user));
}

TEST(what_is_taken_is_counted_in_all_three_and_given_back_once)
{
    struct quota *quota = quota_new(8);
    const struct quota_request alice = ask("acme", "alice"), bob = ask("acme", "bob");
    struct quota_units a, b;
    CHECK(quota);
    CHECK_INT(quota_take(quota, &alice, &a), QUOTA_GRANTED);
    CHECK_INT(quota_take(quota, &bob, &b), QUOTA_GRANTED);
    CHECK(a.realm && b.realm);
    CHECK_INT(quota_total(quota), 2);
    CHECK_INT(quota_realm(quota, view_text("acme")), 2);
    CHECK_INT(user_count(quota, "acme", "alice"), 1);
    quota_give(quota, &a);
    CHECK(!a.realm);
    quota_give(quota, &a);
    CHECK_INT(quota_total(quota), 1);
    CHECK_INT(quota_realm(quota, view_text("acme")), 1);
    CHECK_INT(user_count(quota, "acme", "alice"), 0);
    CHECK_INT(user_count(quota, "acme", "bob"), 1);
    quota_give(quota, &b);
    CHECK_INT(quota_total(quota), 0);
    quota_free(quota);
}

TEST(each_limit_refuses_by_its_name_and_takes_nothing)
{
    static const struct {
        uint32_t total, realm, user;
        enum quota_refusal refusal;
        const char *name;
    } cases[] = {
        {2, 0, 0, QUOTA_TOTAL, "total_quota"}, {0, 2, 0, QUOTA_REALM, "realm_quota"}, {0, 0, 2, QUOTA_USER, "user_quota"},
        {2, 2, 3, QUOTA_REALM, "realm_quota"}, {2, 3, 2, QUOTA_USER, "user_quota"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quota *quota = quota_new(8);
        struct quota_request request = ask("acme", "alice");
        struct quota_units units[3];
        request.total_max = cases[i].total;
        request.realm_max = cases[i].realm;
        request.user_max = cases[i].user;
        CHECK_INT(quota_take(quota, &request, &units[0]), QUOTA_GRANTED);
        CHECK_INT(quota_take(quota, &request, &units[1]), QUOTA_GRANTED);
        CHECK_INT(quota_take(quota, &request, &units[2]), cases[i].refusal);
        CHECK_TEXT(quota_refusal_name(cases[i].refusal), cases[i].name);
        CHECK(!units[2].realm);
        quota_give(quota, &units[2]);
        CHECK_INT(quota_total(quota), 2);
        CHECK_INT(quota_realm(quota, view_text("acme")), 2);
        CHECK_INT(user_count(quota, "acme", "alice"), 2);
        quota_give(quota, &units[0]);
        CHECK_INT(quota_take(quota, &request, &units[2]), QUOTA_GRANTED);
        quota_free(quota);
    }
}

TEST(a_user_is_counted_within_its_tenant)
{
    struct quota *quota = quota_new(16);
    static const char *const names[][2] = {{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"abc", ""}, {"a", "a"}};
    struct quota_units units;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct quota_request request = ask(names[i][0], names[i][1]);
        request.user_max = 1;
        CHECK_INT(quota_take(quota, &request, &units), QUOTA_GRANTED);
        CHECK_INT(user_count(quota, names[i][0], names[i][1]), 1);
    }
    CHECK_INT(quota_realm(quota, view_text("a")), 2);
    CHECK_INT(user_count(quota, "b", "c"), 0);
    quota_free(quota);
}

TEST(the_table_holds_exactly_its_names_and_frees_one_with_its_last_unit)
{
    struct quota *quota = quota_new(3);
    const struct quota_request alice = ask("acme", "alice"), bob = ask("acme", "bob"), carol = ask("acme", "carol");
    const struct quota_request other = ask("zeta", "alice");
    struct quota_units a, a2, b, c, z;
    CHECK_INT(quota_take(quota, &alice, &a), QUOTA_GRANTED);
    CHECK_INT(quota_take(quota, &other, &z), QUOTA_FULL);
    CHECK_INT(quota_take(quota, &bob, &b), QUOTA_GRANTED);
    CHECK_INT(quota_take(quota, &carol, &c), QUOTA_FULL);
    CHECK_TEXT(quota_refusal_name(QUOTA_FULL), "quota_table_full");
    CHECK_INT(quota_take(quota, &alice, &a2), QUOTA_GRANTED);
    quota_give(quota, &a);
    CHECK_INT(quota_take(quota, &carol, &c), QUOTA_FULL);
    quota_give(quota, &a2);
    CHECK_INT(quota_take(quota, &carol, &c), QUOTA_GRANTED);
    CHECK_INT(quota_total(quota), 2);
    quota_free(quota);
}

TEST(a_refusal_by_the_total_keeps_no_name)
{
    struct quota *quota = quota_new(4);
    struct quota_request request = ask("acme", "alice");
    struct quota_units held, units;
    char user[16];
    request.total_max = 1;
    CHECK_INT(quota_take(quota, &request, &held), QUOTA_GRANTED);
    for (int i = 0; i < 100; i++) {
        snprintf(user, sizeof user, "user%d", i);
        request.user = view_text(user);
        CHECK_INT(quota_take(quota, &request, &units), QUOTA_TOTAL);
    }
    request.total_max = 0;
    CHECK_INT(quota_take(quota, &request, &units), QUOTA_GRANTED);
    quota_free(quota);
}

#define THREADS 8
#define ROUNDS 4000

/* What all threads of a test share: the limits, and how many units they hold by their own count. */
struct hammer {
    struct quota *quota;
    uint32_t total_max, realm_max, user_max;
    atomic_uint started, held, granted, wrong;
    atomic_uint user_held[4];
};

static bool hammer_take(struct hammer *hammer, unsigned turn, struct quota_units *units)
{
    static const char *const users[] = {"u0", "u1", "u2", "u3"};
    const unsigned user = turn % 4;
    struct quota_request request = ask("acme", users[user]);
    request.total_max = hammer->total_max;
    request.realm_max = hammer->realm_max;
    request.user_max = hammer->user_max;
    return quota_take(hammer->quota, &request, units) == QUOTA_GRANTED;
}

static void *hammer_run(void *arg)
{
    struct hammer *hammer = arg;
    const unsigned first = atomic_fetch_add(&hammer->started, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct quota_units units;
        const unsigned user = (first + i) % 4;
        if (!hammer_take(hammer, first + i, &units))
            continue;
        /* counted after the take and uncounted before the give: never more than what is really held */
        if (atomic_fetch_add(&hammer->held, 1) + 1 > hammer->total_max ||
            atomic_fetch_add(&hammer->user_held[user], 1) + 1 > hammer->user_max)
            atomic_fetch_add(&hammer->wrong, 1);
        atomic_fetch_sub(&hammer->user_held[user], 1);
        atomic_fetch_sub(&hammer->held, 1);
        quota_give(hammer->quota, &units);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run, arg), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

TEST(threads_that_take_and_give_never_hold_more_than_the_limits)
{
    struct hammer hammer = {.quota = quota_new(5), .total_max = 5, .realm_max = 6, .user_max = 2};
    run_threads(hammer_run, &hammer);
    CHECK_INT(atomic_load(&hammer.wrong), 0);
    CHECK_INT(quota_total(hammer.quota), 0);
    CHECK_INT(quota_realm(hammer.quota, view_text("acme")), 0);
    CHECK_INT(user_count(hammer.quota, "acme", "u0"), 0);
    quota_free(hammer.quota);
}

static void *grab_run(void *arg)
{
    struct hammer *hammer = arg;
    struct quota_units units;
    for (unsigned i = 0; i < 100; i++)
        if (hammer_take(hammer, i, &units))
            atomic_fetch_add(&hammer->granted, 1);
    return NULL;
}

TEST(threads_that_only_take_get_exactly_the_limit)
{
    static const struct {
        uint32_t total, realm, user, granted;
    } cases[] = {{50, 0, 0, 50}, {0, 50, 0, 50}, {0, 0, 7, 28}, {50, 40, 9, 36}, {0, 0, 0, 100 * THREADS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hammer hammer = {.quota = quota_new(5), .total_max = cases[i].total, .realm_max = cases[i].realm, .user_max = cases[i].user};
        run_threads(grab_run, &hammer);
        CHECK_INT(atomic_load(&hammer.granted), cases[i].granted);
        CHECK_INT(quota_total(hammer.quota), cases[i].granted);
        CHECK_INT(quota_realm(hammer.quota, view_text("acme")), cases[i].granted);
        quota_free(hammer.quota);
    }
}

/* Tenants of their own share no lock: only the total stands between them. All wait at the last unit, again and again. */
static void *rush_run(void *arg)
{
    struct hammer *hammer = arg;
    char tenant[24];
    snprintf(tenant, sizeof tenant, "tenant%u", atomic_fetch_add(&hammer->started, 1));
    struct quota_request request = ask(tenant, "user");
    request.total_max = hammer->total_max;
    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        struct quota_units units;
        const bool granted = quota_take(hammer->quota, &request, &units) == QUOTA_GRANTED;
        if (quota_total(hammer->quota) > hammer->total_max)
            atomic_fetch_add(&hammer->wrong, 1);
        if (granted)
            quota_give(hammer->quota, &units);
    }
    return NULL;
}

TEST(threads_of_different_tenants_never_hold_more_than_the_total)
{
    struct hammer hammer = {.quota = quota_new(2 * THREADS), .total_max = 1};
    run_threads(rush_run, &hammer);
    CHECK_INT(atomic_load(&hammer.wrong), 0);
    CHECK_INT(quota_total(hammer.quota), 0);
    quota_free(hammer.quota);
}

static void *churn_run(void *arg)
{
    struct hammer *hammer = arg;
    const unsigned self = atomic_fetch_add(&hammer->started, 1);
    struct quota_units units[16] = {{0}};
    char tenant[24], user[24];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(tenant, sizeof tenant, "t%u", i % 13);
        snprintf(user, sizeof user, "u%u.%u", self, i % 57);
        const struct quota_request request = ask(tenant, user);
        quota_give(hammer->quota, &units[i % 16]);
        if (quota_take(hammer->quota, &request, &units[i % 16]) != QUOTA_GRANTED)
            atomic_fetch_add(&hammer->wrong, 1);
    }
    for (size_t i = 0; i < 16; i++)
        quota_give(hammer->quota, &units[i]);
    return NULL;
}

TEST(names_that_come_and_go_leave_the_table_empty)
{
    struct hammer hammer = {.quota = quota_new(13 + 16 * THREADS)};
    struct quota_units units;
    char user[24];
    run_threads(churn_run, &hammer);
    CHECK_INT(atomic_load(&hammer.wrong), 0);
    CHECK_INT(quota_total(hammer.quota), 0);
    for (unsigned i = 0; i < 12 + 16 * THREADS; i++) { /* with their tenant they fill it */
        snprintf(user, sizeof user, "user%u", i);
        const struct quota_request request = ask("acme", user);
        CHECK_INT(quota_take(hammer.quota, &request, &units), QUOTA_GRANTED);
    }
    const struct quota_request request = ask("acme", "one too many");
    CHECK_INT(quota_take(hammer.quota, &request, &units), QUOTA_FULL);
    quota_free(hammer.quota);
}

TEST(without_memory_there_is_no_quota)
{
    test_fail_malloc_after(-1);
    quota_free(quota_new(100));
    const long needed = test_mallocs();
    CHECK(needed > 0);
    for (long n = 0; n < needed; n++) {
        test_fail_malloc_after(n);
        struct quota *quota = quota_new(100);
        test_fail_malloc_after(-1);
        CHECK(!quota);
    }
}

TEST(a_source_holds_units_beside_tenant_and_user)
{
    struct quota *quota = quota_new(100);
    struct quota_units units[4];
    const char *const users[] = {"ann", "bob", "cleo"};
    for (int i = 0; i < 3; i++) {
        const struct quota_request request = {
            .tenant = view_text("acme"), .user = view_text(users[i]), .source = view_text("198.18.0.1"), .source_max = 2};
        CHECK_INT(quota_take(quota, &request, &units[i]), i < 2 ? QUOTA_GRANTED : QUOTA_SOURCE);
    }
    CHECK(!units[2].realm);
    CHECK_INT(quota_source(quota, view_text("198.18.0.1")), 2);
    CHECK_INT(quota_realm(quota, view_text("acme")), 2);
    const struct quota_request other = {.tenant = view_text("acme"), .user = view_text("ann"), .source = view_text("198.18.0.1")};
    CHECK_INT(quota_take(quota, &other, &units[3]), QUOTA_GRANTED); /* it is not looked at without a limit */
    CHECK_INT(quota_source(quota, view_text("198.18.0.1")), 2);
    for (int i = 0; i < 4; i++)
        quota_give(quota, &units[i]);
    CHECK_INT(quota_source(quota, view_text("198.18.0.1")), 0);
    CHECK_INT(quota_total(quota), 0);
    quota_free(quota);
}

TEST_LIST(RUN(a_source_holds_units_beside_tenant_and_user) RUN(what_is_taken_is_counted_in_all_three_and_given_back_once) RUN(each_limit_refuses_by_its_name_and_takes_nothing)
              RUN(a_user_is_counted_within_its_tenant) RUN(the_table_holds_exactly_its_names_and_frees_one_with_its_last_unit)
                  RUN(a_refusal_by_the_total_keeps_no_name) RUN(threads_that_take_and_give_never_hold_more_than_the_limits)
                      RUN(threads_that_only_take_get_exactly_the_limit) RUN(threads_of_different_tenants_never_hold_more_than_the_total)
                          RUN(names_that_come_and_go_leave_the_table_empty) RUN(without_memory_there_is_no_quota))
