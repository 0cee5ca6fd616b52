/* cidr.c: address ranges. */
#include "base/cidr.h"

#include "base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int parse_prefix(struct view text, unsigned max, unsigned *bits)
{
    *bits = 0;
    if (text.len == 0 || text.len > 3)
        return ERR_BAD;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return ERR_BAD;
        *bits = *bits * 10 + (unsigned)(text.at[i] - '0');
    }
    return *bits > max ? ERR_BAD : 0;
}

/* span_of: all addresses that share the first `bits` bits (of 128) with `ip`. */
static struct cidr_range span_of(const uint8_t ip[16], unsigned bits)
{
    struct cidr_range range;
    for (unsigned i = 0; i < 16; i++) {
        const unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        const uint8_t host = (uint8_t)(kept >= 8 ? 0 : 0xff >> kept);
        range.first[i] = (uint8_t)(ip[i] & ~host);
        range.last[i] = ip[i] | host;
    }
    return range;
}

static int parse_span(struct view ip, struct view last, struct cidr_range *out)
{
    struct addr a, b;
    if (addr_parse_ip(ip, &a) || addr_parse_ip(last, &b) || a.family != b.family || memcmp(a.ip, b.ip, 16) > 0)
        return ERR_BAD;
    memcpy(out->first, a.ip, 16);
    memcpy(out->last, b.ip, 16);
    return 0;
}

int cidr_parse(struct view text, struct cidr_range *out)
{
    size_t at = 0;
    while (at < text.len && text.at[at] != '/' && text.at[at] != '-')
        at++;
    const struct view ip = view_cut(text, at), rest = view_from(text, at + 1);
    if (at == text.len)
        return parse_span(ip, ip, out);
    if (text.at[at] == '-')
        return parse_span(ip, rest, out);

    struct addr addr;
    unsigned bits;
    if (addr_parse_ip(ip, &addr))
        return ERR_BAD;
    const unsigned width = addr.family == ADDR_IPV4 ? 32 : 128;
    if (parse_prefix(rest, width, &bits))
        return ERR_BAD;
    *out = span_of(addr.ip, 128 - width + bits);
    return 0;
}

bool cidr_range_has(const struct cidr_range *range, const struct addr *addr)
{
    return memcmp(range->first, addr->ip, 16) <= 0 && memcmp(addr->ip, range->last, 16) <= 0;
}

void cidr_init(struct cidr_set *set)
{
    *set = (struct cidr_set){0};
}

int cidr_add(struct cidr_set *set, const struct cidr_range *range)
{
    if (set->count == set->cap) {
        const size_t cap = set->cap ? 2 * set->cap : 8;
        struct cidr_range *ranges = realloc(set->ranges, cap * sizeof *ranges);
        if (!ranges)
            return ERR_MEMORY;
        set->ranges = ranges;
        set->cap = cap;
    }
    set->ranges[set->count++] = *range;
    set->sealed = false;
    return 0;
}

static int by_first(const void *a, const void *b)
{
    return memcmp(((const struct cidr_range *)a)->first, ((const struct cidr_range *)b)->first, 16);
}

void cidr_seal(struct cidr_set *set)
{
    size_t kept = 0;
    if (set->count)
        qsort(set->ranges, set->count, sizeof *set->ranges, by_first);
    for (size_t i = 0; i < set->count; i++) {
        const struct cidr_range next = set->ranges[i];
        struct cidr_range *top = kept ? &set->ranges[kept - 1] : NULL;
        if (!top || memcmp(next.first, top->last, 16) > 0)
            set->ranges[kept++] = next;
        else if (memcmp(next.last, top->last, 16) > 0)
            memcpy(top->last, next.last, 16);
    }
    set->count = kept;
    set->sealed = true;
}

bool cidr_equal(const struct cidr_set *a, const struct cidr_set *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

bool cidr_has(const struct cidr_set *set, const struct addr *addr)
{
    assert(set->sealed);
    size_t low = 0, high = set->count; /* the answer, if any, is the last range that begins at or before `addr` */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(set->ranges[middle].first, addr->ip, 16) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && cidr_range_has(&set->ranges[low - 1], addr);
}

void cidr_close(struct cidr_set *set)
{
    free(set->ranges);
    cidr_init(set);
}
