/* message.c: fuzz target: any bytes as a STUN message; what opens is consistent, and can be built again from its attributes. */
#include "wire/message.h"
#include "wire/attr.h"
#include "wire/build.h"
#include "wire/integrity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static bool inside(struct view outer, struct view inner)
{
    return inner.at >= outer.at && inner.len <= outer.len && (size_t)(inner.at - outer.at) <= outer.len - inner.len;
}

static void read_slots(const struct message *m)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        const enum attr_slot slot = (enum attr_slot)i;
        const struct view value = message_attr(m, slot);
        uint32_t u32;
        uint64_t u64;
        uint8_t byte;
        struct addr addr;
        must(message_has(m, slot) == (value.at != NULL));
        must(!value.at || inside(m->bytes, value));
        must(message_has(m, slot) || attr_u32(m, slot, &u32) != 0);
        (void)attr_u32(m, slot, &u32);
        (void)attr_u64(m, slot, &u64);
        (void)attr_first_byte(m, slot, &byte);
        if (attr_xor_addr(m, slot, &addr))
            continue;
        const struct addr canonical = addr_canonical(&addr), again = addr_canonical(&canonical);
        must(addr_equal(&canonical, &again));
    }
}

static void read_rest(const struct message *m)
{
    struct view value;
    int code;
    uint16_t number;
    must(m->unknown_count <= MESSAGE_UNKNOWN_MAX);
    must(stun_type(m->method, m->class) == get_u16(m->bytes.at));
    if (attr_error(m, &code, &value) == 0)
        must(code >= 300 && code < 700 && inside(m->bytes, value));
    (void)attr_channel(m, &number);
    size_t peers = 0;
    for (size_t cursor = 0; message_next(m, ATTR_XOR_PEER_ADDRESS, &cursor, &value); peers++)
        must(inside(m->bytes, value));
    must((peers > 0) == message_has(m, SLOT_XOR_PEER_ADDRESS));
}

/* rebuild: the first of each kind, signed and with a fingerprint, must open and verify. */
static void rebuild(struct crypto *crypto, const struct message *m)
{
    static const uint16_t types[] = {
#define X(name, number) number,
        STUN_ATTRS(X)
#undef X
    };
    const struct view key = view_text("key");
    const size_t cap = m->bytes.len + 32;
    uint8_t *room = malloc(cap);
    struct build build;
    struct message again;
    must(room != NULL);
    build_begin(&build, slab_over(room, cap), m->method, m->class, m->tid);
    for (int i = 0; i < SLOT_COUNT; i++)
        if (m->attrs[i] && i != SLOT_MESSAGE_INTEGRITY && i != SLOT_FINGERPRINT)
            build_attr(&build, types[i], message_attr(m, (enum attr_slot)i));
    must(build_integrity(&build, crypto, key) == 0);
    build_fingerprint(&build);
    const struct view out = build_end(&build);
    must(out.len > 0 || m->bytes.len > 65000);
    if (out.len) {
        must(message_open(&again, out) == 0);
        must(integrity_check(crypto, &again, key) == 0);
    }
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    if (message_open_classic(&m, view_of(data, size)) == 0)
        read_rest(&m);
    if (message_open(&m, view_of(data, size)))
        return 0;
    struct crypto *crypto = crypto_new();
    must(crypto != NULL);
    read_slots(&m);
    read_rest(&m);
    (void)integrity_check(crypto, &m, view_text("key"));
    rebuild(crypto, &m);
    crypto_free(crypto);
    return 0;
}
