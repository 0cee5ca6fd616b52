/* revoker_look.c: the table revocations and the list in memory are made the same, once a second, by the clerk. */
#include "server/revoker.h"

#include "base/clock.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 5000

/* struct revoke_look: `unwritten` are copies of rows that could not be written so far. */
struct revoke_look {
    struct clerk_job job; /* first */
    struct revoker *revoker;
    bool is_asked, has_read;
    int64_t version; /* of the table, when it was read last */
    struct revoke_list unwritten, read;
};

static void take(void *ctx, const struct desk_revocation *row)
{
    struct revoke_look *look = ctx;
    if (!revoke_list_add(&look->read, row, NULL))
        look->has_read = false;
}

/* read_table: if it is another than before. A row that was written since its version was asked for is seen the next time. */
static int read_table(struct desk *desk, struct revoke_look *look)
{
    int64_t version = 0;
    int err = desk_revocations_sweep(desk, clock_unix_ms());
    if (err == 0)
        err = desk_revocations_version(desk, &version);
    if (err || version == look->version)
        return err;
    look->has_read = true;
    err = desk_revocations(desk, NULL, take, look);
    look->has_read &= err == 0;
    if (look->has_read)
        look->version = version;
    return err;
}

static int work(struct desk *desk, struct clerk_job *job)
{
    struct revoke_look *look = (struct revoke_look *)job;
    int err = 0;
    for (size_t i = 0; i < look->unwritten.count && !err; i++) {
        struct revoke_row *unwritten = &look->unwritten.rows[i];
        const struct desk_revocation row = revoke_list_row(unwritten);
        err = desk_revoke(desk, &row, unwritten->who, &unwritten->id);
    }
    return err ? err : read_table(desk, look);
}

/* is_pending: not in the table, or in it as it was before. */
static bool is_pending(const struct revoke_row *row)
{
    return row->who != NULL;
}

/* tell_new: what the command line wrote: what we wrote ourselves is in the list already. */
static void tell_new(const struct revoker *revoker, const struct revoke_list *read)
{
    int64_t last = 0;
    for (size_t i = 0; i < revoker->list.count; i++)
        last = revoker->list.rows[i].id > last ? revoker->list.rows[i].id : last;
    for (size_t i = 0; i < read->count; i++) {
        const struct desk_revocation row = revoke_list_row(&read->rows[i]);
        if (row.id <= last || revoke_list_find(&revoker->list, read->rows[i].digest))
            continue;
        log_say(revoker->service->log, LOG_INFO, "revoked", "kind=%s id=%lld who=database", row.kind, (long long)row.id);
        if (read->rows[i].kind != REVOKE_KEY) /* of a key that was removed it has been told */
            revoker_tell(revoker, &row, "database");
    }
}

/* exchange: what was read takes the place of the list; what is not written yet stays. */
static void exchange(struct revoker *revoker, struct revoke_list *read)
{
    for (size_t i = 0; i < revoker->list.count; i++) {
        const struct revoke_row *row = &revoker->list.rows[i];
        const struct desk_revocation from = revoke_list_row(row);
        if (!is_pending(row))
            continue;
        const struct revoke_row *same = revoke_list_find(read, row->digest);
        if (same)
            revoke_list_drop(read, same);
        struct revoke_row *kept = revoke_list_add(read, &from, row->who);
        if (!kept)
            return; /* without memory all stays as it is until the table changes again */
        kept->order = row->order;
        kept->has_failed = row->has_failed;
    }
    const struct revoke_list before = revoker->list;
    revoker->list = *read;
    *read = before;
    revoker->has_changed = true;
}

static void on_looked(struct clerk_job *job, int err)
{
    struct revoke_look *look = (struct revoke_look *)job;
    struct revoker *revoker = look->revoker;
    for (size_t i = 0; i < look->unwritten.count && !err; i++) {
        struct revoke_row *row = revoke_list_find(&revoker->list, look->unwritten.rows[i].digest);
        if (row && row->has_failed) {
            row->who = NULL;
            row->id = look->unwritten.rows[i].id;
        }
    }
    if (look->has_read) {
        tell_new(revoker, &look->read);
        exchange(revoker, &look->read);
    }
    revoke_list_close(&look->read);
    revoke_list_close(&look->unwritten);
    look->is_asked = look->has_read = false;
    if (revoker->has_changed)
        revoker_rouse(revoker);
}

static void gather_unwritten(struct revoke_look *look, const struct revoke_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct desk_revocation row = revoke_list_row(&list->rows[i]);
        if (list->rows[i].has_failed && is_pending(&list->rows[i]))
            revoke_list_add(&look->unwritten, &row, list->rows[i].who);
    }
}

/* drop_old: what has stood its time; true: there was something. */
static bool drop_old(struct revoke_list *list, int64_t now_ms)
{
    const size_t before = list->count;
    for (size_t i = list->count; i > 0; i--)
        if (list->rows[i - 1].until_ms <= now_ms)
            revoke_list_drop(list, &list->rows[i - 1]);
    return list->count < before;
}

void revoker_second(struct revoker *revoker)
{
    struct revoke_look *look = revoker->look;
    revoker->is_stale |= drop_old(&revoker->list, clock_unix_ms());
    revoker_rouse(revoker);
    if (!revoker->service->clerk || look->is_asked)
        return;
    look->is_asked = true;
    look->job.work = work;
    look->job.done = on_looked;
    gather_unwritten(look, &revoker->list);
    clerk_ask(revoker->service->clerk, &look->job);
}

static int load(struct revoker *revoker, char *reason, size_t cap)
{
    struct revoke_look *look = revoker->look;
    struct desk *desk;
    int err = desk_open_beside(revoker->service->config->userdb, PATIENCE_MS, &desk, reason, cap);
    if (err)
        return err;
    err = read_table(desk, look);
    if (err)
        snprintf(reason, cap, "%s: %s", revoker->service->config->userdb, desk_error(desk));
    desk_close(desk);
    exchange(revoker, &look->read);
    revoke_list_close(&look->read);
    look->has_read = revoker->has_changed = false;
    return err;
}

int revoker_load(struct revoker *revoker, struct refusal *refusal)
{
    const struct config *config = revoker->service->config;
    struct revoke_look *look = revoker->look = calloc(1, sizeof *look);
    char reason[REFUSAL_MAX];
    if (!look)
        return ERR_MEMORY;
    look->revoker = revoker;
    revoke_list_init(&look->read, &revoker->service->engine.hash_key);
    revoke_list_init(&look->unwritten, &revoker->service->engine.hash_key);
    if (!revoker->service->store || load(revoker, reason, sizeof reason) == 0)
        return 0;
    return refuse(refusal, config, "userdb", "%s", reason);
}

void revoker_look_free(struct revoke_look *look)
{
    if (!look)
        return;
    revoke_list_close(&look->read);
    revoke_list_close(&look->unwritten);
    free(look);
}
