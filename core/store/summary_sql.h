/* summary_sql.h: the statements of a summary; for summary*.c only. */
#ifndef RELAY_STORE_SUMMARY_SQL_H
#define RELAY_STORE_SUMMARY_SQL_H

#include "store/database.h"
#include "store/summary.h"

#define SUMMARY_SQL_MAX 4096

/* The source has the question's keys, a time as minutes, then all numbers, then the span. Its arguments are ?1 tenant, ?2 from and ?3 to in minutes, ?4 room, ?5 tag, ?6 user,
 * ?7 transport; NULL: all. The others are of the table temp.sums: its making, the adding of a row to it, all of it in order (?1 the limit, -1: none). */
void summary_sql_source(const struct summary_question *, char out[SUMMARY_SQL_MAX]);
void summary_sql_table(const struct summary_question *, char out[SUMMARY_SQL_MAX]);
void summary_sql_add(const struct summary_question *, char out[SUMMARY_SQL_MAX]);
void summary_sql_rows(const struct summary_question *, char out[SUMMARY_SQL_MAX]);

/* summary_peak: a number of which the greatest counts. */
bool summary_is_peak(enum summary_number);

#endif
