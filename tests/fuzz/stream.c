/* stream.c: fuzz target: any bytes as a stream: cut into frames at once and byte by byte, which must give the same. */
#include "base/err.h"
#include "wire/channel.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* cut_slowly: the same frame when its bytes come one by one, each time in memory of exactly that size; ERR_PARTIAL up to the last. */
static void cut_slowly(struct view in, struct view want, size_t want_used)
{
    for (size_t have = want_used > 64 ? want_used - 64 : 0; have <= want_used; have++) {
        uint8_t *copy = malloc(have ? have : 1);
        struct view frame;
        size_t used;
        must(copy != NULL);
        if (have)
            memcpy(copy, in.at, have);
        const int err = frame_cut(view_of(copy, have), &frame, &used);
        must(err == (have < want_used ? ERR_PARTIAL : 0));
        must(err || (used == want_used && view_equal(frame, want)));
        free(copy);
    }
}

static void open_frame(struct view frame)
{
    struct message m;
    struct view payload;
    uint16_t number;
    if (frame_kind_of(frame) == FRAME_STUN) {
        must(message_open(&m, frame) != ERR_PARTIAL);
        return;
    }
    must(channel_open(frame, &number, &payload) == 0);
    must(payload.len == frame.len - CHANNEL_HEADER_LEN && channel_is_number(number, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size), frame;
    size_t used;
    while (frame_cut(in, &frame, &used) == 0) {
        must(used > 0 && used % 4 == 0 && used <= in.len && used <= FRAME_MAX);
        must(frame.at == in.at && frame.len <= used && used - frame.len < 4);
        cut_slowly(in, frame, used);
        open_frame(frame);
        in = view_from(in, used);
    }
    return 0;
}
