/* stun.c: names and rules of the rows in stun.h. */
#include "wire/stun.h"

const char *stun_method_name(uint16_t method)
{
    switch (method) {
#define X(name, number)                                                                                                                    \
    case number:                                                                                                                           \
        return #name;
        STUN_METHODS(X)
#undef X
        default:
            return "unknown";
    }
}

bool stun_method_known(uint16_t method)
{
    switch (method) {
#define X(name, number) case number:
        STUN_METHODS(X)
#undef X
        return true;
        default:
            return false;
    }
}

const char *stun_code_reason(int code)
{
    switch (code) {
#define X(name, number, reason)                                                                                                            \
    case number:                                                                                                                           \
        return reason;
        STUN_CODES(X)
#undef X
        default:
            return "unknown";
    }
}

enum stun_code_place stun_code_place(int code)
{
    switch (code) {
#define X(name, number, reason)                                                                                                            \
    case number:                                                                                                                           \
        return STUN_PLACE_##name;
        STUN_CODES(X)
#undef X
        default:
            return STUN_PLACE_SUCCESS;
    }
}

int stun_code_at(enum stun_code_place place)
{
    static const int codes[STUN_PLACES] = {
#define X(name, number, reason) [STUN_PLACE_##name] = (number),
        STUN_CODES(X)
#undef X
    };
    return codes[place];
}

enum attr_slot stun_attr_slot(uint16_t type)
{
    switch (type) {
#define X(name, number)                                                                                                                    \
    case number:                                                                                                                           \
        return SLOT_##name;
        STUN_ATTRS(X)
#undef X
        default:
            return SLOT_COUNT;
    }
}

const char *stun_attr_name(uint16_t type)
{
    switch (type) {
#define X(name, number)                                                                                                                    \
    case number:                                                                                                                           \
        return #name;
        STUN_ATTRS(X)
#undef X
        default:
            return "unknown";
    }
}

bool stun_attr_must_understand(uint16_t type)
{
    return type < 0x8000;
}

/* The bits of a type: M11..M7 C1 M6 M5 M4 C0 M3..M0 */
uint16_t stun_type(uint16_t method, enum stun_class class)
{
    const unsigned m = method, c = class;
    return (uint16_t)((m & 0xf80) << 2 | (c & 2) << 7 | (m & 0x070) << 1 | (c & 1) << 4 | (m & 0x00f));
}

uint16_t stun_type_method(uint16_t type)
{
    return (uint16_t)((type >> 2 & 0xf80) | (type >> 1 & 0x070) | (type & 0x00f));
}

enum stun_class stun_type_class(uint16_t type)
{
    return (enum stun_class)((type >> 7 & 2) | (type >> 4 & 1));
}
