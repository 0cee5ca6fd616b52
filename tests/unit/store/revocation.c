/* revocation.c: who may relay no more, as the file has it. */
#include "scratch.h"

#define T0 INT64_C(1800000000000)

static void list_row(void *ctx, const struct desk_revocation *row)
{
    char line[128], *out = ctx;
    snprintf(line, sizeof line, "%lld:%s/%s/%s/%lld ", (long long)row->id, row->kind, row->tenant, row->name, (long long)(row->until_ms / 1000));
    strcat(out, line);
}

static void check_rows(struct desk *desk, const char *tenant, const char *want)
{
    char found[512] = "";
    CHECK_INT(desk_revocations(desk, tenant, list_row, found), 0);
    CHECK_TEXT(found, want);
}

static int64_t put(struct desk *desk, const char *kind, const char *tenant, const char *name, int64_t until_ms)
{
    const struct desk_revocation row = {.kind = kind, .tenant = tenant, .name = name, .at_ms = T0, .until_ms = until_ms};
    int64_t id = -1;
    CHECK_INT(desk_revoke(desk, &row, "root", &id), 0);
    return id;
}

static int64_t version(struct desk *desk)
{
    int64_t number = -1;
    CHECK_INT(desk_revocations_version(desk, &number), 0);
    return number;
}

TEST(a_row_is_written_anew_with_another_number_and_its_audit)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    const int64_t before = version(desk);
    CHECK_INT(put(desk, "tag", "acme", "ann", 5000), 1);
    CHECK_INT(put(desk, "tenant", "other", "", 6000), 2);
    CHECK_INT(put(desk, "key", "acme", "k1", 0), 3);
    CHECK_INT(put(desk, "tag", "acme", "ann", 7000), 4);
    check_rows(desk, NULL, "2:tenant/other//6 3:key/acme/k1/0 4:tag/acme/ann/7 ");
    check_rows(desk, "acme", "3:key/acme/k1/0 4:tag/acme/ann/7 ");
    CHECK(version(desk) > before);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'revoke' AND who = 'root' AND tenant = 'acme'"), 3);
    char *detail = scratch_text(&scratch, "SELECT detail FROM audit WHERE tenant = 'other'");
    CHECK_TEXT(detail, "{\"tenant\":\"other\"}");
    free(detail);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(what_is_lifted_is_gone_and_another_tenants_is_not_there)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    const int64_t id = put(desk, "credential", "acme", "c1", 5000), before = version(desk);
    CHECK_INT(desk_revocation_lift(desk, id, "other", "root"), ERR_NOT_FOUND);
    CHECK_INT(desk_revocation_lift(desk, id + 1, NULL, "root"), ERR_NOT_FOUND);
    CHECK_INT(version(desk), before);
    CHECK_INT(desk_revocation_lift(desk, id, "acme", "root"), 0);
    check_rows(desk, NULL, "");
    CHECK(version(desk) > before);
    char *detail = scratch_text(&scratch, "SELECT detail FROM audit WHERE type = 'revocation_lift' AND tenant = 'acme'");
    CHECK_TEXT(detail, "{\"credential\":\"c1\"}");
    free(detail);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(what_has_stood_its_time_is_swept_and_nothing_is_written_for_nothing)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    put(desk, "tag", "acme", "ann", 5000);
    put(desk, "tag", "acme", "bob", 6000);
    put(desk, "key", "acme", "k1", 0);
    const int64_t before = version(desk);
    CHECK_INT(desk_revocations_sweep(desk, 4999), 0);
    CHECK_INT(version(desk), before);
    CHECK_INT(desk_revocations_sweep(desk, 5000), 0);
    check_rows(desk, NULL, "2:tag/acme/bob/6 3:key/acme/k1/0 ");
    CHECK(version(desk) > before);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_key_that_is_removed_shuts_out_what_was_minted_under_it)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    static const uint8_t hash[STORE_API_KEY_HASH_LEN] = {1};
    char owner[STORE_TENANT_MAX + 1];
    scratch_tell(&scratch, "INSERT INTO tenants (name, created_ms) VALUES ('acme', 1)");
    CHECK_INT(desk_key_add(desk, &(struct desk_key){.id = "k1", .tenant = "acme", .scopes = "mint", .name = "", .hash = hash, .created_ms = T0}, "root"), 0);
    CHECK_INT(desk_key_remove(desk, "k1", NULL, "root", owner), 0);
    check_rows(desk, NULL, "1:key/acme/k1/0 ");
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(a_row_is_written_anew_with_another_number_and_its_audit) RUN(what_is_lifted_is_gone_and_another_tenants_is_not_there)
              RUN(what_has_stood_its_time_is_swept_and_nothing_is_written_for_nothing)
                  RUN(a_key_that_is_removed_shuts_out_what_was_minted_under_it))
