/* bytes.h: a view to read bytes and a slab to write them; sizes travel with pointers.
 *
 * A view borrows: it is valid as long as what it looks at. A slab writes into memory of its caller and never beyond it:
 * a write that does not fit sets `overflow`, writes nothing, and every later write is ignored too; the writer asks once, at the end.
 * Numbers on the wire are big-endian. Reads past the end are a caller's bug (assert); callers compare lengths first,
 * by subtracting.
 */
#ifndef RELAY_BASE_BYTES_H
#define RELAY_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
    const uint8_t *at;
    size_t len;
};

struct slab {
    uint8_t *at;
    size_t cap;
    size_t len;
    bool overflow;
};

/* view_of: `len` bytes at `at`.  view_text: the bytes of a C string, without its NUL. */
struct view view_of(const void *at, size_t len);
struct view view_text(const char *text);

/* view_from: what is left behind the first `skip` bytes (empty if there are fewer).  view_cut: at most the first `len` bytes. */
struct view view_from(struct view in, size_t skip);
struct view view_cut(struct view in, size_t len);

/* view_equal: same length and bytes; NOT constant-time (crypto_equal is). */
bool view_equal(struct view a, struct view b);

/* view_copy: as a C string into `out` of `cap` bytes (cap > 0), cut if need be; returns `out`. */
char *view_copy(struct view in, char *out, size_t cap);

/* get_u16/32/64: the big-endian number at `at`; unaligned is fine. */
uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);
void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);

/* slab_over: an empty slab over `cap` bytes at `at`.  slab_view: what was written (empty after an overflow). */
struct slab slab_over(void *at, size_t cap);
struct view slab_view(const struct slab *slab);

/* slab_put*: append.  slab_room: append `len` zeroed bytes and return them, or NULL on overflow. */
void slab_put(struct slab *slab, struct view bytes);
void slab_put_u8(struct slab *slab, uint8_t value);
void slab_put_u16(struct slab *slab, uint16_t value);
void slab_put_u32(struct slab *slab, uint32_t value);
void slab_put_u64(struct slab *slab, uint64_t value);
void slab_put_text(struct slab *slab, const char *text);
uint8_t *slab_room(struct slab *slab, size_t len);

#endif
