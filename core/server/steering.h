/* steering.h: how relay ports are received from: by the worker's one socket (net/steer), or by a socket each; chosen at the start, and told. */
#ifndef RELAY_SERVER_STEERING_H
#define RELAY_SERVER_STEERING_H

#include "server/service.h"

/* steering_open: service->steer, if relay-steering, the system and the privileges of the start allow it. 0, or negative with the refusal. */
int steering_open(struct service *, struct refusal *);

/* steering_print: what is in use, and what is missing for the better way: for --check-config.  steering_log: the same, as a line of the log. */
void steering_print(const struct service *, FILE *);
void steering_log(const struct service *);

#endif
