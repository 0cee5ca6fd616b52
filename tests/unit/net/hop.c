/* to whom on its link a datagram goes; what a neighbour on a link is takes namespaces: tests/e2e/steering.py */
#include "loopback.h"
#include "net/hop.h"

TEST(what_stays_on_this_machine_is_the_systems)
{
    const struct hash_key key = {1, 2};
    struct hop_cache *hops = hop_cache_new(&key);
    struct hop hop = {.device = 7};
    const struct addr from = loopback(1, 1), to = loopback(2, 2);
    CHECK(hops);
    for (msec_t now = 5000; now < 9000; now += 400) {
        CHECK(!hop_find(hops, &from, &to, now, &hop));
        CHECK(!hop_find(hops, &from, &from, now, &hop));
    }
    hop_cache_free(hops);
}

TEST(an_address_to_which_there_is_no_way_likewise)
{
    const struct hash_key key = {1, 2};
    struct hop_cache *hops = hop_cache_new(&key);
    struct hop hop;
    const uint8_t nowhere[4] = {240, 0, 0, 1};
    const struct addr from = loopback(1, 1), to = addr_v4(nowhere, 2);
    CHECK(hops);
    for (msec_t now = 5000; now < 5000 + 2 * HOP_ASKS; now++) /* more often than it asks */
        CHECK(!hop_find(hops, &from, &to, now, &hop));
    hop_cache_free(hops);
}

TEST_LIST(RUN(what_stays_on_this_machine_is_the_systems) RUN(an_address_to_which_there_is_no_way_likewise))
