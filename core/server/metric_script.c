/* metric_script.c: the counters that policies made, by name. */
#include "server/metric.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define SERIES_CAP 512

struct counter {
    char series[SERIES_CAP]; /* name{label="value"} */
    uint64_t value;
};

struct counters {
    struct counter *items;
    size_t count, room;
};

static void gather(void *ctx, const char *series, uint64_t value)
{
    struct counters *all = ctx;
    if (all->count == all->room) {
        const size_t room = 2 * all->room + 16;
        struct counter *items = realloc(all->items, room * sizeof *items);
        if (!items)
            return;
        all->items = items;
        all->room = room;
    }
    struct counter *counter = &all->items[all->count++];
    counter->value = value;
    utf8_text(view_text(series), counter->series, sizeof counter->series);
}

static size_t name_len(const char *series)
{
    return strcspn(series, "{");
}

/* By name first: all series of a name stand together. */
static int compare(const void *a, const void *b)
{
    const char *one = ((const struct counter *)a)->series, *two = ((const struct counter *)b)->series;
    const size_t len = name_len(one), other = name_len(two);
    const int order = strncmp(one, two, len < other ? len : other);
    return order ? order : len != other ? (len < other ? -1 : 1) : strcmp(one, two);
}

void metric_write_scripts(struct policy_shared *shared, FILE *out)
{
    struct counters all = {0};
    if (shared)
        policy_metrics(shared, gather, &all);
    if (all.count)
        qsort(all.items, all.count, sizeof *all.items, compare);
    for (size_t i = 0; i < all.count; i++) {
        const char *series = all.items[i].series;
        const int len = (int)name_len(series);
        if (i == 0 || name_len(all.items[i - 1].series) != (size_t)len || strncmp(all.items[i - 1].series, series, (size_t)len) != 0)
            fprintf(out, "# HELP relay_script_%.*s A counter of a policy.\n# TYPE relay_script_%.*s counter\n", len, series, len, series);
        fprintf(out, "relay_script_%s %llu\n", series, (unsigned long long)all.items[i].value);
    }
    free(all.items);
}
