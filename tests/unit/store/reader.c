/* reader.c: what workers read, beside a writer that they never wait for; ours and coturn's. */
#include "scratch.h"

#include "base/clock.h"
#include "base/crypto.h"

#include <pthread.h>
#include <stdatomic.h>

static const uint8_t key_a[STORE_KEY_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t key_b[STORE_KEY_LEN] = {0xff, 0, 0xee, 0, 0xdd};

static int find_key(struct store_reader *reader, const char *realm, const char *user, uint8_t *key)
{
    struct store_keys keys;
    const int err = store_reader_keys(reader, view_text(realm), view_text(user), &keys);
    if (err == 0)
        memcpy(key, keys.md5[0], STORE_KEY_LEN);
    return err;
}

TEST(a_key_is_found_by_realm_and_user_and_changes_at_once)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    uint8_t key[STORE_KEY_LEN];
    CHECK_INT(find_key(reader, "r", "alice", key), ERR_NOT_FOUND);
    CHECK_INT(scratch_user(desk, "r", "alice", key_a, "test"), 0);
    CHECK_INT(find_key(reader, "r", "alice", key), 0);
    CHECK_BYTES(key, key_a, STORE_KEY_LEN);
    CHECK_INT(find_key(reader, "R", "alice", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "r", "Alice", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "r", "alice ", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "", "", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "r", "' OR 1=1 --", key), ERR_NOT_FOUND);
    CHECK_INT(store_reader_keys(reader, (struct view){0}, (struct view){0}, &(struct store_keys){0}), ERR_NOT_FOUND);
    CHECK_INT(scratch_user(desk, "r", "alice", key_b, "test"), 0);
    CHECK_INT(find_key(reader, "r", "alice", key), 0);
    CHECK_BYTES(key, key_b, STORE_KEY_LEN);
    CHECK_INT(scratch_user_remove(desk, "r", "alice", "test"), 0);
    CHECK_INT(find_key(reader, "r", "alice", key), ERR_NOT_FOUND);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_user_has_a_key_for_each_kind_of_client)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct desk_user user = {
        .realm = "r", .name = "alice", .keys = {.md5 = {{1}, {2}, {3}}, .md5_count = 3, .has_sha256 = true, .sha256 = {4}}};
    struct store_keys keys;
    CHECK_INT(desk_user_put(desk, &user, DESK_PUT, "test"), 0);
    CHECK_INT(store_reader_keys(reader, view_text("r"), view_text("alice"), &keys), 0);
    CHECK_INT(keys.md5_count, 3);
    CHECK_BYTES(keys.md5, user.keys.md5, sizeof keys.md5);
    CHECK(keys.has_sha256);
    CHECK_BYTES(keys.sha256, user.keys.sha256, sizeof keys.sha256);
    CHECK_INT(scratch_user(desk, "r", "alice", key_a, "test"), 0); /* by key: what was of the old password is gone */
    CHECK_INT(store_reader_keys(reader, view_text("r"), view_text("alice"), &keys), 0);
    CHECK_INT(keys.md5_count, 1);
    CHECK(!keys.has_sha256);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_user_is_found_by_userhash_without_a_scan)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    char name[STORE_NAME_MAX + 1] = "";
    uint8_t hash[STORE_USERHASH_LEN] = "hash of alice";
    CHECK_INT(store_reader_unhash(reader, view_text("r"), view_of(hash, sizeof hash), name), ERR_NOT_FOUND);
    CHECK_INT(scratch_user(desk, "r", "alice", key_a, "test"), 0);
    CHECK_INT(store_reader_unhash(reader, view_text("r"), view_of(hash, sizeof hash), name), 0);
    CHECK_TEXT(name, "alice");
    CHECK_INT(store_reader_unhash(reader, view_text("other"), view_of(hash, sizeof hash), name), ERR_NOT_FOUND);
    CHECK_INT(store_reader_unhash(reader, view_text("r"), view_of(hash, 31), name), ERR_NOT_FOUND);
    CHECK(store_reader_knows_hashes(reader));
    sqlite3 *other = scratch_connect(&scratch);
    sqlite3_stmt *plan;
    CHECK_INT(sqlite3_prepare_v2(other, "EXPLAIN QUERY PLAN SELECT name FROM users WHERE userhash = ?1 AND realm = ?2", -1, &plan, NULL),
              SQLITE_OK);
    CHECK_INT(sqlite3_step(plan), SQLITE_ROW);
    CHECK(strstr((const char *)sqlite3_column_text(plan, 3), "INDEX users_userhash (userhash=? AND realm=?)"));
    sqlite3_finalize(plan);
    sqlite3_close(other);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

