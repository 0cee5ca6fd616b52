/* mint_memory.c: shelves, each a ring that is made when it is first needed. */
#include "server/mint_memory.h"

#include "base/err.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

struct kept {
    uint8_t body[CRYPTO_SHA256_LEN];
    struct mint_made made;
};

/* struct shelf: the keys lie together: they are what is looked through. */
struct shelf {
    uint32_t next; /* where the next one goes */
    uint8_t keys[MINT_REMEMBERED][CRYPTO_SHA256_LEN];
    struct kept kept[MINT_REMEMBERED];
};

struct mint_memory {
    struct hash_key key;
    struct shelf *shelves[MINT_SHELVES];
};

struct mint_memory *mint_memory_new(void)
{
    struct mint_memory *memory = calloc(1, sizeof *memory);
    if (memory)
        crypto_random(&memory->key, sizeof memory->key);
    return memory;
}

void mint_memory_free(struct mint_memory *memory)
{
    for (size_t i = 0; memory && i < MINT_SHELVES; i++)
        free(memory->shelves[i]);
    free(memory);
}

static size_t shelf_of(const struct mint_memory *memory, const char *tenant)
{
    return table_hash(&memory->key, view_text(tenant)) % MINT_SHELVES;
}

static bool is_over(const struct mint_made *made, int64_t unix_s)
{
    return made->expires_unix_s <= unix_s || made->made_unix_s + MINT_DAY_S <= unix_s;
}

int mint_memory_find(const struct mint_memory *memory, const struct mint_asked *asked, int64_t unix_s, struct mint_made *out)
{
    const struct shelf *shelf = memory->shelves[shelf_of(memory, asked->tenant)];
    for (size_t i = 0; shelf && i < MINT_REMEMBERED; i++) {
        if (memcmp(shelf->keys[i], asked->key, sizeof asked->key) != 0 || is_over(&shelf->kept[i].made, unix_s))
            continue;
        *out = shelf->kept[i].made;
        return memcmp(shelf->kept[i].body, asked->body, sizeof asked->body) == 0 ? 0 : ERR_EXISTS;
    }
    return ERR_NOT_FOUND;
}

int mint_memory_put(struct mint_memory *memory, const struct mint_asked *asked, const struct mint_made *made)
{
    struct shelf **place = &memory->shelves[shelf_of(memory, asked->tenant)];
    if (!*place)
        *place = calloc(1, sizeof **place);
    if (!*place)
        return ERR_MEMORY;
    struct shelf *shelf = *place;
    memcpy(shelf->keys[shelf->next], asked->key, sizeof asked->key);
    memcpy(shelf->kept[shelf->next].body, asked->body, sizeof asked->body);
    shelf->kept[shelf->next].made = *made;
    shelf->next = (shelf->next + 1) % MINT_REMEMBERED;
    return 0;
}
