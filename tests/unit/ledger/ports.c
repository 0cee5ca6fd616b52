/* ports.c: every port once, pairs together, spread at random, from many threads. */
#include "ledger/ports.h"
#include "base/err.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state ^ *state >> 16;
}

TEST(every_port_of_a_range_is_handed_out_once_whatever_the_random_number)
{
    static const uint16_t ranges[][2] = {{1, 65535}, {49152, 65535}, {50000, 50009}, {63, 64},  {64, 127},
                                         {65, 126},  {1000, 1000},   {1001, 1001},   {0, 65535}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const uint16_t first = ranges[i][0], last = ranges[i][1];
        struct ports *ports = ports_new(1, first, last);
        uint32_t state = 7;
        uint16_t port;
        CHECK_INT(ports_free_count(ports, 0), last - first + 1);
        for (uint32_t n = first; n <= last; n++) { /* each take finds a port that was free before */
            CHECK_INT(ports_take(ports, 0, PORTS_ANY, next_random(&state), &port), 0);
            CHECK(port >= first && port <= last);
            CHECK_INT(ports_free_count(ports, 0), last - n);
            if (n == first + 200u && last - first > 1000)
                n = last; /* enough of a large range */
        }
        ports_free(ports);
    }
}

TEST(a_full_range_is_busy_until_a_port_is_given_back)
{
    struct ports *ports = ports_new(2, 50000, 50129);
    uint16_t port;
    for (uint32_t i = 0; i < 130; i++)
        CHECK_INT(ports_take(ports, 1, PORTS_ANY, i * 77, &port), 0);
    for (uint32_t i = 0; i < 500; i++)
        CHECK_INT(ports_take(ports, 1, PORTS_ANY, i, &port), ERR_BUSY);
    CHECK_INT(ports_free_count(ports, 1), 0);
    CHECK_INT(ports_free_count(ports, 0), 130);
    ports_give(ports, 1, 50100);
    CHECK(!ports_is_taken(ports, 1, 50100));
    for (uint32_t start = 0; start < 130; start++) {
        CHECK_INT(ports_take(ports, 1, PORTS_ANY, start, &port), 0);
        CHECK_INT(port, 50100);
        CHECK(ports_is_taken(ports, 1, 50100));
        ports_give(ports, 1, port);
    }
    ports_free(ports);
}

TEST(addresses_have_ports_of_their_own)
{
    struct ports *ports = ports_new(3, 50000, 50000);
    uint16_t port;
    for (uint32_t address = 0; address < 3; address++) {
        CHECK_INT(ports_take(ports, address, PORTS_ANY, 1, &port), 0);
        CHECK_INT(port, 50000);
        CHECK_INT(ports_take(ports, address, PORTS_ANY, 1, &port), ERR_BUSY);
    }
    ports_free(ports);
}

TEST(an_even_port_leaves_its_sibling_free)
{
    struct ports *ports = ports_new(1, 50001, 50010);
    uint16_t port;
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_INT(ports_take(ports, 0, PORTS_EVEN, i * 3, &port), 0);
        CHECK_INT(port % 2, 0);
    }
    CHECK_INT(ports_take(ports, 0, PORTS_EVEN, 3, &port), ERR_BUSY);
    CHECK_INT(ports_free_count(ports, 0), 5);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_INT(ports_take(ports, 0, PORTS_ANY, i * 3, &port), 0);
        CHECK_INT(port % 2, 1);
    }
    ports_free(ports);
}

TEST(a_pair_is_an_even_port_and_the_next_both_taken)
{
    struct ports *ports = ports_new(1, 50001, 50130); /* whole pairs: 50002..50129 */
    uint16_t port;
    for (uint32_t i = 0; i < 64; i++) {
        CHECK_INT(ports_take(ports, 0, PORTS_PAIR, i * 31, &port), 0);
        CHECK_INT(port % 2, 0);
        CHECK(ports_is_taken(ports, 0, port) && ports_is_taken(ports, 0, (uint16_t)(port + 1)));
        CHECK_INT(ports_free_count(ports, 0), 130 - 2 * (i + 1));
    }
    CHECK_INT(ports_take(ports, 0, PORTS_PAIR, 9, &port), ERR_BUSY);
    CHECK(!ports_is_taken(ports, 0, 50001) && !ports_is_taken(ports, 0, 50130));
    ports_give(ports, 0, 50063);
    CHECK_INT(ports_take(ports, 0, PORTS_PAIR, 9, &port), ERR_BUSY);
    ports_give(ports, 0, 50062);
    CHECK_INT(ports_take(ports, 0, PORTS_PAIR, 9, &port), 0);
    CHECK_INT(port, 50062);
    ports_free(ports);
}