static int find_oauth(struct store_reader *reader, const char *kid, struct store_oauth_key *key)
{
    return store_reader_oauth_key(reader, view_text(kid), key);
}

/* the rows of coturn's testsqldbsetup.sql, whose keys are a byte longer than they are used */
TEST(an_oauth_key_is_found_by_its_kid_in_the_table_that_coturn_has_too)
{
    struct scratch scratch = scratch_make();
    struct store_oauth_key key;
    scratch_tell(&scratch,
                 "CREATE TABLE oauth_key (kid varchar(128), ikm_key varchar(256), timestamp bigint default 0, lifetime integer default 0,"
                 " as_rs_alg varchar(64) default '', realm varchar(127), primary key (kid));"
                 "INSERT INTO oauth_key VALUES ('north', 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK', 0, 0, 'A256GCM', 'crinna.org'),"
                 " ('union', 'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 1000, 60, 'a128gcm', NULL)");
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    CHECK_INT(find_oauth(reader, "north", &key), 0);
    CHECK_INT(key.aead, CRYPTO_A256GCM);
    CHECK_BYTES(key.key, "01234567890123456789012345678901", 32);
    CHECK_INT(key.expires_s, 0);
    CHECK_TEXT(key.realm, "crinna.org");
    CHECK_INT(find_oauth(reader, "union", &key), 0);
    CHECK_INT(key.aead, CRYPTO_A128GCM);
    CHECK_BYTES(key.key, "1234567890123456", 16);
    CHECK_INT(key.expires_s, 1060);
    CHECK_TEXT(key.realm, "");
    CHECK_INT(find_oauth(reader, "North", &key), ERR_NOT_FOUND);
    CHECK_INT(find_oauth(reader, "", &key), ERR_NOT_FOUND);
    CHECK_INT(desk_oauth_remove(desk, "north", "test"), 0);
    CHECK_INT(find_oauth(reader, "north", &key), ERR_NOT_FOUND);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_row_that_makes_no_oauth_key_is_none)
{
    static const char *const rows[] = {
        "NULL, 0, 0, 'A256GCM', ''",
        "'', 0, 0, 'A256GCM', ''",
        "'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 0, 0, 'A256GCM', ''", /* 17 bytes */
        "'MTIzNDU2Nzg5MDEyMzQ1Ngo', 0, 0, 'A128GCM', ''",  /* no Base64 */
        "'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 0, 0, NULL, ''",
        "'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 0, 0, 'A128GC', ''",
        "'MTIzNDU2Nzg5MDEyMzQ1Ngo=', 0, 0, 'A128GCM', printf('%.*c', 129, 'r')",
        "printf('%.*c', 260, 'A'), 0, 0, 'A128GCM', ''", /* more than coturn's column */
    };
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_oauth_key key;
    char sql[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO oauth_key (kid, ikm_key, timestamp, lifetime, as_rs_alg, realm) VALUES ('k', %s)",
                 rows[i]);
        scratch_tell(&scratch, sql);
        CHECK_INT(find_oauth(reader, "k", &key), ERR_NOT_FOUND);
    }
    scratch_tell(&scratch,
                 "UPDATE oauth_key SET ikm_key = 'MTIzNDU2Nzg5MDEyMzQ1Ngo=', realm = '', timestamp = 9223372036854775807, lifetime = 9");
    CHECK_INT(find_oauth(reader, "k", &key), 0);
    CHECK(key.expires_s == INT64_MAX);
    scratch_tell(&scratch, "UPDATE oauth_key SET timestamp = 0, lifetime = -9");
    CHECK_INT(find_oauth(reader, "k", &key), 0);
    CHECK_INT(key.expires_s, 1);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_tenant_is_read_with_its_limits)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_tenant tenant;
    CHECK_INT(store_reader_tenant(reader, view_text("acme"), &tenant), ERR_NOT_FOUND);
    CHECK_INT(desk_tenant_set(desk, "acme", "max_bps", "8000000", "test"), 0);
    CHECK_INT(desk_tenant_set(desk, "acme", "realm", "acme.example", "test"), 0);
    CHECK_INT(store_reader_tenant(reader, view_text("acme"), &tenant), 0);
    CHECK_TEXT(tenant.name, "acme");
    CHECK_TEXT(tenant.realm, "acme.example");
    CHECK_TEXT(tenant.status, "active");
    CHECK_TEXT(tenant.month_action, "notify");
    CHECK_TEXT(tenant.expiry, "keep");
    CHECK_INT(tenant.max_bps, 8000000);
    CHECK_INT(tenant.max_allocations, 0);
    CHECK_INT(desk_tenant_set(desk, "acme", "status", "disabled", "test"), 0);
    CHECK_INT(store_reader_tenant(reader, view_text("acme"), &tenant), 0);
    CHECK_TEXT(tenant.status, "disabled");
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

