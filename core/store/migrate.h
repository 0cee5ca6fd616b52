/* migrate.h: brings a database to the schema that this program knows, one migration a transaction; for core/store only.
 *
 * PRAGMA user_version is the number of the last migration applied. The migrations are the files db/NNNN_name.sql, compiled in by the
 * Makefile, in order.
 */
#ifndef RELAY_STORE_MIGRATE_H
#define RELAY_STORE_MIGRATE_H

#include "store/database.h"

struct migration {
    int number; /* 1, 2, ... without gaps */
    const char *name, *sql;
};

extern const struct migration migrations[];
extern const int migration_count;

/* migrate: 0; ERR_BAD if the database is of a newer version or a migration does not fit it; ERR_SYSTEM. Two processes may do it at once. */
int migrate(sqlite3 *db, const char *path, struct complaint complaint);

/* migrate_check: 0 if the schema is the one that this program knows. */
int migrate_check(sqlite3 *db, const char *path, struct complaint complaint);

#endif
