/* json.c: strings, with what RFC 8259 section 7 wants escaped. */
#include "base/json.h"

#include "base/utf8.h"

#include <stdio.h>

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void put_escape(struct slab *out, uint8_t c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* each with what stands for it */
    char text[7];
    for (const char *at = letters; *at; at += 2)
        if ((uint8_t)*at == c) {
            slab_put_u8(out, '\\');
            slab_put_u8(out, (uint8_t)at[1]);
            return;
        }
    snprintf(text, sizeof text, "\\u%04x", c);
    slab_put_text(out, text);
}

/* put_latin: a byte from 0x80 on as the character of that number. */
static void put_latin(struct slab *out, uint8_t c)
{
    slab_put_u8(out, (uint8_t)(0xc0 | c >> 6));
    slab_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

void json_put_text(struct slab *out, const char *text, size_t len)
{
    struct view in = view_of(text, len);
    const bool is_latin = !utf8_is_text(in);
    slab_put_u8(out, '"');
    while (in.len && !out->overflow) {
        size_t run = 0;
        while (run < in.len && is_plain(in.at[run]) && !(is_latin && in.at[run] >= 0x80))
            run++;
        slab_put(out, view_cut(in, run));
        in = view_from(in, run);
        if (in.len == 0)
            break;
        (in.at[0] >= 0x80 ? put_latin : put_escape)(out, in.at[0]);
        in = view_from(in, 1);
    }
    slab_put_u8(out, '"');
}