static void collect_names(void *ctx, const struct store_tenant *tenant)
{
    char *out = ctx;
    strcat(strcat(out, tenant->name), " ");
}

TEST(whatever_changes_a_tenant_raises_the_version_that_is_read_with_it)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_tenant tenant;
    char names[64] = "";
    static const char *const changes[] = {"INSERT INTO tenants (name, created_ms) VALUES ('zeta', 1)", "UPDATE tenants SET max_bps = 9 WHERE name = 'zeta'",
                                          "INSERT INTO tenants (name, created_ms) VALUES ('acme', 1)", "DELETE FROM tenants WHERE name = 'zeta'"};
    int64_t before = store_reader_version(reader);
    CHECK(before > 0);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        scratch_tell(&scratch, changes[i]);
        const int64_t after = store_reader_version(reader);
        CHECK(after > before);
        before = after;
    }
    CHECK_INT(store_reader_tenant(reader, view_text("acme"), &tenant), 0);
    CHECK_INT(tenant.version, before);
    CHECK_INT(desk_tenant_set(desk, "beta", "max_bps", "8", "test"), 0);
    CHECK(store_reader_version(reader) > before);
    CHECK_INT(store_reader_tenants(reader, collect_names, names), 0);
    CHECK_TEXT(names, "acme beta ");
    scratch_tell(&scratch, "DROP TABLE versions");
    CHECK_INT(store_reader_version(reader), ERR_SYSTEM);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

static void collect(void *ctx, struct view secret)
{
    char text[64], *out = ctx;
    view_copy(secret, text, sizeof text);
    strcat(strcat(out, text), " ");
}

TEST(secrets_of_the_realm_and_of_no_realm_come_newest_first)
{
    struct scratch scratch = scratch_make();
    struct store_reader *reader;
    char found[256] = "";
    struct desk *desk = scratch_desk(&scratch);
    desk_close(desk);
    scratch_tell(&scratch, "INSERT INTO secrets (realm, secret, created_ms) VALUES ('r', 'old', 1), ('r', 'new', 9), ('', 'any', 5), "
                           "('other', 'not', 7), ('r', 'twin', 9)");
    reader = scratch_reader(&scratch);
    CHECK_INT(store_reader_secrets(reader, view_text("r"), collect, found), 0);
    CHECK_TEXT(found, "twin new any old ");
    found[0] = 0;
    CHECK_INT(store_reader_secrets(reader, view_text("nowhere"), collect, found), 0);
    CHECK_TEXT(found, "any ");
    store_reader_close(reader);
    scratch_remove(&scratch);
}

/* As coturn's schema.sql makes them. */
static const char coturn_schema[] =
    "CREATE TABLE turnusers_lt (realm varchar(127) default '', name varchar(512), hmackey char(128), PRIMARY KEY (realm, name));"
    "CREATE TABLE turn_secret (realm varchar(127) default '', value varchar(256), primary key (realm, value));"
    "INSERT INTO turnusers_lt VALUES ('r', 'carol', '0102030405060708090a0b0c0d0e0f10'), ('r', 'sha256', "
    "'0102030405060708090a0b0c0d0e0f100102030405060708090a0b0c0d0e0f10'), ('r', 'bad', '0102030405060708090a0b0c0d0e0fzz');"
    "INSERT INTO turn_secret VALUES ('r', 'logen'), ('other', 'not');";

