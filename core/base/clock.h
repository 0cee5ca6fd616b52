/* clock.h: the clocks. Time is an argument everywhere below core/server: only workers and main read a clock.
 *
 * msec_t is CLOCK_MONOTONIC in milliseconds and decides every timer. Unix time decides only when a credential expires
 * and what is written down.
 */
#ifndef RELAY_BASE_CLOCK_H
#define RELAY_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t msec_t;

msec_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void); /* for measuring */
int64_t clock_unix_ms(void);
msec_t clock_thread_ms(void); /* processor time of the calling thread: what work costs, whatever else the machine does */

/* clock_parse: Unix seconds, or ISO 8601: a date, with or without a time of day, which is of UTC unless it says how far from it ("+09:00"), as Unix milliseconds. False:
 * neither. */
bool clock_parse(const char *text, int64_t *ms);

#endif
