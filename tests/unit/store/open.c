/* open.c: what a database file may be when it is opened, and what is said when it may not. */
#include "scratch.h"

#include "store/migrate.h"

#include <pthread.h>
#include <sys/wait.h>

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    CHECK(file);
    CHECK_INT(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static int try_open(struct scratch *scratch, const char *path)
{
    struct store *store;
    const int err = store_open(path, scratch->log, &store, scratch->error, sizeof scratch->error);
    CHECK((err == 0) == (store != NULL));
    store_close(store);
    return err;
}

TEST(an_absent_file_is_made_private_and_migrated)
{
    struct scratch scratch = scratch_make();
    static const char *const tables[] = {"starts", "tenants", "users", "secrets", "sessions", "usage", "audit", "oauth_key"};
    static const char *const names[] = {"relay.db", "relay.db-wal", "relay.db-shm"};
    char text[128];
    struct stat file;
    struct store *store = scratch_open(&scratch);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(text, sizeof text, "%s/%s", scratch.dir, names[i]);
        CHECK_INT(stat(text, &file), 0);
        CHECK_INT(file.st_mode & 0777, 0600);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(text, sizeof text, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '%s'", tables[i]);
        CHECK_INT(scratch_number(&scratch, text), 1);
    }
    CHECK_INT(scratch_number(&scratch, "PRAGMA user_version"), migration_count);
    char *mode = scratch_text(&scratch, "PRAGMA journal_mode");
    CHECK_TEXT(mode, "wal");
    free(mode);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE stopped_ms IS NULL"), 1);
    store_close(store);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts WHERE reason = 'stopped' AND stopped_ms >= started_ms"), 1);
    scratch_remove(&scratch);
}

TEST(an_empty_file_is_a_database_and_opening_twice_changes_nothing)
{
    struct scratch scratch = scratch_make();
    write_file(scratch.path, "", 0);
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    char *before = scratch_text(&scratch, "SELECT group_concat(sql) FROM sqlite_schema");
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    char *after = scratch_text(&scratch, "SELECT group_concat(sql) FROM sqlite_schema");
    CHECK_TEXT(after, before);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM starts"), 2);
    free(before);
    free(after);
    scratch_remove(&scratch);
}

TEST(a_file_that_others_may_read_is_opened_with_a_warning)
{
    struct scratch scratch = scratch_make();
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    CHECK_INT(scratch_logged(&scratch, "store_exposed"), 0);
    CHECK_INT(chmod(scratch.path, 0644), 0);
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    CHECK_INT(scratch_logged(&scratch, "store_exposed"), 1);
    scratch_remove(&scratch);
}

TEST(a_database_of_a_newer_version_is_refused_and_left_alone)
{
    struct scratch scratch = scratch_make();
    scratch_tell(&scratch, "CREATE TABLE later (x); PRAGMA user_version = 99");
    CHECK_INT(try_open(&scratch, scratch.path), ERR_BAD);
    CHECK(strstr(scratch.error, scratch.path) && strstr(scratch.error, "newer") && strstr(scratch.error, "99"));
    CHECK_INT(scratch_number(&scratch, "PRAGMA user_version"), 99);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sqlite_schema"), 1);
    struct store_reader *reader;
    CHECK_INT(store_reader_open(scratch.path, &reader, scratch.error, sizeof scratch.error), ERR_BAD);
    CHECK(strstr(scratch.error, "newer") && !reader);
    scratch_remove(&scratch);
}

TEST(a_file_that_is_no_database_is_refused_by_name_and_left_alone)
{
    struct scratch scratch = scratch_make();
    char garbage[8192];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)(i * 31 + 7);
    write_file(scratch.path, garbage, sizeof garbage);
    CHECK_INT(try_open(&scratch, scratch.path), ERR_BAD);
    CHECK(strstr(scratch.error, scratch.path) && strstr(scratch.error, "not a SQLite database") &&
          strstr(scratch.error, "move this one away"));
    char *left = test_file(scratch.path);
    CHECK_BYTES(left, garbage, sizeof garbage);
    free(left);
    scratch_remove(&scratch);
}

TEST(a_database_of_another_program_is_refused_and_left_alone)
{
    struct scratch scratch = scratch_make();
    scratch_tell(&scratch, "CREATE TABLE users (login TEXT)");
    CHECK_INT(try_open(&scratch, scratch.path), ERR_BAD);
    CHECK(strstr(scratch.error, scratch.path) && strstr(scratch.error, "0001_first.sql") && strstr(scratch.error, "belongs to relay"));
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM sqlite_schema"), 1);
    CHECK_INT(scratch_number(&scratch, "PRAGMA user_version"), 0);
    scratch_remove(&scratch);
}

/* Pages behind the first hold the tables: what is in them is found by the check of the whole file. */
TEST(a_corrupt_database_is_refused_by_name)
{
    struct scratch scratch = scratch_make();
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    FILE *file = fopen(scratch.path, "r+b");
    CHECK(file);
    fseek(file, 4096, SEEK_SET);
    for (int i = 0; i < 4 * 4096; i++)
        fputc(0x5a, file);
    fclose(file);
    CHECK_INT(try_open(&scratch, scratch.path), ERR_BAD);
    CHECK(strstr(scratch.error, scratch.path) && strstr(scratch.error, "corrupt") && strstr(scratch.error, "backup"));
    scratch_remove(&scratch);
}

