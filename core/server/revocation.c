/* revocation.c: rows sorted by digest; a bearer has a few digests, and each is searched for. */
#include "server/revocation.h"

#include "server/credentials.h"
#include "turn/label.h"

#include <stdlib.h>
#include <string.h>

struct revocations {
    struct hash_key key;
    unsigned kinds; /* 1 << kind, of those that are there */
    size_t count;
    struct revocation_mark marks[];
};

static const char *const names[] = {
#define X(kind, name) [REVOKE_##kind] = name,
    REVOCATION_KINDS(X)
#undef X
};

const char *revocation_name(enum revocation_kind kind)
{
    return names[kind];
}

enum revocation_kind revocation_find(const char *name)
{
    unsigned kind = 0;
    while (kind < REVOKE_KINDS && strcmp(names[kind], name) != 0)
        kind++;
    return kind;
}

uint64_t revocation_digest(const struct hash_key *key, enum revocation_kind kind, const char *tenant, struct view name)
{
    uint8_t bytes[1 + NAME_MAX_LEN + 1 + REVOCATION_NAME_MAX];
    struct slab out = slab_over(bytes, sizeof bytes);
    slab_put_u8(&out, (uint8_t)kind);
    slab_put(&out, view_cut(view_text(tenant), NAME_MAX_LEN));
    slab_put_u8(&out, 0);
    slab_put(&out, view_cut(name, REVOCATION_NAME_MAX));
    return table_digest(key, slab_view(&out));
}

/* expiry_of: of a username that tells it; 0: it tells none. */
static int64_t expiry_of(const char *username)
{
    int64_t expires_unix_s;
    struct view id;
    return strchr(username, ':') && credentials_parse_expiry(view_text(username), &expires_unix_s, &id) ? expires_unix_s * 1000 : 0;
}

int64_t revocation_until(enum revocation_kind kind, const char *name, int64_t at_ms)
{
    const int64_t expires_ms = kind == REVOKE_CREDENTIAL ? expiry_of(name) : 0;
    if (kind == REVOKE_KEY)
        return REVOCATION_FOREVER;
    return expires_ms ? expires_ms : at_ms + REVOCATION_MS;
}

static int by_digest(const void *a, const void *b)
{
    const uint64_t x = ((const struct revocation_mark *)a)->digest, y = ((const struct revocation_mark *)b)->digest;
    return (x > y) - (x < y);
}

struct revocations *revocations_new(const struct hash_key *key, struct revocation_mark *marks, size_t count)
{
    struct revocations *set = malloc(sizeof *set + count * sizeof *marks);
    if (!set)
        return NULL;
    *set = (struct revocations){.key = *key, .count = count};
    for (size_t i = 0; i < count; i++)
        set->kinds |= 1u << marks[i].kind;
    if (count) {
        memcpy(set->marks, marks, count * sizeof *marks);
        qsort(set->marks, count, sizeof *marks, by_digest);
    }
    return set;
}

void revocations_free(struct revocations *set)
{
    free(set);
}

/* struct look: a bearer who is looked for. */
struct look {
    const struct revocations *set;
    const struct bearer *bearer;
    struct minted minted; /* tenant "": it is no minted credential */
    int64_t unix_ms;
};

/* is_older: than the row, or for all that it tells. */
static bool is_older(const struct look *look, const struct revocation_mark *mark)
{
    if (mark->kind == REVOKE_CREDENTIAL || mark->kind == REVOKE_KEY || !*look->minted.tenant)
        return true;
    return minted_issued_ms(&look->minted) <= mark->at_ms;
}

static const struct revocation_mark *find(const struct look *look, enum revocation_kind kind, const char *tenant, struct view name)
{
    const struct revocations *set = look->set;
    if (!(set->kinds & 1u << kind) || (name.len == 0 && kind != REVOKE_TENANT))
        return NULL;
    const struct revocation_mark wanted = {.digest = revocation_digest(&set->key, kind, tenant, name)};
    const struct revocation_mark *mark = bsearch(&wanted, set->marks, set->count, sizeof wanted, by_digest);
    return mark && mark->until_ms > look->unix_ms && is_older(look, mark) ? mark : NULL;
}

/* find_either: of the bearer's tenant, or of whichever. */
static const struct revocation_mark *find_either(const struct look *look, enum revocation_kind kind, struct view name)
{
    const struct revocation_mark *mark = find(look, kind, look->bearer->tenant, name);
    return mark ? mark : find(look, kind, REVOCATION_ANY, name);
}

/* What a signed username says goes before what it is called: a policy may call it otherwise. */
static const struct revocation_mark *match(const struct look *look)
{
    const struct bearer *bearer = look->bearer;
    const struct {
        enum revocation_kind kind;
        bool is_any; /* with a row of no tenant, too */
        struct view name;
    } names_of[] = {
        {REVOKE_TENANT, false, view_text("")},
        {REVOKE_USER, false, view_text(bearer->user)},
        {REVOKE_TAG, false, view_text(look->minted.tag)},
        {REVOKE_TAG, false, label_tag(bearer->tags, bearer->user)},
        {REVOKE_KEY, true, view_text(look->minted.kid)},
        {REVOKE_KEY, true, label_find(bearer->tags, "key")},
        {REVOKE_CREDENTIAL, true, view_text(look->minted.cid)},
        {REVOKE_CREDENTIAL, true, label_find(bearer->tags, "credential")},
        {REVOKE_CREDENTIAL, true, bearer->username},
    };
    const struct revocation_mark *mark = NULL;
    for (size_t i = 0; i < sizeof names_of / sizeof *names_of && !mark; i++)
        mark = names_of[i].is_any ? find_either(look, names_of[i].kind, names_of[i].name)
                                  : find(look, names_of[i].kind, bearer->tenant, names_of[i].name);
    return mark;
}

const struct revocation_mark *revocations_match(const struct revocations *set, const struct bearer *bearer, int64_t unix_ms)
{
    struct look look = {.set = set, .bearer = bearer, .unix_ms = unix_ms};
    if (!set || set->count == 0)
        return NULL;
    if (bearer->is_minted && minted_parse(bearer->username, &look.minted) != 0)
        look.minted = (struct minted){0};
    return match(&look);
}
