/* key.c: keys of the admin door: added, listed, revoked, and read by the door of a server that runs. */
#include "scratch.h"

#include "base/clock.h"

#include <string.h>

static const uint8_t hash[STORE_API_KEY_HASH_LEN] = {1, 2, 3, 0, 5};

static int add(struct desk *desk, const char *id, const char *tenant, int64_t expires_ms)
{
    const struct desk_key key = {.id = id,
                                 .tenant = tenant,
                                 .scopes = "mint,admin",
                                 .name = "desk",
                                 .hash = hash,
                                 .created_ms = clock_unix_ms(),
                                 .expires_ms = expires_ms};
    return desk_key_add(desk, &key, "test");
}

static void list_key(void *ctx, const struct desk_key *key)
{
    char *text = ctx;
    const size_t len = strlen(text);
    CHECK(key->hash == NULL);
    snprintf(text + len, 256 - len, "%s/%s%s ", key->tenant, key->id, key->revoked_ms ? "!" : "");
}

static void check_keys(struct desk *desk, const struct desk_page *page, const char *want)
{
    char found[256] = "";
    CHECK_INT(desk_keys(desk, page, list_key, found), 0);
    CHECK_TEXT(found, want);
}

TEST(keys_are_of_a_tenant_that_is_there_or_of_the_operator_and_stay_when_they_are_revoked)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    char owner[STORE_TENANT_MAX + 1] = "";
    CHECK_INT(desk_tenant_set(desk, "acme", "status", "active", "test"), 0);
    CHECK_INT(add(desk, "k1", "nobody", 0), ERR_NOT_FOUND);
    CHECK_TEXT(desk_error(desk), "no such tenant");
    CHECK_INT(add(desk, "k1", "acme", 0), 0);
    CHECK_INT(add(desk, "k2", "acme", 7), 0);
    CHECK_INT(add(desk, "k3", "*", 0), 0);
    CHECK(add(desk, "k3", "acme", 0) != 0);
    check_keys(desk, &(struct desk_page){0}, "acme/k1 acme/k2 */k3 ");
    check_keys(desk, &(struct desk_page){.name = "acme", .after = "k1", .limit = 5}, "acme/k2 ");
    check_keys(desk, &(struct desk_page){.limit = 1}, "acme/k1 ");
    CHECK_INT(desk_key_remove(desk, "k1", "umbra", "test", owner), ERR_NOT_FOUND);
    CHECK_INT(desk_key_remove(desk, "k1", "acme", "test", owner), 0);
    CHECK_TEXT(owner, "acme");
    CHECK_INT(desk_key_remove(desk, "k1", NULL, "test", owner), ERR_NOT_FOUND);
    check_keys(desk, &(struct desk_page){0}, "acme/k1! acme/k2 */k3 ");
    desk_close(desk);
    CHECK_INT(
        scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'key_add' AND json_extract(after, '$.scopes') = 'mint,admin'"),
        3);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'key_remove' AND tenant = 'acme'"), 1);
    scratch_remove(&scratch);
}

TEST(a_reader_sees_a_key_and_its_end_at_once)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_api_key key;
    char owner[STORE_TENANT_MAX + 1];
    CHECK_INT(store_reader_api_key(reader, view_text("k1"), &key), ERR_NOT_FOUND);
    CHECK_INT(add(desk, "k1", "*", 7), 0);
    CHECK_INT(store_reader_api_key(reader, view_text("k1"), &key), 0);
    CHECK_TEXT(key.id, "k1");
    CHECK_TEXT(key.tenant, "*");
    CHECK_TEXT(key.scopes, "mint,admin");
    CHECK_BYTES(key.hash, hash, sizeof hash);
    CHECK(key.expires_ms == 7 && key.revoked_ms == 0);
    CHECK_INT(desk_key_remove(desk, "k1", NULL, "test", owner), 0);
    CHECK_INT(store_reader_api_key(reader, view_text("k1"), &key), 0);
    CHECK(key.revoked_ms > 0);
    CHECK_INT(store_reader_api_key(reader, view_text("K1"), &key), ERR_NOT_FOUND);
    CHECK_INT(store_reader_api_key(reader, view_text(""), &key), ERR_NOT_FOUND);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(keys_are_of_a_tenant_that_is_there_or_of_the_operator_and_stay_when_they_are_revoked)
              RUN(a_reader_sees_a_key_and_its_end_at_once))
