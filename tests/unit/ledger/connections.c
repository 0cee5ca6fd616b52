/* connections.c: an id leads to its worker until it is forgotten. */
#include "ledger/connections.h"
#include "base/err.h"
#include "test.h"

TEST(an_id_leads_to_its_worker_until_it_is_forgotten)
{
    struct connections *connections = connections_new(4);
    uint32_t id;
    unsigned worker = 99;
    CHECK_INT(connections_issue(connections, 2, &id), 0);
    CHECK(id != 0);
    CHECK(connections_find(connections, id, &worker));
    CHECK_INT(worker, 2);
    CHECK(!connections_find(connections, id + 1, &worker));
    CHECK(!connections_find(connections, 0, &worker));
    connections_forget(connections, id);
    connections_forget(connections, id); /* harmless */
    CHECK(!connections_find(connections, id, &worker));
    connections_free(connections);
}

TEST(a_full_table_issues_no_more_and_every_place_comes_back)
{
    struct connections *connections = connections_new(3);
    uint32_t ids[4];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            CHECK_INT(connections_issue(connections, 0, &ids[i]), 0);
        CHECK_INT(connections_issue(connections, 0, &ids[3]), ERR_BUSY);
        CHECK_INT(connections_count(connections), 3);
        for (int i = 0; i < 3; i++)
            connections_forget(connections, ids[i]);
        CHECK_INT(connections_count(connections), 0);
    }
    connections_free(connections);
}

TEST(ids_are_spread_over_all_32_bits)
{
    struct connections *connections = connections_new(1000);
    uint32_t id, ones = 0, zeroes = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(connections_issue(connections, 0, &id), 0);
        ones |= id;
        zeroes |= ~id;
    }
    CHECK(ones == UINT32_MAX && zeroes == UINT32_MAX);
    connections_free(connections);
}

TEST(without_memory_there_is_none)
{
    test_fail_malloc_after(0);
    CHECK(connections_new(10) == NULL);
    test_fail_malloc_after(-1);
    connections_free(NULL);
}

TEST_LIST(RUN(an_id_leads_to_its_worker_until_it_is_forgotten) RUN(a_full_table_issues_no_more_and_every_place_comes_back)
              RUN(ids_are_spread_over_all_32_bits) RUN(without_memory_there_is_none))
