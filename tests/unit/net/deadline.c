/* the queue of things that wait equally long */
#include "net/deadline.h"

#include "test.h"

struct waiting {
    struct deadline deadline;
    int number;
};

TEST(the_first_to_come_is_the_first_due)
{
    struct deadlines queue;
    struct waiting a = {.number = 1}, b = {.number = 2};
    deadlines_init(&queue, 1000);
    CHECK(deadlines_due(&queue, INT64_MAX) == NULL);
    CHECK(deadlines_oldest(&queue) == NULL);
    deadline_set(&queue, &a.deadline, &a, 10);
    deadline_set(&queue, &b.deadline, &b, 20);
    CHECK(deadlines_oldest(&queue) == &a);
    CHECK(deadlines_due(&queue, 1009) == NULL);
    CHECK(deadlines_due(&queue, 1010) == &a);
    deadline_clear(&a.deadline);
    CHECK(deadlines_due(&queue, 1019) == NULL);
    CHECK(deadlines_due(&queue, 1020) == &b);
}

TEST(to_be_set_again_is_to_be_the_last)
{
    struct deadlines queue;
    struct waiting items[3] = {0};
    deadlines_init(&queue, 1000);
    for (int i = 0; i < 3; i++)
        deadline_set(&queue, &items[i].deadline, &items[i], i);
    deadline_set(&queue, &items[0].deadline, &items[0], 3);
    const struct deadline *at = NULL;
    for (int i = 1; i <= 3; i++) {
        at = deadlines_after(&queue, at);
        CHECK(at && at->owner == &items[i % 3]);
    }
    CHECK(deadlines_after(&queue, at) == NULL);
}

TEST(to_be_cleared_is_harmless_at_any_time)
{
    struct deadlines queue;
    struct waiting items[3] = {0};
    deadlines_init(&queue, 1000);
    deadline_clear(&items[0].deadline);
    for (int i = 0; i < 3; i++)
        deadline_set(&queue, &items[i].deadline, &items[i], i);
    deadline_clear(&items[1].deadline);
    deadline_clear(&items[1].deadline);
    CHECK(!deadline_is_set(&items[1].deadline));
    CHECK(deadline_is_set(&items[2].deadline));
    deadline_clear(&items[0].deadline);
    CHECK(deadlines_oldest(&queue) == &items[2]);
    deadline_clear(&items[2].deadline);
    CHECK(deadlines_oldest(&queue) == NULL);
}

TEST_LIST(
    RUN(the_first_to_come_is_the_first_due)
    RUN(to_be_set_again_is_to_be_the_last)
    RUN(to_be_cleared_is_harmless_at_any_time))