TEST(users_and_secrets_of_a_coturn_database_count_too)
{
    struct scratch scratch = scratch_make();
    uint8_t key[STORE_KEY_LEN];
    char found[256] = "";
    scratch_tell(&scratch, coturn_schema);
    struct store *store = scratch_open(&scratch);
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    CHECK_INT(find_key(reader, "r", "carol", key), 0);
    CHECK_BYTES(key, key_a, STORE_KEY_LEN);
    CHECK_INT(find_key(reader, "r", "sha256", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "r", "bad", key), ERR_NOT_FOUND);
    CHECK_INT(find_key(reader, "other", "carol", key), ERR_NOT_FOUND);
    CHECK_INT(scratch_secret(desk, "r", "ours", "test"), 0);
    CHECK_INT(store_reader_secrets(reader, view_text("r"), collect, found), 0);
    CHECK_TEXT(found, "ours logen ");
    scratch_tell(&scratch, "INSERT INTO turnusers_lt VALUES ('r', 'dave', 'FF00EE00DD0000000000000000000000')"); /* by turnadmin, later */
    CHECK_INT(find_key(reader, "r", "dave", key), 0);
    CHECK_BYTES(key, key_b, STORE_KEY_LEN);
    CHECK_INT(scratch_user(desk, "r", "carol", key_b, "test"), 0); /* ours come first */
    CHECK_INT(find_key(reader, "r", "carol", key), 0);
    CHECK_BYTES(key, key_b, STORE_KEY_LEN);
    CHECK_INT(scratch_user_remove(desk, "r", "carol", "test"), 0);
    CHECK_INT(find_key(reader, "r", "carol", key), ERR_NOT_FOUND);
    store_reader_close(reader);
    desk_close(desk);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_reader_never_waits_for_a_writer)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    CHECK_INT(scratch_user(desk, "r", "alice", key_a, "test"), 0);
    struct store_reader *reader = scratch_reader(&scratch);
    uint8_t key[STORE_KEY_LEN];
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE; DELETE FROM users");
    const msec_t before = clock_monotonic_ms();
    for (int i = 0; i < 100; i++)
        CHECK_INT(find_key(reader, "r", "alice", key), 0);
    CHECK(clock_monotonic_ms() - before < 500);
    scratch_exec(other, "COMMIT");
    sqlite3_close(other);
    CHECK_INT(find_key(reader, "r", "alice", key), ERR_NOT_FOUND);
    store_reader_close(reader);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_table_that_is_gone_is_an_error_and_not_an_unknown_user)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_tenant tenant;
    uint8_t key[STORE_KEY_LEN];
    char found[16] = "";
    desk_close(desk);
    scratch_tell(&scratch, "DROP TABLE users; DROP TABLE tenants; DROP TABLE secrets");
    CHECK_INT(find_key(reader, "r", "alice", key), ERR_SYSTEM);
    CHECK_INT(store_reader_tenant(reader, view_text("acme"), &tenant), ERR_SYSTEM);
    CHECK_INT(store_reader_secrets(reader, view_text("r"), collect, found), ERR_SYSTEM);
    store_reader_close(reader);
    scratch_remove(&scratch);
}

struct reading {
    struct scratch *scratch;
    atomic_bool stop;
    atomic_uint found, wrong;
};

static void *read_run(void *arg)
{
    struct reading *reading = arg;
    struct store_reader *reader;
    char error[512];
    if (store_reader_open(reading->scratch->path, &reader, error, sizeof error))
        return arg;
    uint8_t key[STORE_KEY_LEN];
    while (!atomic_load(&reading->stop)) {
        const int err = find_key(reader, "r", "alice", key);
        if (err || memcmp(key, key_a, STORE_KEY_LEN) != 0)
            atomic_fetch_add(&reading->wrong, 1);
        atomic_fetch_add(&reading->found, 1);
    }
    store_reader_close(reader);
    return NULL;
}

TEST(readers_in_threads_work_beside_a_store_that_writes)
{
    struct scratch scratch = scratch_make();
    struct reading reading = {.scratch = &scratch};
    pthread_t threads[2];
    struct store *store = scratch_open(&scratch);
    struct desk *desk = scratch_desk(&scratch);
    CHECK_INT(scratch_user(desk, "r", "alice", key_a, "test"), 0);
    desk_close(desk);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, read_run, &reading), 0);
    for (int64_t round = 0; round < 20 || atomic_load(&reading.found) < 1000; round++) {
        for (int64_t i = 0; i < 200; i++)
            scratch_use(store, i, "alice", round * 60000, 1);
        CHECK_INT(store_flush(store), 0);
    }
    atomic_store(&reading.stop, true);
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        CHECK(!failed);
    }
    CHECK_INT(atomic_load(&reading.wrong), 0);
    store_close(store);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(a_key_is_found_by_realm_and_user_and_changes_at_once) RUN(a_user_has_a_key_for_each_kind_of_client)
              RUN(a_user_is_found_by_userhash_without_a_scan) RUN(an_oauth_key_is_found_by_its_kid_in_the_table_that_coturn_has_too) RUN(a_row_that_makes_no_oauth_key_is_none)
              RUN(a_tenant_is_read_with_its_limits) RUN(whatever_changes_a_tenant_raises_the_version_that_is_read_with_it)
                  RUN(secrets_of_the_realm_and_of_no_realm_come_newest_first) RUN(users_and_secrets_of_a_coturn_database_count_too)
                      RUN(a_reader_never_waits_for_a_writer) RUN(a_table_that_is_gone_is_an_error_and_not_an_unknown_user)
                          RUN(readers_in_threads_work_beside_a_store_that_writes))
