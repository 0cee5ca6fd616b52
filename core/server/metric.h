/* metric.h: what GET /metrics tells, a row each: its name, what it counts by, where it is read. The rows make
 * Prometheus' text format 0.0.4 and core/METRICS.md.
 *
 * The numbers of a worker are plain and its own. Twice a second it lays copies of them on its board, as relaxed atomics, which main adds
 * up: on the way of a packet nothing is counted for this, who asks holds nobody up, and what is told is half a second old at most. What all
 * share is read by main, where it is.
 *
 * Every series is there from the first time on, at 0. What is counted by is bounded: methods, codes, transports, reasons that the core
 * knows, the policies and certificates that are configured, and the first TENANTS_SHOWN tenants (server/tenancy.h).
 */
#ifndef RELAY_SERVER_METRIC_H
#define RELAY_SERVER_METRIC_H

#include "server/reload.h"
#include "server/service.h"

#include <stdio.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_TIMES };

/* enum metric_axis: what is counted by, a row each in metric.c. */
enum metric_axis {
    AXIS_NONE,
    AXIS_METHOD,
    AXIS_CODE,
    AXIS_TRANSPORT,
    AXIS_DIRECTION,
    AXIS_DROP,
    AXIS_MUTE,
    AXIS_HANDOVER,
    AXIS_TENANT,
    AXIS_LIMIT,
    AXIS_ENDING,
    AXIS_REFUSAL,
    AXIS_STREAM,
    AXIS_POLICY,
    AXIS_PHASE,
    AXIS_RESULT,
    AXIS_SHADOW,
    AXIS_CLOCK,
    AXIS_ERROR,
    AXIS_LISTENER,
    AXIS_CERTIFICATE,
    AXIS_NEWS,
    AXIS_DELIVERY,
    AXIS_RELOAD,
    AXIS_MINT,
    AXIS_VERSION,
    AXIS_COUNT
};
#define METRIC_AXES 3

/* metric_ending, metric_refusal: the place of a reason among the values of its axis, fewer than METRIC_REASONS_MAX; what a policy said, or
 * is rare, has one together.  metric_refusal_name: of a place. */
#define METRIC_REASONS_MAX 48
size_t metric_ending(const char *reason);
size_t metric_refusal(const char *reason, const char *by);
const char *metric_refusal_name(size_t place);

/* struct metric_sources: what main reads from. */
struct metric_sources {
    const struct service *service;
    const struct reload *reload;
};

/* struct metric: `of_worker`, in the worker's thread, or `of_main` fill in a number for each series, the last axis fastest; of METRIC_TIMES
 * POLICY_TIMES counts and a sum. They are zeroed before. */
struct metric {
    const char *name;
    enum metric_type type;
    enum metric_axis axes[METRIC_AXES];
    double unit; /* what 1 is; 0: 1 */
    bool guards; /* a series of the rows behind that are `guarded` is there where this one is not 0 */
    bool guarded;
    void (*of_worker)(const struct worker *, uint64_t *out);
    void (*of_main)(const struct metric_sources *, uint64_t *out);
    const char *help;
};

extern const struct metric metric_of_worker[], metric_of_tenants[], metric_of_main[]; /* worker_metric.c, metric_tenant.c, metric_main.c; the last has no name */

/* metric_places: how many numbers a row has. */
size_t metric_places(const struct metric *, const struct service *);

/* metric_write_scripts: the counters that scripts made; NULL: there are none. */
void metric_write_scripts(struct policy_shared *, FILE *);

/* metric_tenants: adds `count` counts of each place of AXIS_TENANT, beginning with `first`.  metric_tenants_held, _active, _month: likewise, allocations that
 * are held, and that carried data lately; bytes of the month.
 * metric_tenant: the name of a place; "": of all others; NULL: of nobody. */
void metric_tenants(const struct service *, enum tenant_count first, size_t count, uint64_t *out);
void metric_tenants_held(const struct service *, uint64_t *out);
void metric_tenants_active(const struct service *, uint64_t *out);
void metric_tenants_month(const struct service *, uint64_t *out);
const char *metric_tenant(const struct service *, size_t place);

/* metric_write: all of them, and those of the scripts.  metric_describe: core/METRICS.md. */
void metric_write(const struct metric_sources *, FILE *);
void metric_describe(FILE *);

#endif