TEST(a_missing_directory_is_named_with_the_way_out)
{
    struct scratch scratch = scratch_make();
    char path[128];
    snprintf(path, sizeof path, "%s/none/relay.db", scratch.dir);
    CHECK_INT(try_open(&scratch, path), ERR_SYSTEM);
    CHECK(strstr(scratch.error, path) && strstr(scratch.error, "No such file") && strstr(scratch.error, "directory"));
    CHECK_INT(try_open(&scratch, scratch.dir), ERR_SYSTEM);
    CHECK(strstr(scratch.error, scratch.dir));
    struct desk *desk;
    CHECK_INT(desk_open(path, false, &desk, scratch.error, sizeof scratch.error), ERR_NOT_FOUND);
    scratch_remove(&scratch);
}

/* Root may write anything, so the child becomes somebody who may not. */
static int open_as_nobody(struct scratch *scratch)
{
    const pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        struct store *store;
        const int err = store_open(scratch->path, NULL, &store, scratch->error, sizeof scratch->error);
        _exit(err == ERR_SYSTEM && strstr(scratch->error, scratch->path) && strstr(scratch->error, "writable for this user") ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

TEST(a_read_only_database_is_refused_by_name)
{
    struct scratch scratch = scratch_make();
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    CHECK_INT(chmod(scratch.path, 0444), 0);
    CHECK_INT(chmod(scratch.dir, 0755), 0);
    CHECK_INT(open_as_nobody(&scratch), 0);
    scratch_remove(&scratch);
}

static void *open_run(void *arg)
{
    struct scratch *scratch = arg;
    struct store_reader *reader = NULL;
    struct desk *desk;
    char error[512];
    int err = desk_open(scratch->path, true, &desk, error, sizeof error);
    if (err == 0)
        err = store_reader_open(scratch->path, &reader, error, sizeof error);
    store_reader_close(reader);
    desk_close(desk);
    if (err)
        printf("# %s\n", error);
    return err ? scratch : NULL;
}

TEST(several_may_open_a_new_file_at_once)
{
    struct scratch scratch = scratch_make();
    pthread_t threads[4];
    void *failed = NULL;
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, open_run, &scratch), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed = result ? result : failed;
    }
    CHECK(!failed);
    CHECK_INT(scratch_number(&scratch, "PRAGMA user_version"), migration_count);
    scratch_remove(&scratch);
}

TEST(users_of_the_first_schema_are_found_by_their_userhash)
{
    struct scratch scratch = scratch_make();
    char *first = test_file("db/0001_first.sql"), name[STORE_NAME_MAX + 1];
    uint8_t hash[STORE_USERHASH_LEN];
    CHECK(first);
    scratch_tell(&scratch, first);
    scratch_tell(&scratch, "INSERT INTO users VALUES ('example.org', 'ann', zeroblob(16), 1); PRAGMA user_version = 1");
    free(first);
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    CHECK_INT(scratch_number(&scratch, "PRAGMA user_version"), migration_count);
    struct store_reader *reader = scratch_reader(&scratch);
    struct store_keys keys;
    test_hex("b6995d9f92d9edd65e645ac6329d3333b770abd14e8206caaba63662c99626ee", hash, sizeof hash); /* SHA-256("ann:example.org") */
    CHECK_INT(store_reader_keys(reader, view_text("example.org"), view_text("ann"), &keys), 0);
    CHECK(keys.md5_count == 1 && !keys.has_sha256);
    CHECK_INT(store_reader_unhash(reader, view_text("example.org"), view_of(hash, sizeof hash), name), 0);
    CHECK_TEXT(name, "ann");
    store_reader_close(reader);
    scratch_remove(&scratch);
}

TEST(a_reader_refuses_an_absent_file_and_an_older_schema)
{
    struct scratch scratch = scratch_make();
    struct store_reader *reader;
    CHECK_INT(store_reader_open(scratch.path, &reader, scratch.error, sizeof scratch.error), ERR_SYSTEM);
    CHECK(!reader && strstr(scratch.error, scratch.path));
    scratch_tell(&scratch, "CREATE TABLE turnusers_lt (realm, name, hmackey)");
    CHECK_INT(store_reader_open(scratch.path, &reader, scratch.error, sizeof scratch.error), ERR_BAD);
    CHECK(!reader && strstr(scratch.error, "older"));
    scratch_remove(&scratch);
}

TEST(a_locked_database_that_stays_locked_is_named)
{
    struct scratch scratch = scratch_make();
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    CHECK_INT(try_open(&scratch, scratch.path), ERR_SYSTEM);
    CHECK(strstr(scratch.error, scratch.path) && strstr(scratch.error, "locked"));
    sqlite3_close(other);
    CHECK_INT(try_open(&scratch, scratch.path), 0);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(an_absent_file_is_made_private_and_migrated) RUN(an_empty_file_is_a_database_and_opening_twice_changes_nothing)
              RUN(a_file_that_others_may_read_is_opened_with_a_warning) RUN(a_database_of_a_newer_version_is_refused_and_left_alone)
                  RUN(a_file_that_is_no_database_is_refused_by_name_and_left_alone)
                      RUN(a_database_of_another_program_is_refused_and_left_alone) RUN(a_corrupt_database_is_refused_by_name)
                          RUN(a_missing_directory_is_named_with_the_way_out) RUN(a_read_only_database_is_refused_by_name)
                              RUN(several_may_open_a_new_file_at_once) RUN(users_of_the_first_schema_are_found_by_their_userhash)
                                  RUN(a_reader_refuses_an_absent_file_and_an_older_schema)
                                      RUN(a_locked_database_that_stays_locked_is_named))
