/* frame.c: what is this datagram; one frame off a stream. */
#include "wire/frame.h"

#include "base/err.h"
#include "wire/channel.h"
#include "wire/stun.h"

/* kind_of_stun: what begins like STUN. */
static enum frame_kind kind_of_stun(struct view in)
{
    if (in.len < 8 || get_u32(in.at + 4) == STUN_MAGIC)
        return FRAME_STUN;
    const bool is_binding = in.len >= STUN_HEADER_LEN && get_u16(in.at) == stun_type(METHOD_BINDING, STUN_REQUEST);
    return is_binding && get_u16(in.at + 2) == in.len - STUN_HEADER_LEN ? FRAME_CLASSIC : FRAME_NONE;
}

enum frame_kind frame_kind_of(struct view in)
{
    if (in.len == 0)
        return FRAME_NONE;
    if (in.at[0] <= 3)
        return kind_of_stun(in);
    if (in.at[0] >= 20 && in.at[0] <= 63)
        return FRAME_DTLS;
    return in.at[0] >= 64 && in.at[0] <= 127 ? FRAME_CHANNEL : FRAME_NONE;
}

int frame_cut(struct view in, struct view *frame, size_t *used)
{
    if (in.len == 0)
        return ERR_PARTIAL;
    const enum frame_kind kind = frame_kind_of(in);
    if (kind != FRAME_STUN && kind != FRAME_CHANNEL)
        return ERR_BAD;
    if (in.len < 4)
        return ERR_PARTIAL;
    const size_t length = get_u16(in.at + 2);
    if (kind == FRAME_STUN && length % 4)
        return ERR_BAD;
    const size_t whole = length + (kind == FRAME_STUN ? STUN_HEADER_LEN : CHANNEL_HEADER_LEN);
    const size_t on_stream = (whole + 3) & ~(size_t)3;
    if (in.len < on_stream)
        return ERR_PARTIAL;
    *frame = view_cut(in, whole);
    *used = on_stream;
    return 0;
}
