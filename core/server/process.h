/* process.h: what the process is to the operating system: descriptors, identity, pid file, hardening.
 *
 * Those with a refusal return 0, or ERR_SYSTEM.
 */
#ifndef RELAY_SERVER_PROCESS_H
#define RELAY_SERVER_PROCESS_H

#include "server/refusal.h"

/* process_limits: as many descriptors as the hard limit allows; no core dumps (they would hold keys). */
void process_limits(void);
uint32_t process_descriptors(void); /* how many there may be */

/* process_pidfile: write it.  process_pidfile_remove: if it is ours. */
int process_pidfile(const struct config *, struct refusal *);
void process_pidfile_remove(const struct config *);

/* process_drop: become proc-user and proc-group with no other groups, for good; and no_new_privs whoever we are. */
int process_drop(const struct config *, struct refusal *);

#endif
