/* connections.h: CONNECTION-IDs: on which worker a peer's connection waits for its ConnectionBind, which may reach any, RFC 6062
 * section 6.2.1.
 *
 * An id is 32 unpredictable bits and names one connection at a time; it is forgotten when the connection is bound or closed. What it names,
 * and whose it is, only its worker knows. Fixed size; all calls lock a small table (requests, never the packet path).
 */
#ifndef RELAY_LEDGER_CONNECTIONS_H
#define RELAY_LEDGER_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct connections;

struct connections *connections_new(uint32_t count); /* NULL without memory */
void connections_free(struct connections *);

/* connections_issue: 0 and *id, never 0; ERR_BUSY when the table is full. */
int connections_issue(struct connections *, unsigned worker, uint32_t *id);
void connections_forget(struct connections *, uint32_t id);

/* connections_find: whether the id is issued, and by which worker. */
bool connections_find(struct connections *, uint32_t id, unsigned *worker);

uint32_t connections_count(struct connections *);

#endif
