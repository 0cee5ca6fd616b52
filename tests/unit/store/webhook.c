/* webhook.c: webhooks, and the rows that wait for them. */
#include "store/webhook.h"
#include "scratch.h"

#define T0 INT64_C(1800000000000)

static struct webhook hook_of(const char *id, const char *tenant, const char *types)
{
    struct webhook hook = {.enabled = true, .created_ms = T0};
    snprintf(hook.id, sizeof hook.id, "%s", id);
    snprintf(hook.tenant, sizeof hook.tenant, "%s", tenant);
    snprintf(hook.types, sizeof hook.types, "%s", types);
    snprintf(hook.url, sizeof hook.url, "https://%s.test/", id);
    memset(hook.secret, 's', sizeof hook.secret);
    return hook;
}

static void put(struct desk *desk, const char *id, const char *tenant, const char *types)
{
    const struct webhook hook = hook_of(id, tenant, types);
    CHECK_INT(webhook_put(desk, &hook, "root"), 0);
}

static int64_t tell(struct desk *desk, const char *id, const char *type, const char *tenant)
{
    int64_t count, lost;
    CHECK_INT(webhook_tell(desk, &(struct webhook_event){id, type, tenant, NULL, "{}", T0}, &count, &lost), 0);
    CHECK_INT(lost, 0);
    return count;
}

static void note(void *ctx, const struct webhook_row *row)
{
    char *out = ctx;
    snprintf(out + strlen(out), 400 - strlen(out), "%s>%s@%d ", row->event, row->webhook, (int)row->attempts);
    CHECK(row->secret[0] == 's' && strcmp(row->body, "{}") == 0 && strncmp(row->url, "https://", 8) == 0);
}

static void check_due(struct desk *desk, int64_t now_ms, const char *want)
{
    char found[400] = "";
    CHECK_INT(webhook_due(desk, now_ms, 100, note, found), 0);
    CHECK_TEXT(found, want);
}

static int settle(struct desk *desk, const char *event, const char *hook, struct webhook_result result)
{
    result.event = event;
    result.webhook = hook;
    return webhook_settle(desk, &result);
}