TEST(a_port_outside_the_range_is_never_taken)
{
    struct ports *ports = ports_new(1, 50001, 50062);
    CHECK(!ports_is_taken(ports, 0, 50000));
    CHECK(!ports_is_taken(ports, 0, 50063));
    CHECK(!ports_is_taken(ports, 0, 1));
    CHECK(!ports_is_taken(ports, 0, 65535));
    ports_free(ports);
}

/* hold_for: some allocation of the group holds the port. */
static void hold_for(struct ports *ports, uint32_t address, uint16_t port, uint64_t group)
{
    ports_hold(ports, address, port, &(struct port_hold){group, {1, {port, 1}}});
}

TEST(who_holds_a_port_is_known_by_the_group_until_it_is_given_back)
{
    struct ports *ports = ports_new(2, 50001, 50130);
    static const uint16_t edges[] = {50001, 50063, 50064, 50130};
    uint16_t port;
    while (ports_take(ports, 0, PORTS_ANY, 7, &port) == 0 && ports_take(ports, 1, PORTS_ANY, 7, &port) == 0)
        CHECK_INT(ports_group(ports, 0, port), GROUP_NOBODY); /* taken is not held */
    for (uint64_t i = 0; i < 4; i++) {
        hold_for(ports, 0, edges[i], GROUP_OPEN + 2 * i);
        hold_for(ports, 1, edges[i], UINT64_MAX - i);
    }
    for (uint64_t i = 0; i < 4; i++) {
        CHECK_INT(ports_group(ports, 0, edges[i]), GROUP_OPEN + 2 * i);
        CHECK(ports_group(ports, 1, edges[i]) == UINT64_MAX - i);
        ports_give(ports, 0, edges[i]);
        CHECK_INT(ports_group(ports, 0, edges[i]), GROUP_NOBODY);
        CHECK(ports_group(ports, 1, edges[i]) == UINT64_MAX - i);
    }
    CHECK_INT(ports_take(ports, 0, PORTS_ANY, 0, &port), 0);
    CHECK_INT(ports_group(ports, 0, port), GROUP_NOBODY); /* the next one does not inherit it */
    static const uint16_t outside[] = {0, 80, 50000, 50131, 65535};
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(ports_group(ports, 1, outside[i]), GROUP_NOBODY);
    ports_free(ports);
}

TEST(who_holds_a_port_is_known_by_name_until_it_is_given_back)
{
    static const struct holder holders[] = {{0, {0, 1}},
                                            {HOLDER_WORKERS - 1, {HOLDER_ALLOCATIONS - 1, UINT32_MAX}},
                                            {1, {HOLDER_ALLOCATIONS - 1, 1}},
                                            {HOLDER_WORKERS - 1, {0, 1}}};
    struct ports *ports = ports_new(2, 50001, 50004);
    struct holder found;
    uint16_t port;
    while (ports_take(ports, 1, PORTS_ANY, 0, &port) == 0) /* taken is not held */
        CHECK(!ports_holder(ports, 1, port, &found));
    for (uint16_t i = 0; i < 4; i++)
        ports_hold(ports, 1, (uint16_t)(50001 + i), &(struct port_hold){GROUP_OPEN, holders[i]});
    for (uint16_t i = 0; i < 4; i++) {
        port = (uint16_t)(50001 + i);
        CHECK(ports_holder(ports, 1, port, &found));
        CHECK_INT(found.worker, holders[i].worker);
        CHECK_INT(found.allocation.index, holders[i].allocation.index);
        CHECK_INT(found.allocation.generation, holders[i].allocation.generation);
        CHECK(!ports_holder(ports, 0, port, &found));
        ports_give(ports, 1, port);
        CHECK(!ports_holder(ports, 1, port, &found));
    }
    CHECK_INT(ports_take(ports, 1, PORTS_ANY, 0, &port), 0);
    CHECK(!ports_holder(ports, 1, port, &found)); /* the next one does not inherit it */
    CHECK(!ports_holder(ports, 1, 50000, &found) && !ports_holder(ports, 1, 50005, &found) && !ports_holder(ports, 1, 0, &found));
    ports_free(ports);
}

TEST(ports_are_spread_over_the_range)
{
    struct ports *ports = ports_new(1, 49152, 65535);
    uint32_t sixteenth[16] = {0}, state = 1;
    uint16_t port;
    for (int i = 0; i < 4096; i++) {
        CHECK_INT(ports_take(ports, 0, PORTS_ANY, next_random(&state), &port), 0);
        sixteenth[(port - 49152) / 1024]++;
    }
    for (int i = 0; i < 16; i++)
        CHECK(sixteenth[i] > 128 && sixteenth[i] < 512);
    ports_free(ports);
}

