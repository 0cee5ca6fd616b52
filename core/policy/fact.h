/* fact.h: one value of what hooks are shown and of what they answer, on its way to Lua or to JSON.
 *
 * It borrows what it was made of. Texts that are empty, and numbers of which 0 means that nobody said one, are FACT_NIL.
 */
#ifndef RELAY_POLICY_FACT_H
#define RELAY_POLICY_FACT_H

#include "base/addr.h"

struct lua_State;

enum fact_kind {
    FACT_NIL,
    FACT_BOOLEAN,
    FACT_INTEGER,
    FACT_TEXT,
    FACT_ADDRESS,
    FACT_TAGS,    /* "k=v,k=v" */
    FACT_FUNCTION /* of Lua's alone */
};

/* enum fact_trait: what a record makes of it. */
enum fact_trait {
    FACT_NAME = 1,   /* who a client is, or says that it is */
    FACT_SECRET = 2, /* never written down */
    FACT_FOLLOWS = 4 /* from other members: not written down either */
};

struct fact {
    uint8_t kind, traits;
    uint8_t role; /* of an address: enum address_role */
    union {
        int64_t integer; /* or boolean */
        struct view text;
        const struct addr *address;
        int (*function)(struct lua_State *);
    };
};

#define FACT_SCRATCH 136 /* room for a text that is made: an address with a word before it, 64 hexadecimal digits, a part of a username */

static inline struct fact fact_nil(void)
{
    return (struct fact){.kind = FACT_NIL};
}

static inline struct fact fact_boolean(bool boolean)
{
    return (struct fact){.kind = FACT_BOOLEAN, .integer = boolean};
}

static inline struct fact fact_integer(int64_t integer)
{
    return (struct fact){.kind = FACT_INTEGER, .integer = integer};
}

static inline struct fact fact_count(uint64_t count)
{
    return fact_integer((int64_t)count);
}

static inline struct fact fact_known(uint64_t count) /* nil: not said */
{
    return count ? fact_count(count) : fact_nil();
}

static inline struct fact fact_view(struct view text)
{
    return text.at ? (struct fact){.kind = FACT_TEXT, .text = text} : fact_nil();
}

static inline struct fact fact_text(const char *text)
{
    return text && *text ? (struct fact){.kind = FACT_TEXT, .text = view_text(text)} : fact_nil();
}

static inline struct fact fact_address(uint8_t role, const struct addr *address)
{
    return (struct fact){.kind = FACT_ADDRESS, .role = role, .address = address};
}

static inline struct fact fact_tags(const char *tags)
{
    return (struct fact){.kind = FACT_TAGS, .text = view_text(tags)};
}

static inline struct fact fact_function(int (*function)(struct lua_State *))
{
    return (struct fact){.kind = FACT_FUNCTION, .function = function};
}

static inline struct fact fact_that(uint8_t traits, struct fact fact)
{
    fact.traits = traits;
    return fact;
}

#endif
