/* records from one thread to another, and the table of 5-tuples that another worker wants */
#include "server/foreign.h"
#include "server/ring.h"

#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define RECORDS 300000u
#define RING (1u << 20)

static size_t length_of(uint32_t number)
{
    return number % 97 == 0 ? 9000 : number % 700;
}

static void *put_all(void *arg)
{
    struct ring *ring = arg;
    uint8_t body[9000];
    for (uint32_t i = 0; i < RECORDS; i++) {
        memset(body, (int)(i & 0xff), sizeof body);
        while (!ring_put(ring, view_of(&i, sizeof i), view_of(body, length_of(i))))
            sched_yield();
    }
    return NULL;
}

TEST(records_arrive_whole_and_in_order_while_both_threads_run)
{
    struct ring *ring = ring_new(RING);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, put_all, ring) == 0);
    for (uint32_t i = 0; i < RECORDS;) {
        size_t len;
        uint8_t *record = ring_take(ring, &len);
        if (!record) {
            ring_release(ring);
            sched_yield();
            continue;
        }
        uint32_t number;
        memcpy(&number, record, sizeof number);
        CHECK_INT(number, i);
        CHECK_INT(len, sizeof number + length_of(i));
        if (len > sizeof number)
            CHECK(record[4] == (i & 0xff) && record[len - 1] == (i & 0xff));
        memset(record, 0xff, len + RING_TAILROOM); /* the taker may */
        if (++i % 5 == 0)
            ring_release(ring);
    }
    pthread_join(thread, NULL);
    CHECK(ring_is_empty(ring));
    ring_free(ring);
}

/* drain: takes all and releases it; how many there were, each of 5100 bytes. */
static unsigned drain(struct ring *ring)
{
    unsigned count = 0;
    for (size_t len; ring_take(ring, &len); count++)
        CHECK_INT(len, 5100);
    ring_release(ring);
    return count;
}

TEST(a_full_ring_refuses_and_goes_on_when_something_is_released)
{
    struct ring *ring = ring_new(RING);
    static uint8_t body[RING];
    unsigned count = 0;
    size_t len;
    CHECK(!ring_put(ring, view_of(body, 1), view_of(body, RING - 1)));
    CHECK(!ring_wants_waking(ring));
    while (ring_put(ring, view_of(body, 100), view_of(body, 5000)))
        count++;
    CHECK(count > RING / 5200 && count <= RING / 5100);
    CHECK(ring_wants_waking(ring));
    CHECK(!ring_wants_waking(ring));
    CHECK(ring_take(ring, &len));
    CHECK(!ring_put(ring, view_of(body, 100), view_of(body, 5000))); /* taken is not released */
    unsigned refused = 0;
    for (unsigned i = 0; i < 10 * count; i++) { /* round and round; the end of the buffer is skipped once in each */
        ring_release(ring);
        refused += !ring_put(ring, view_of(body, 100), view_of(body, 5000));
        CHECK(ring_take(ring, &len));
        CHECK_INT(len, 5100);
    }
    CHECK(refused <= 1);
    CHECK_INT(drain(ring), count - 1 - refused);
    ring_free(ring);
}

TEST(a_record_of_half_the_ring_fits_wherever_the_last_one_ended)
{
    static uint8_t body[RING];
    for (size_t before = 0; before < RING; before += 4000) {
        struct ring *ring = ring_new(RING);
        CHECK(ring_put(ring, view_of(body, before / 2), view_of(body, before - before / 2 > 64 ? before - before / 2 - 64 : 0)));
        size_t len;
        CHECK(ring_take(ring, &len));
        ring_release(ring);
        CHECK(ring_put(ring, view_of(body, 8), view_of(body, RING / 2 - 64)));
        uint8_t *record = ring_take(ring, &len);
        CHECK(record && len == RING / 2 - 56);
        ring_free(ring);
    }
}

static struct flow flow_from(uint16_t port)
{
    return (struct flow){.client = addr_v4((const uint8_t[]){127, 0, 0, 1}, port), .server = addr_v4((const uint8_t[]){127, 0, 0, 2}, 3478)};
}

TEST(a_5_tuple_has_the_owner_that_wanted_it_last)
{
    struct foreign foreign;
    foreign_init(&foreign, (struct hash_key){1, 2});
    CHECK(foreign_is_empty(&foreign));
    unsigned owner = 99;
    for (uint16_t port = 1; port <= 1000; port++) {
        const struct flow flow = flow_from(port);
        CHECK(!foreign_find(&foreign, &flow, &owner));
        CHECK_INT(foreign_put(&foreign, &flow, port % 3), 0);
    }
    const struct flow flow = flow_from(7);
    CHECK(foreign_find(&foreign, &flow, &owner));
    CHECK_INT(owner, 1);
    CHECK_INT(foreign_put(&foreign, &flow, 2), 0);
    foreign_drop(&foreign, &flow, 1); /* it is late */
    CHECK(foreign_find(&foreign, &flow, &owner));
    CHECK_INT(owner, 2);
    CHECK_INT(foreign.flows.live, 1000);
    foreign_drop(&foreign, &flow, 2);
    foreign_drop(&foreign, &flow, 2);
    CHECK(!foreign_find(&foreign, &flow, &owner));
    for (uint16_t port = 1; port <= 1000; port++) {
        const struct flow each = flow_from(port);
        foreign_drop(&foreign, &each, port % 3);
    }
    CHECK(foreign_is_empty(&foreign));
    CHECK_INT(foreign.flows.live, 0);
    foreign_close(&foreign);
}

TEST(without_memory_nothing_is_left_behind)
{
    struct foreign foreign;
    foreign_init(&foreign, (struct hash_key){1, 2});
    const struct flow flow = flow_from(7);
    int err = -1;
    for (int i = 0; err != 0 && i < 10; i++) {
        test_fail_malloc_after(i);
        err = foreign_put(&foreign, &flow, 1);
        test_fail_malloc_after(-1);
        if (err)
            CHECK(foreign_is_empty(&foreign) && foreign.flows.live == 0);
    }
    CHECK_INT(err, 0);
    foreign_close(&foreign);
}

TEST_LIST(RUN(records_arrive_whole_and_in_order_while_both_threads_run) RUN(a_full_ring_refuses_and_goes_on_when_something_is_released)
          RUN(a_record_of_half_the_ring_fits_wherever_the_last_one_ended)
          RUN(a_5_tuple_has_the_owner_that_wanted_it_last) RUN(without_memory_nothing_is_left_behind))