#define THREADS 6
#define SPAN 200

struct hammer {
    struct ports *ports;
    atomic_uint owners[SPAN]; /* holders of each port, by the threads' own count */
    atomic_uint wrong, seeds, taken;
};

static void hold(struct hammer *hammer, uint16_t port)
{
    const uint64_t group = (uintptr_t)&group;
    bool alone = atomic_fetch_add(&hammer->owners[port - 50000], 1) == 0 && ports_group(hammer->ports, 0, port) == GROUP_NOBODY;
    const struct port_hold mine = {group, {(uint8_t)(group >> 12), {(uint32_t)group % HOLDER_ALLOCATIONS, (uint32_t)group | 1}}};
    struct holder found;
    alone &= !ports_holder(hammer->ports, 0, port, &found);
    ports_hold(hammer->ports, 0, port, &mine);
    alone &= ports_group(hammer->ports, 0, port) == group && ports_holder(hammer->ports, 0, port, &found);
    alone &= found.worker == mine.by.worker && found.allocation.generation == mine.by.allocation.generation;
    if (!alone)
        atomic_fetch_add(&hammer->wrong, 1);
}

static void let_go(struct hammer *hammer, uint16_t port)
{
    atomic_fetch_sub(&hammer->owners[port - 50000], 1);
    ports_give(hammer->ports, 0, port);
}

static void *hammer_run(void *arg)
{
    struct hammer *hammer = arg;
    uint32_t state = atomic_fetch_add(&hammer->seeds, 1) * 7919;
    for (int i = 0; i < 5000; i++) {
        const enum ports_want want = (enum ports_want)(next_random(&state) % 3);
        uint16_t port;
        if (ports_take(hammer->ports, 0, want, next_random(&state), &port))
            continue;
        hold(hammer, port);
        if (want == PORTS_PAIR) {
            hold(hammer, (uint16_t)(port + 1));
            let_go(hammer, (uint16_t)(port + 1));
        }
        let_go(hammer, port);
    }
    return NULL;
}

static void *fill_run(void *arg)
{
    struct hammer *hammer = arg;
    uint32_t state = atomic_fetch_add(&hammer->seeds, 1) * 7919;
    uint16_t port;
    while (ports_take(hammer->ports, 0, PORTS_ANY, next_random(&state), &port) == 0) {
        hold(hammer, port);
        atomic_fetch_add(&hammer->taken, 1);
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), struct hammer *hammer)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run, hammer), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

TEST(threads_never_hold_the_same_port)
{
    struct hammer hammer = {.ports = ports_new(1, 50000, 50000 + 7)}; /* narrow: they meet all the time */
    run_threads(hammer_run, &hammer);
    CHECK_INT(atomic_load(&hammer.wrong), 0);
    CHECK_INT(ports_free_count(hammer.ports, 0), 8);
    ports_free(hammer.ports);
}

TEST(threads_that_fill_a_range_take_each_port_once)
{
    struct hammer hammer = {.ports = ports_new(1, 50000, 50000 + SPAN - 1)};
    run_threads(fill_run, &hammer);
    CHECK_INT(atomic_load(&hammer.wrong), 0);
    CHECK_INT(atomic_load(&hammer.taken), SPAN);
    CHECK_INT(ports_free_count(hammer.ports, 0), 0);
    ports_free(hammer.ports);
}

TEST(without_memory_there_are_no_ports)
{
    test_fail_malloc_after(0);
    struct ports *ports = ports_new(1, 1, 65535);
    test_fail_malloc_after(-1);
    CHECK(!ports);
}

TEST_LIST(RUN(every_port_of_a_range_is_handed_out_once_whatever_the_random_number) RUN(a_full_range_is_busy_until_a_port_is_given_back)
              RUN(addresses_have_ports_of_their_own) RUN(an_even_port_leaves_its_sibling_free)
                  RUN(a_pair_is_an_even_port_and_the_next_both_taken) RUN(a_port_outside_the_range_is_never_taken)
                      RUN(who_holds_a_port_is_known_by_the_group_until_it_is_given_back) RUN(who_holds_a_port_is_known_by_name_until_it_is_given_back)
                          RUN(ports_are_spread_over_the_range)
                          RUN(threads_never_hold_the_same_port) RUN(threads_that_fill_a_range_take_each_port_once)
                              RUN(without_memory_there_are_no_ports))
