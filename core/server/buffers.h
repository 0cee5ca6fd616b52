/* buffers.h: how large the buffers of listening sockets are, and what to do where the system gave less than was asked for. */
#ifndef RELAY_SERVER_BUFFERS_H
#define RELAY_SERVER_BUFFERS_H

#include "server/service.h"

/* buffers_print: what the start was given: for --check-config.  buffers_log: the same, as a line of the log. */
void buffers_print(const struct service *, FILE *);
void buffers_log(const struct service *);

#endif
