/* bytes.c: views, slabs, big-endian numbers. */
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

struct view view_of(const void *at, size_t len)
{
    return (struct view){at, len};
}

struct view view_text(const char *text)
{
    return view_of(text, strlen(text));
}

struct view view_from(struct view in, size_t skip)
{
    if (skip > in.len)
        skip = in.len;
    return skip ? view_of(in.at + skip, in.len - skip) : in;
}

struct view view_cut(struct view in, size_t len)
{
    return view_of(in.at, len < in.len ? len : in.len);
}

bool view_equal(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

char *view_copy(struct view in, char *out, size_t cap)
{
    assert(cap > 0);
    const size_t len = in.len < cap ? in.len : cap - 1;
    if (len)
        memcpy(out, in.at, len);
    out[len] = 0;
    return out;
}

uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

struct slab slab_over(void *at, size_t cap)
{
    return (struct slab){.at = at, .cap = cap};
}

struct view slab_view(const struct slab *slab)
{
    return view_of(slab->at, slab->overflow ? 0 : slab->len);
}

/* slab_grow: `len` more bytes, not yet written; NULL once the slab has overflowed. */
static uint8_t *slab_grow(struct slab *slab, size_t len)
{
    if (len > slab->cap - slab->len)
        slab->overflow = true;
    if (slab->overflow)
        return NULL;
    uint8_t *at = slab->at + slab->len;
    slab->len += len;
    return at;
}

void slab_put(struct slab *slab, struct view bytes)
{
    uint8_t *at = slab_grow(slab, bytes.len);
    if (at && bytes.len)
        memcpy(at, bytes.at, bytes.len);
}

void slab_put_u8(struct slab *slab, uint8_t value)
{
    slab_put(slab, view_of(&value, 1));
}

void slab_put_u16(struct slab *slab, uint16_t value)
{
    uint8_t *at = slab_grow(slab, 2);
    if (at)
        put_u16(at, value);
}

void slab_put_u32(struct slab *slab, uint32_t value)
{
    uint8_t *at = slab_grow(slab, 4);
    if (at)
        put_u32(at, value);
}

void slab_put_u64(struct slab *slab, uint64_t value)
{
    uint8_t *at = slab_grow(slab, 8);
    if (at)
        put_u64(at, value);
}

void slab_put_text(struct slab *slab, const char *text)
{
    slab_put(slab, view_text(text));
}

uint8_t *slab_room(struct slab *slab, size_t len)
{
    uint8_t *at = slab_grow(slab, len);
    if (at && len)
        memset(at, 0, len);
    return at;
}
