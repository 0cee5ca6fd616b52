/* revoke_list.h: rows of the table revocations, as they stand in memory; for revoker*.c only. */
#ifndef RELAY_SERVER_REVOKE_LIST_H
#define RELAY_SERVER_REVOKE_LIST_H

#include "server/revocation.h"
#include "store/desk.h"

/* struct revoke_row: `order` is of the round that is under way. */
struct revoke_row {
    int64_t id; /* of the table; 0: it is not known to be there */
    enum revocation_kind kind;
    int64_t at_ms, until_ms;
    uint64_t digest;
    unsigned order;
    bool has_failed; /* to be written: it is to be tried again */
    const char *tenant, *name, *who; /* one block, which begins at `tenant`; who: not written yet: for the audit; NULL: it is written */
};

struct revoke_list {
    struct hash_key key;
    struct revoke_row *rows;
    size_t count, room;
};

void revoke_list_init(struct revoke_list *, const struct hash_key *);
void revoke_list_close(struct revoke_list *);

/* revoke_list_add: a copy, at the end; `who` NULL: it is written. NULL without memory, or for a kind that nobody knows. */
struct revoke_row *revoke_list_add(struct revoke_list *, const struct desk_revocation *, const char *who);

/* revoke_list_row: as the desk has it; borrowed.  revoke_list_find: of this digest, or NULL.  revoke_list_drop: the row. */
struct desk_revocation revoke_list_row(const struct revoke_row *);
struct revoke_row *revoke_list_find(const struct revoke_list *, uint64_t digest);
void revoke_list_drop(struct revoke_list *, const struct revoke_row *);

#endif
