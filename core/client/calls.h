/* calls.h: how many system calls other processes make, where the kernel tells us.
 *
 * While it counts every system call of the machine is a little slower: what costs time is not to be measured meanwhile.
 */
#ifndef RELAY_CLIENT_CALLS_H
#define RELAY_CLIENT_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CALLS_WHY_MAX 160

struct calls;

/* calls_open: of all threads that these processes have now, and will have of those: NULL: it cannot be had, and why.  calls_count: since then. */
struct calls *calls_open(const pid_t *pids, size_t count, char why[CALLS_WHY_MAX]);
uint64_t calls_count(const struct calls *);
void calls_close(struct calls *);

#endif
