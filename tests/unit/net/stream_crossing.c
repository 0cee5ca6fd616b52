/* TCP connections that go from one worker's streams to another's */
#include "stream_rig.h"

/* five: Binding requests one after another, told apart by their last bytes 1 to 5. */
#define FIVE_LEN (5 * BINDING_LEN)
static void five(uint8_t out[FIVE_LEN])
{
    for (uint8_t i = 0; i < 5; i++)
        binding(out + i * BINDING_LEN, i + 1);
}

TEST(a_connection_leaves_with_the_frame_that_asked_and_all_behind_it)
{
    struct rig *first = rig_plain(), *second = rig_plain();
    uint8_t bytes[FIVE_LEN], back[3 * BINDING_LEN];
    five(bytes);
    first->hand_after = 3;
    second->echo = true;
    const int fd = rig_connect(first);
    put(fd, bytes, FIVE_LEN - 7); /* the last one in part */
    struct connection *parcel = parcel_of(first);
    CHECK_INT(first->heir, 7);
    CHECK_INT(first->frames, 2);
    CHECK_INT(first->closed, 1);
    CHECK_INT(streams_counts(first->streams)->open, 0);
    CHECK_INT(streams_counts(first->streams)->handed, 1);
    CHECK_INT(first->streams->connections.live + first->streams->sources.pool.live, 0);

    put(fd, bytes + FIVE_LEN - 7, 7); /* while it is on its way */
    const struct addr client = socket_local(fd);
    stream_take_over(second->streams, parcel);
    CHECK_INT(second->frames, 2);
    AWAIT(second, has_bytes, .fd = fd, .number = sizeof back, .into = back);
    CHECK_BYTES(back, bytes + 2 * BINDING_LEN, sizeof back);
    CHECK_BYTES(second->log, bytes + 2 * BINDING_LEN, 3 * BINDING_LEN);
    CHECK(addr_equal(&second->last.client, &client));
    CHECK_INT(second->last.listener, 5);
    CHECK_INT(streams_counts(second->streams)->open, 1);
    CHECK_INT(second->streams->sources.pool.live, 1);
    close(fd);
    AWAIT(second, has_closed, .number = 1);
    CHECK_INT(second->closed, 1);
    rig_free(first);
    rig_free(second);
}

TEST(what_is_not_yet_sent_goes_along)
{
    struct rig *first = rig_plain(), *second = rig_plain();
    uint8_t bytes[FIVE_LEN], back[BINDING_LEN];
    five(bytes);
    first->hand_after = 3;
    const int fd = rig_connect(first);
    put(fd, bytes, BINDING_LEN);
    AWAIT(first, has_frames, .number = 1);
    rig_only(first)->full = true; /* as if the socket took no more */
    first->echo = true;
    put(fd, bytes + BINDING_LEN, 2 * BINDING_LEN);
    stream_take_over(second->streams, parcel_of(first));
    CHECK_INT(second->frames, 1);
    AWAIT(second, has_bytes, .fd = fd, .number = sizeof back, .into = back);
    CHECK_BYTES(back, bytes + BINDING_LEN, sizeof back);
    close(fd);
    rig_free(first);
    rig_free(second);
}

TEST(where_there_is_no_place_the_connection_ends)
{
    struct rig *first = rig_plain(), *full = rig_new((struct streams_config){.plain = true, .max_connections = 1}),
               *sparing = rig_new((struct streams_config){.plain = true, .max_per_source = 1});
    struct rig *heirs[] = {full, sparing};
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    for (size_t i = 0; i < 2; i++) {
        const int holder = rig_connect(heirs[i]), fd = rig_connect(first);
        AWAIT(heirs[i], has_accepted, .number = 1);
        first->hand_after = first->frames + 1;
        put(fd, bytes, sizeof bytes);
        stream_take_over(heirs[i]->streams, parcel_of(first));
        AWAIT(heirs[i], has_ended, .fd = fd);
        CHECK_INT(streams_counts(heirs[i]->streams)->refused, 1);
        CHECK_INT(streams_counts(heirs[i]->streams)->open, 1);
        CHECK_INT(heirs[i]->frames + heirs[i]->closed, 0);
        close(holder);
        close(fd);
    }
    rig_free(first);
    rig_free(full);
    rig_free(sparing);
}

TEST(a_connection_that_nobody_takes_ends)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    rig->hand_after = 1;
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    connection_drop(parcel_of(rig));
    AWAIT(rig, has_ended, .fd = fd);
    close(fd);
    rig_free(rig);
}

TEST(a_connection_is_handed_over_only_so_often)
{
    struct rig *rigs[] = {rig_plain(), rig_plain()};
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    const int fd = rig_connect(rigs[0]);
    rigs[0]->hand_after = 1;
    put(fd, bytes, sizeof bytes);
    for (unsigned i = 0; i < HANDED_MAX; i++) {
        struct connection *parcel = parcel_of(rigs[i % 2]);
        rigs[(i + 1) % 2]->hand_after = 1; /* the frame asks for it again and again */
        stream_take_over(rigs[(i + 1) % 2]->streams, parcel);
    }
    AWAIT(rigs[HANDED_MAX % 2], has_ended, .fd = fd);
    CHECK(!rigs[0]->parcel && !rigs[1]->parcel);
    CHECK_INT(rigs[0]->frames + rigs[1]->frames, 0);
    close(fd);
    rig_free(rigs[0]);
    rig_free(rigs[1]);
}

TEST(the_deadline_of_a_connection_that_was_handed_over_starts_anew)
{
    struct rig *first = rig_plain(), *second = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    first->hand_after = 1;
    const int fd = rig_connect(first);
    put(fd, bytes, sizeof bytes);
    struct connection *parcel = parcel_of(first);
    streams_sweep(first->streams, loop_now(first->loop) + 100000); /* it is nobody's now */
    stream_take_over(second->streams, parcel);
    streams_sweep(second->streams, loop_now(second->loop) + 9999);
    CHECK_INT(streams_counts(second->streams)->open, 1);
    streams_sweep(second->streams, loop_now(second->loop) + 10000);
    AWAIT(second, has_ended, .fd = fd);
    close(fd);
    rig_free(first);
    rig_free(second);
}

TEST(streams_that_end_let_nothing_leave)
{
    struct rig *rig = rig_plain();
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 1);
    const int fd = rig_connect(rig);
    put(fd, bytes, sizeof bytes);
    AWAIT(rig, has_frames, .number = 1);
    stream_hand_over(rig->streams, rig->last.link, 7);
    rig_free(rig); /* rig_leaves would leak it */
    close(fd);
}

TEST_LIST(RUN(a_connection_leaves_with_the_frame_that_asked_and_all_behind_it) RUN(what_is_not_yet_sent_goes_along)
              RUN(where_there_is_no_place_the_connection_ends) RUN(a_connection_that_nobody_takes_ends)
                  RUN(a_connection_is_handed_over_only_so_often) RUN(the_deadline_of_a_connection_that_was_handed_over_starts_anew)
                      RUN(streams_that_end_let_nothing_leave))
