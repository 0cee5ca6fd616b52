/* verdict.c: the keys of an access token; what a minted credential says; what two limits come to, and two lists of tags. */
#include "turn/verdict.h"

#include "wire/minted.h"

#include <assert.h>
#include <string.h>

#define SHORTENED_LEN 16

static void put_key(struct verdict *verdict, struct view bytes)
{
    struct long_term_key *key = &verdict->keys[verdict->key_count++];
    *key = (struct long_term_key){.len = (uint8_t)bytes.len, .of_token = true};
    memcpy(key->bytes, bytes.at, bytes.len);
}

void verdict_take_token(struct verdict *verdict, struct view mac_key)
{
    assert(mac_key.len <= sizeof verdict->keys[0].bytes);
    verdict->key_count = 0;
    put_key(verdict, mac_key);
    if (mac_key.len == TOKEN_MAC_KEY_LEN)
        put_key(verdict, view_cut(mac_key, SHORTENED_LEN));
}

uint64_t limit_strictest(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a | b;
    return a < b ? a : b;
}

uint32_t limit_strictest_count(uint32_t a, uint32_t b)
{
    return (uint32_t)limit_strictest(a, b);
}

bool limits_equal(const struct limits *a, const struct limits *b)
{
    const bool same_peers = a->acl && b->acl ? cidr_equal(a->acl, b->acl) : a->acl == b->acl;
#define SAME(name) &&a->name == b->name
    return same_peers && a->is_strict == b->is_strict LIMIT_NUMBERS(SAME);
#undef SAME
}

static bool has_tag(const char *tags, const char *pair, size_t name_len)
{
    for (; *tags; tags += strcspn(tags, ","), tags += *tags == ',')
        if (strncmp(tags, pair, name_len + 1) == 0)
            return true;
    return false;
}

bool labels_add(struct labels *labels, const char *tags)
{
    char merged[TAGS_MAX];
    struct slab out = slab_over(merged, sizeof merged - 1);
    slab_put_text(&out, tags);
    for (const char *at = labels->tags; *at;) {
        const size_t pair = strcspn(at, ",");
        if (!has_tag(tags, at, strcspn(at, "="))) {
            if (out.len)
                slab_put_u8(&out, ',');
            slab_put(&out, view_of(at, pair));
        }
        at += pair + (at[pair] == ',');
    }
    if (!out.overflow)
        view_copy(slab_view(&out), labels->tags, sizeof labels->tags);
    return !out.overflow;
}

void limits_tighten(struct limits *limits, const struct limits *more)
{
#define TIGHTEN(name) limits->name = (__typeof__(limits->name))limit_strictest(limits->name, more->name);
    LIMIT_NUMBERS(TIGHTEN)
#undef TIGHTEN
    limits->is_strict |= more->is_strict;
}

bool verdict_take_minted(struct verdict *verdict, const struct request *request)
{
    struct limits *limits = &verdict->limits;
    struct labels labels = {0};
    struct minted minted;
    if (!request->is_minted || minted_parse(request->username, &minted) != 0)
        return true;
    _Static_assert(MINTED_TAGS_MAX <= sizeof labels.tags, "the tags of a credential are tags of an allocation");
    minted_tags(&minted, labels.tags);
    if (!labels_add(&labels, verdict->labels.tags))
        return false;
    memcpy(verdict->labels.tags, labels.tags, sizeof labels.tags);
    limits->max_bps = limit_strictest(limits->max_bps, minted.max_bps);
    limits->user_quota = limit_strictest_count(limits->user_quota, minted.max_allocations);
    return true;
}
