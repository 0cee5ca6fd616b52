/* revoke_list.c: see revoke_list.h. */
#include "server/revoke_list.h"

#include <stdlib.h>
#include <string.h>

void revoke_list_init(struct revoke_list *list, const struct hash_key *key)
{
    *list = (struct revoke_list){.key = *key};
}

static void row_close(const struct revoke_row *row)
{
    free((void *)(uintptr_t)row->tenant);
}

void revoke_list_close(struct revoke_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        row_close(&list->rows[i]);
    free(list->rows);
    list->rows = NULL;
    list->count = list->room = 0;
}

static bool has_room(struct revoke_list *list)
{
    if (list->count < list->room)
        return true;
    const size_t room = list->room ? 2 * list->room : 64;
    struct revoke_row *rows = realloc(list->rows, room * sizeof *rows);
    if (!rows)
        return false;
    list->rows = rows;
    list->room = room;
    return true;
}

static const char *put(char **to, const char *text)
{
    const size_t len = strlen(text) + 1;
    char *at = *to;
    memcpy(at, text, len);
    *to += len;
    return at;
}

struct revoke_row *revoke_list_add(struct revoke_list *list, const struct desk_revocation *from, const char *who)
{
    const enum revocation_kind kind = revocation_find(from->kind);
    const size_t len = strlen(from->tenant) + strlen(from->name) + (who ? strlen(who) : 0) + 3;
    char *at = kind < REVOKE_KINDS && has_room(list) ? malloc(len) : NULL;
    if (!at)
        return NULL;
    struct revoke_row *row = &list->rows[list->count++];
    *row = (struct revoke_row){
        .id = from->id,
        .kind = kind,
        .at_ms = from->at_ms,
        .until_ms = from->until_ms ? from->until_ms : REVOCATION_FOREVER,
        .digest = revocation_digest(&list->key, kind, from->tenant, view_text(from->name)),
        .order = REVOCATION_NO_ORDER,
    };
    row->tenant = put(&at, from->tenant);
    row->name = put(&at, from->name);
    row->who = who ? put(&at, who) : NULL;
    return row;
}

struct desk_revocation revoke_list_row(const struct revoke_row *row)
{
    return (struct desk_revocation){.id = row->id,
                                    .kind = revocation_name(row->kind),
                                    .tenant = row->tenant,
                                    .name = row->name,
                                    .at_ms = row->at_ms,
                                    .until_ms = row->until_ms == REVOCATION_FOREVER ? 0 : row->until_ms};
}

struct revoke_row *revoke_list_find(const struct revoke_list *list, uint64_t digest)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->rows[i].digest == digest)
            return &list->rows[i];
    return NULL;
}

void revoke_list_drop(struct revoke_list *list, const struct revoke_row *row)
{
    const size_t index = (size_t)(row - list->rows);
    row_close(row);
    memmove(&list->rows[index], &list->rows[index + 1], (list->count - index - 1) * sizeof *list->rows);
    list->count--;
}
