/* utf8.c: the table of RFC 3629 section 4. */
#include "base/utf8.h"

#include <string.h>

size_t utf8_len(struct view in)
{
    static const struct {
        uint8_t first, last, second_low, second_high, len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; in.len && i < sizeof forms / sizeof *forms; i++) {
        if (in.at[0] < forms[i].first || in.at[0] > forms[i].last)
            continue;
        if (forms[i].len > in.len)
            return 0;
        if (forms[i].len > 1 && (in.at[1] < forms[i].second_low || in.at[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if ((in.at[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

bool utf8_is_text(struct view in)
{
    while (in.len) {
        const size_t len = utf8_len(in);
        if (len == 0)
            return false;
        in = view_from(in, len);
    }
    return true;
}

char *utf8_text(struct view in, char *out, size_t cap)
{
    const bool is_latin = !utf8_is_text(in);
    size_t used = 0;
    while (in.len) {
        const uint8_t latin[] = {(uint8_t)(0xc0 | in.at[0] >> 6), (uint8_t)(0x80 | (in.at[0] & 0x3f))};
        const size_t len = is_latin ? 1 : utf8_len(in);
        const struct view one = is_latin && in.at[0] >= 0x80 ? view_of(latin, sizeof latin) : view_cut(in, len);
        if (one.len >= cap - used)
            break;
        memcpy(out + used, one.at, one.len);
        used += one.len;
        in = view_from(in, len);
    }
    out[used] = 0;
    return out;
}
