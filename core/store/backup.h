/* backup.h: a copy of a database that is in use, piece by piece, as it was at the moment when the copy began.
 *
 * The writer never waits for it: what it commits meanwhile stays in the -wal file until the copy is done. The copy is made beside where it is to be, under a name of
 * its own with mode 0600, brought to disk, and only then gets its name: it is there whole or not at all, and what is there already is never replaced.
 */
#ifndef RELAY_STORE_BACKUP_H
#define RELAY_STORE_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#define BACKUP_PAGES 256 /* a piece that takes some milliseconds */

struct backup;

/* backup_begin: 0 and *out; or ERR_NOT_FOUND: no such database, ERR_EXISTS: something is at `to` or another copy is being made, ERR_SYSTEM, ERR_MEMORY, with a reason in `error`. */
int backup_begin(const char *from, const char *to, struct backup **out, char *error, size_t error_cap);

/* backup_step: so many pages more: ERR_PARTIAL: there are others; 0: that was all, and the copy has its name; else it failed, with the reason. */
int backup_step(struct backup *, int pages, char *error, size_t error_cap);

/* struct backup_sum: how far it is. */
struct backup_sum {
    int64_t pages, done, page_bytes;
};
void backup_sum(const struct backup *, struct backup_sum *out);

/* backup_end: what is not whole is removed. NULL is fine. */
void backup_end(struct backup *);

#endif