TEST(an_event_waits_for_those_that_want_it)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    put(desk, "all", "*", "");
    put(desk, "some", "*", "key.revoked,quota.full");
    put(desk, "acme", "acme", "");
    put(desk, "beta", "beta", "quota.full");
    CHECK_INT(tell(desk, "e1", "quota.full", "acme"), 3);
    CHECK_INT(tell(desk, "e1", "quota.full", "acme"), 0); /* twice is once */
    CHECK_INT(tell(desk, "e2", "quota", "acme"), 2);      /* no part of a name */
    CHECK_INT(tell(desk, "e3", "node.draining", "*"), 2);
    CHECK_INT(tell(desk, "e4", "certificate.expiring", ""), 1);
    CHECK_INT(tell(desk, "e5", "quota.full", "*"), 4);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM outbox WHERE webhook = 'acme' AND event IN ('e1', 'e2', 'e3', 'e5')"), 4);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_row_goes_when_it_was_taken_and_comes_back_when_it_was_not)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    int64_t next = 0, waiting = 0;
    put(desk, "h", "*", "");
    tell(desk, "e1", "key.revoked", "a");
    tell(desk, "e2", "key.revoked", "a");
    check_due(desk, T0 - 1, "");
    check_due(desk, T0, "e1>h@0 e2>h@0 ");
    CHECK_INT(settle(desk, "e1", "h", (struct webhook_result){.error = "", .taken = true}), 0);
    CHECK_INT(settle(desk, "e2", "h", (struct webhook_result){.error = "connect", .next_ms = T0 + 5000}), 0);
    check_due(desk, T0 + 4999, "");
    check_due(desk, T0 + 5000, "e2>h@1 ");
    CHECK_INT(webhook_ahead(desk, &next, &waiting), 0);
    CHECK_INT(next, T0 + 5000);
    CHECK_INT(waiting, 1);
    CHECK_INT(settle(desk, "e2", "h", (struct webhook_result){.error = "timeout"}), 0);
    check_due(desk, INT64_MAX, "");
    struct webhook hook;
    CHECK_INT(webhook_find(desk, "h", NULL, &hook), 0);
    CHECK_INT(hook.waiting, 0);
    CHECK_INT(hook.dead, 1);
    CHECK_TEXT(hook.error, "timeout");
    CHECK_INT(webhook_ahead(desk, &next, &waiting), 0);
    CHECK(next == INT64_MAX && waiting == 0);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_webhook_that_has_many_leaves_room_for_others)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    char id[16];
    put(desk, "down", "a", "");
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "e%02d", i);
        tell(desk, id, "key.revoked", "a");
    }
    put(desk, "up", "a", "");
    put(desk, "other", "b", "");
    tell(desk, "last", "key.revoked", "a");
    tell(desk, "theirs", "key.revoked", "b");
    check_due(desk, T0, "e00>down@0 theirs>other@0 last>up@0 e01>down@0 e02>down@0 e03>down@0 ");
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(one_that_is_gone_is_disabled_with_its_reason_and_told_nothing)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct webhook hook;
    put(desk, "h", "acme", "");
    tell(desk, "e1", "key.revoked", "acme");
    CHECK_INT(settle(desk, "e1", "h", (struct webhook_result){.error = "answered 410", .gone = true}), 0);
    CHECK_INT(tell(desk, "e2", "key.revoked", "acme"), 0);
    CHECK_INT(webhook_find(desk, "h", "acme", &hook), 0);
    CHECK(!hook.enabled && hook.waiting == 0);
    CHECK_TEXT(hook.reason, "answered 410");
    hook.enabled = true;
    CHECK_INT(webhook_change(desk, &hook, "root"), 0);
    CHECK_INT(tell(desk, "e3", "key.revoked", "acme"), 1);
    CHECK_INT(webhook_find(desk, "h", "beta", &hook), ERR_NOT_FOUND);
    CHECK_INT(webhook_remove(desk, "h", "beta", "root"), ERR_NOT_FOUND);
    CHECK_INT(webhook_remove(desk, "h", "acme", "root"), 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM outbox"), 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type LIKE 'webhook_%' AND detail NOT LIKE '%ssss%'"), 3);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(webhooks_of_a_tenant_and_their_rows_are_bounded)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    char id[16];
    int64_t count, lost;
    for (int i = 0; i < WEBHOOKS_EACH; i++) {
        snprintf(id, sizeof id, "h%d", i);
        put(desk, id, "acme", i ? "none" : "");
    }
    const struct webhook more = hook_of("more", "acme", "");
    CHECK_INT(webhook_put(desk, &more, "root"), ERR_EXISTS);
    scratch_tell(&scratch, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                           " INSERT INTO outbox (event, webhook, body, next_ms, created_ms) SELECT 'x' || i, 'h0', '{}', 0, 0 FROM n");
    CHECK_INT(webhook_tell(desk, &(struct webhook_event){"e", "key.revoked", "acme", NULL, "{}", T0}, &count, &lost), 0);
    CHECK(count == 0 && lost == 1);
    put(desk, "other", "beta", "");
    CHECK_INT(tell(desk, "e", "key.revoked", "beta"), 1);
    scratch_tell(&scratch, "UPDATE outbox SET state = 'dead'");
    scratch_tell(&scratch,
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 18000)"
                 " INSERT INTO outbox (event, webhook, body, state, next_ms, created_ms) SELECT 'y' || i, 'h1', '{}', 'dead', 0, 1 FROM n");
    CHECK_INT(tell(desk, "e9", "key.revoked", "acme"), 1); /* the dead make room */
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(an_event_waits_for_those_that_want_it) RUN(a_row_goes_when_it_was_taken_and_comes_back_when_it_was_not)
              RUN(a_webhook_that_has_many_leaves_room_for_others) RUN(one_that_is_gone_is_disabled_with_its_reason_and_told_nothing)
                  RUN(webhooks_of_a_tenant_and_their_rows_are_bounded))
