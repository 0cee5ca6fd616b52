/* batch_list.c: the text of a batch, and its lists of entries that are found by their keys. */
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

#define NO_TEXT UINT32_MAX

const char *batch_text(const struct batch *batch, uint32_t at)
{
    return at ? batch->text + at : "";
}

void *batch_grow(void *items, uint32_t count, uint32_t *cap, size_t size, uint32_t most)
{
    if (count >= most)
        return NULL;
    if (count < *cap)
        return items;
    const uint32_t wanted = *cap ? 2 * *cap : 64;
    void *grown = realloc(items, wanted * size);
    if (grown)
        *cap = wanted;
    return grown;
}

/* make_room: for `len` bytes of text behind text_len. */
static bool make_room(struct batch *batch, size_t len)
{
    if (len > BATCH_TEXT_MAX - batch->text_len)
        return false;
    if (len <= batch->text_cap - batch->text_len)
        return true;
    size_t cap = batch->text_cap ? batch->text_cap : 4096;
    while (cap - batch->text_len < len)
        cap *= 2;
    char *text = realloc(batch->text, cap);
    if (!text)
        return false;
    batch->text = text;
    batch->text_cap = (uint32_t)cap;
    return true;
}

/* Offset 0 is kept for the empty string. */
static uint32_t keep_text(struct batch *batch, const char *text)
{
    const size_t len = strlen(text) + 1;
    if (len == 1)
        return 0;
    const size_t before = batch->text_len ? 0 : 1;
    if (!make_room(batch, before + len))
        return NO_TEXT;
    const uint32_t at = batch->text_len + (uint32_t)before;
    memcpy(batch->text + at, text, len);
    batch->text_len = at + (uint32_t)len;
    return at;
}

bool batch_keep_texts(struct batch *batch, const char *const *texts, uint32_t *const *out, size_t count)
{
    const uint32_t before = batch->text_len;
    uint32_t kept[10];
    for (size_t i = 0; i < count; i++) {
        kept[i] = keep_text(batch, texts[i]);
        if (kept[i] == NO_TEXT) {
            batch->text_len = before;
            return false;
        }
    }
    for (size_t i = 0; i < count; i++)
        *out[i] = kept[i];
    return true;
}

/* Each part's hash is part of the key of the next: the parts need not be copied together. */
static uint64_t hash_parts(const struct batch *batch, int64_t number, const char *const *parts, size_t count)
{
    struct hash_key key = {.k0 = batch->hash_key.k0 ^ (uint64_t)number, .k1 = batch->hash_key.k1};
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++) {
        hash = table_hash(&key, view_text(parts[i]));
        key.k0 ^= hash;
    }
    return hash;
}

static struct batch_key *key_at(const struct batch_list *list, uint32_t index)
{
    return (void *)((char *)list->entries + index * list->size);
}

const void *batch_at(const struct batch *batch, enum batch_kind kind, uint32_t index)
{
    return key_at(&batch->lists[kind], index);
}

static bool is_same(const struct batch *batch, const struct batch_list *list, uint32_t index, int64_t number, const char *const *texts)
{
    const struct batch_key *key = key_at(list, index);
    size_t same = 0;
    while (same < list->texts && strcmp(batch_text(batch, key->texts[same]), texts[same]) == 0)
        same++;
    return same == list->texts && key->number == number;
}

/* add_entry: of no more than its key. */
static void *add_entry(struct batch *batch, struct batch_list *list, uint64_t hash, int64_t number, const char *const *texts)
{
    struct batch_key key = {.number = number};
    uint32_t *const out[BATCH_KEY_TEXTS] = {&key.texts[0], &key.texts[1], &key.texts[2], &key.texts[3], &key.texts[4]};
    if (!batch_keep_texts(batch, texts, out, list->texts) || table_put(&list->by_key, hash, list->count))
        return NULL;
    struct batch_key *added = key_at(list, list->count++);
    memset(added, 0, list->size);
    *added = key;
    return added;
}

void *batch_entry(struct batch *batch, enum batch_kind kind, int64_t number, const char *const *texts, uint32_t most)
{
    struct batch_list *list = &batch->lists[kind];
    const uint64_t hash = hash_parts(batch, number, texts, list->texts);
    struct table_cursor cursor;
    for (uint32_t at = table_first(&list->by_key, hash, &cursor); at != TABLE_NONE; at = table_next(&list->by_key, &cursor))
        if (is_same(batch, list, at, number, texts))
            return key_at(list, at);
    void *grown = batch_grow(list->entries, list->count, &list->cap, list->size, most);
    if (!grown)
        return NULL;
    list->entries = grown;
    return add_entry(batch, list, hash, number, texts);
}
