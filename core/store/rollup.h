/* rollup.h: what is old is merged, minutes into hours and hours into days, and deleted where that is wanted; for core/store only.
 *
 * No sum changes by a merge: tenant, room, tag, user and transport stay, of peaks the greatest. Each step is a transaction of ROLLUP_ROWS rows at most, and whole or not at all: a
 * crash between two loses and doubles nothing, the next start goes on.
 */
#ifndef RELAY_STORE_ROLLUP_H
#define RELAY_STORE_ROLLUP_H

#include "store/database.h"

#define ROLLUP_ROWS 1000

/* rollup_step: 1: something was done, there may be more; 0: there is nothing to do; ERR_SYSTEM with SQLite's reason: nothing was changed. */
int rollup_step(sqlite3 *, const struct store_keep *, int64_t now_ms, struct complaint);

#endif
