/* clock.h: the clocks. Time is an argument everywhere below core/server: only workers and main read a clock.
 *
 * msec_t is CLOCK_MONOTONIC in milliseconds and decides every timer. Unix time decides only when a credential expires
 * and what is written down.
 */
#ifndef RELAY_BASE_CLOCK_H
#define RELAY_BASE_CLOCK_H

#include <stdint.h>

typedef int64_t msec_t;

msec_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void); /* for measuring */
int64_t clock_unix_ms(void);
msec_t clock_thread_ms(void); /* processor time of the calling thread: what work costs, whatever else the machine does */

#endif
