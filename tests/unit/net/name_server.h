/* name_server.h: answers of a name server, built by hand. */
#ifndef RELAY_TESTS_NAME_SERVER_H
#define RELAY_TESTS_NAME_SERVER_H

#include "base/bytes.h"
#include "base/dns.h"

#include <string.h>

static inline void put_name(struct slab *out, const char *name)
{
    while (*name) {
        const size_t len = strcspn(name, ".");
        slab_put_u8(out, (uint8_t)len);
        slab_put(out, view_of(name, len));
        name += len + (name[len] == '.');
    }
    slab_put_u8(out, 0);
}

/* reply_begin: the header of an answer to one question, with so many records. */
static inline void reply_begin(struct slab *out, uint16_t id, uint8_t rcode, uint16_t answers)
{
    slab_put_u16(out, id);
    slab_put_u16(out, (uint16_t)(0x8180 | rcode));
    slab_put_u16(out, 1);
    slab_put_u16(out, answers);
    slab_put_u32(out, 0);
}

static inline void put_question(struct slab *out, const char *name, uint16_t type)
{
    put_name(out, name);
    slab_put_u16(out, type);
    slab_put_u16(out, 1);
}

/* put_record: of the name of the question, by a pointer. */
static inline void put_record(struct slab *out, uint16_t type, uint32_t ttl, struct view data)
{
    slab_put_u16(out, 0xc00c);
    slab_put_u16(out, type);
    slab_put_u16(out, 1);
    slab_put_u32(out, ttl);
    slab_put_u16(out, (uint16_t)data.len);
    slab_put(out, data);
}

#endif
