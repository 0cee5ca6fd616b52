/* desk.c: what the command line changes and lists, each change with its audit row. */
#include "scratch.h"

#define T0 INT64_C(1800000000000)
#define MINUTE INT64_C(60000)

static const uint8_t key[STORE_KEY_LEN] = "sixteen bytes!!!";

static void list_user(void *ctx, const char *realm, const char *user, int64_t created_ms)
{
    char line[128], *out = ctx;
    snprintf(line, sizeof line, "%s/%s%s ", realm, user, created_ms ? "" : "?");
    strcat(out, line);
}

static void check_users(struct desk *desk, const char *realm, const char *want)
{
    char found[512] = "";
    CHECK_INT(desk_users(desk, realm, &(struct desk_page){0}, list_user, found), 0);
    CHECK_TEXT(found, want);
}

TEST(users_are_added_changed_listed_and_removed)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    CHECK_INT(scratch_user(desk, "b", "zoe", key, "root"), 0);
    CHECK_INT(scratch_user(desk, "a", "bob", key, "root"), 0);
    CHECK_INT(scratch_user(desk, "a", "alice", key, "root"), 0);
    CHECK_INT(scratch_user(desk, "a", "alice", key, "root"), 0);
    check_users(desk, NULL, "a/alice a/bob b/zoe ");
    check_users(desk, "a", "a/alice a/bob ");
    check_users(desk, "none", "");
    CHECK_INT(scratch_user_remove(desk, "b", "alice", "root"), ERR_NOT_FOUND);
    CHECK(strstr(desk_error(desk), "no such user"));
    CHECK_INT(scratch_user_remove(desk, "a", "alice", "root"), 0);
    check_users(desk, "a", "a/bob ");
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE who = 'root' AND type = 'user_put' AND at_ms > 0"), 4);
    char *detail = scratch_text(&scratch, "SELECT detail FROM audit WHERE type = 'user_remove'");
    CHECK_TEXT(detail, "{\"realm\":\"a\",\"user\":\"alice\"}");
    free(detail);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(users_of_coturn_are_listed_and_removed_too)
{
    struct scratch scratch = scratch_make();
    scratch_tell(&scratch,
                 "CREATE TABLE turnusers_lt (realm varchar(127), name varchar(512), hmackey char(128)); INSERT INTO turnusers_lt VALUES"
                 " ('a', 'carol', '00'), ('a', 'alice', '00')");
    struct desk *desk = scratch_desk(&scratch);
    CHECK_INT(scratch_user(desk, "a", "alice", key, "root"), 0);
    check_users(desk, "a", "a/alice a/carol? ");
    CHECK_INT(scratch_user_remove(desk, "a", "alice", "root"), 0);
    CHECK_INT(scratch_user_remove(desk, "a", "carol", "root"), 0);
    check_users(desk, NULL, "");
    desk_close(desk);
    scratch_remove(&scratch);
}

static void list_oauth(void *ctx, const struct desk_oauth_key *row)
{
    char line[256], *out = ctx;
    CHECK_TEXT(row->ikm, ""); /* never shown */
    snprintf(line, sizeof line, "%s/%s/%s/%jd/%jd ", row->kid, row->realm, row->algorithm, (intmax_t)row->timestamp_s,
             (intmax_t)row->lifetime_s);
    strcat(out, line);
}

static void check_oauth(struct desk *desk, const char *want)
{
    char found[512] = "";
    CHECK_INT(desk_oauth_keys(desk, list_oauth, found), 0);
    CHECK_TEXT(found, want);
}

#define IKM_16 "MDEyMzQ1Njc4OWFiY2RlZg=="
#define IKM_32 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

TEST(oauth_keys_are_added_changed_listed_without_the_key_and_removed)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct desk_oauth_key one = {.kid = "north", .ikm = IKM_32, .algorithm = "A256GCM", .realm = "a", .timestamp_s = 100};
    const struct desk_oauth_key two = {
        .kid = "east", .ikm = IKM_16, .algorithm = "A128GCM", .realm = "", .timestamp_s = 200, .lifetime_s = 50};
    CHECK_INT(desk_oauth_put(desk, &one, "root"), 0);
    CHECK_INT(desk_oauth_put(desk, &two, "root"), 0);
    one.realm = "b";
    CHECK_INT(desk_oauth_put(desk, &one, "root"), 0);
    check_oauth(desk, "east//A128GCM/200/50 north/b/A256GCM/100/0 ");
    CHECK_INT(desk_oauth_remove(desk, "south", "root"), ERR_NOT_FOUND);
    CHECK(strstr(desk_error(desk), "no such key"));
    CHECK_INT(desk_oauth_remove(desk, "north", "root"), 0);
    check_oauth(desk, "east//A128GCM/200/50 ");
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE who = 'root' AND type = 'oauth_put'"), 3);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE instr(detail, 'MDEy') > 0"), 0);
    char *detail = scratch_text(&scratch, "SELECT detail FROM audit WHERE type = 'oauth_remove'");
    CHECK_TEXT(detail, "{\"kid\":\"north\",\"change\":\"removed\"}");
    free(detail);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(what_makes_no_oauth_key_is_refused)
{
    static const struct {
        const char *ikm, *algorithm, *says;
    } rows[] = {
        {"", "A256GCM", "Base64"},       {IKM_16, "A256GCM", "Base64"},    {"MDEyMzQ1Njc4OWFiY2Rl", "A128GCM", "Base64"},
        {"no key", "A128GCM", "Base64"}, {IKM_32, "A192GCM", "algorithm"}, {IKM_32, "", "algorithm"},
    };
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct desk_oauth_key row = {.kid = "k", .ikm = rows[i].ikm, .algorithm = rows[i].algorithm, .realm = ""};
        CHECK_INT(desk_oauth_put(desk, &row, "root"), ERR_RANGE);
        CHECK(strstr(desk_error(desk), rows[i].says));
    }
    check_oauth(desk, "");
    desk_close(desk);
    scratch_remove(&scratch);
}

static void check_text(const struct scratch *scratch, const char *sql, const char *want)
{
    char *text = scratch_text(scratch, sql);
    CHECK_TEXT(text, want);
    free(text);
}

static void take_tenant(void *ctx, const struct store_tenant *tenant)
{
    struct store_tenant *out = ctx;
    *out = *tenant;
}

/* wanted: a value of the field: its second word, the most, or a realm. */
static const char *wanted(const struct desk_field *field, char out[64])
{
    if (field->words[0])
        snprintf(out, 64, "%s", field->words[1]);
    else if (field->most)
        snprintf(out, 64, "%jd", (intmax_t)field->most);
    else
        snprintf(out, 64, "%s.example", field->name);
    return out;
}

static const char *held(const struct desk_field *field, const struct store_tenant *tenant, char out[64])
{
    const char *at = (const char *)tenant + field->at;
    int64_t number;
    memcpy(&number, at, sizeof number);
    if (field->most)
        snprintf(out, 64, "%jd", (intmax_t)number);
    else
        snprintf(out, 64, "%s", at);
    return out;
}

TEST(a_tenant_is_made_by_its_first_field_and_every_field_is_settable)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    struct store_tenant tenant;
    char want[64], have[64];
    size_t count;
    const struct desk_field *fields = desk_tenant_fields(&count);
    for (size_t i = 0; i < count; i++)
        CHECK_INT(desk_tenant_set(desk, "acme", fields[i].name, wanted(&fields[i], want), "root"), 0);
    CHECK_INT(desk_tenants(desk, &(struct desk_page){0}, take_tenant, &tenant), 0);
    CHECK_TEXT(tenant.name, "acme");
    CHECK(tenant.created_ms > 0);
    for (size_t i = 0; i < count; i++)
        CHECK_TEXT(held(&fields[i], &tenant, have), wanted(&fields[i], want));
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'tenant_add' AND tenant = 'acme' AND before IS NULL"), 1);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'tenant_set' AND tenant = 'acme'"), (int64_t)count - 1);
    check_text(&scratch, "SELECT before || after FROM audit WHERE after LIKE '%max_bps%' AND type = 'tenant_set'",
               "{\"max_bps\":0}{\"max_bps\":1000000000000000}");
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_wrong_field_or_value_changes_nothing)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    char long_text[140];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    const struct {
        const char *name, *field, *value;
        int err;
    } cases[] = {
        {"acme", "colour", "red", ERR_NOT_FOUND},
        {"acme", "name", "zeta", ERR_NOT_FOUND},
        {"acme", "status", "closed", ERR_RANGE},
        {"acme", "month_action", "", ERR_RANGE},
        {"acme", "month_action", "disabled", ERR_RANGE},
        {"acme", "expiry", "5", ERR_RANGE},
        {"acme", "month_bytes", "100000000000000001", ERR_RANGE},
        {"acme", "max_bps", "-1", ERR_RANGE},
        {"acme", "max_bps", "", ERR_RANGE},
        {"acme", "max_bps", "1k", ERR_RANGE},
        {"acme", "max_bps", " 1", ERR_RANGE},
        {"acme", "max_bps", "99999999999999999999", ERR_RANGE},
        {"acme", "max_allocations", "4294967296", ERR_RANGE},
        {"acme", "realm", long_text, ERR_RANGE},
        {"", "max_bps", "1", ERR_RANGE},
        {long_text, "max_bps", "1", ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(desk_tenant_set(desk, cases[i].name, cases[i].field, cases[i].value, "root"), cases[i].err);
        CHECK(desk_error(desk)[0]);
    }
    CHECK_INT(scratch_number(&scratch, "SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM audit)"), 0);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST(a_secret_is_kept_once_and_never_in_the_audit)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    CHECK_INT(scratch_secret(desk, "r", "", "root"), ERR_RANGE);
    CHECK_INT(scratch_secret(desk, "r", "hush", "root"), 0);
    CHECK_INT(scratch_secret(desk, "r", "hush", "root"), 0);
    CHECK_INT(scratch_secret(desk, "", "hush", "root"), 0);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM secrets"), 2);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE type = 'secret_add'"), 3);
    CHECK_INT(scratch_number(&scratch, "SELECT count(*) FROM audit WHERE detail LIKE '%hush%'"), 0);
    desk_close(desk);
    scratch_remove(&scratch);
}

static void list_usage(void *ctx, const struct desk_usage_row *row)
{
    char line[256], *out = ctx;
    snprintf(line, sizeof line, "%s/%s:%jd,%jd,%jds,%ju,%ju,%ju,%ju ", row->tenant, row->user, (intmax_t)row->sessions, (intmax_t)row->live,
             (intmax_t)row->seconds, (uintmax_t)row->bytes_in, (uintmax_t)row->bytes_out, (uintmax_t)row->packets_in,
             (uintmax_t)row->packets_out);
    strcat(out, line);
}

static void check_usage(struct desk *desk, const char *tenant, int64_t from_ms, int64_t to_ms, const char *want)
{
    char found[1024] = "";
    CHECK_INT(desk_usage(desk, tenant, from_ms, to_ms, list_usage, found), 0);
    CHECK_TEXT(found, want);
}

TEST(usage_is_summed_by_tenant_and_user_in_the_time_asked_for)
{
    struct scratch scratch = scratch_make();
    struct store *store = scratch_open(&scratch);
    scratch_open_session(store, 1, "alice", T0);
    scratch_use(store, 1, "alice", T0 + 1000, 10);
    scratch_use(store, 1, "alice", T0 + 2 * MINUTE, 100);
    scratch_close_session(store, 1, T0 + 3 * MINUTE, 181000, "released"); /* the monotonic clock's seconds are believed */
    scratch_open_session(store, 2, "alice", T0 + MINUTE);
    scratch_use(store, 2, "alice", T0 + 2 * MINUTE, 1000);
    scratch_open_session(store, 3, "bob", T0 + 2 * MINUTE);
    CHECK_INT(store_flush(store), 0);
    struct desk *desk = scratch_desk(&scratch);
    check_usage(desk, NULL, T0, T0 + 10 * MINUTE, "acme/alice:2,1,721s,1110,2220,3,6 acme/bob:1,1,480s,0,0,0,0 ");
    check_usage(desk, "acme", T0, T0 + MINUTE, "acme/alice:1,0,60s,10,20,1,2 ");
    check_usage(desk, "acme", T0 + 2 * MINUTE, T0 + 3 * MINUTE, "acme/alice:2,1,120s,1100,2200,2,4 acme/bob:1,1,60s,0,0,0,0 ");
    check_usage(desk, "acme", T0 + 30 * MINUTE, T0 + 40 * MINUTE, "acme/alice:1,1,600s,0,0,0,0 acme/bob:1,1,600s,0,0,0,0 ");
    check_usage(desk, "zeta", 0, T0 + 10 * MINUTE, "");
    check_usage(desk, NULL, 0, T0, "");
    desk_close(desk);
    store_close(store);
    scratch_remove(&scratch);
}

TEST(a_change_waits_for_a_busy_writer_and_then_says_that_it_is_locked)
{
    struct scratch scratch = scratch_make();
    struct desk *desk = scratch_desk(&scratch);
    sqlite3 *other = scratch_connect(&scratch);
    scratch_exec(other, "BEGIN IMMEDIATE");
    CHECK_INT(scratch_user(desk, "r", "alice", key, "root"), ERR_SYSTEM);
    CHECK(strstr(desk_error(desk), "locked"));
    scratch_exec(other, "ROLLBACK");
    sqlite3_close(other);
    CHECK_INT(scratch_user(desk, "r", "alice", key, "root"), 0);
    desk_close(desk);
    scratch_remove(&scratch);
}

TEST_LIST(RUN(users_are_added_changed_listed_and_removed) RUN(users_of_coturn_are_listed_and_removed_too)
              RUN(oauth_keys_are_added_changed_listed_without_the_key_and_removed) RUN(what_makes_no_oauth_key_is_refused)
                  RUN(a_tenant_is_made_by_its_first_field_and_every_field_is_settable) RUN(a_wrong_field_or_value_changes_nothing)
                      RUN(a_secret_is_kept_once_and_never_in_the_audit) RUN(usage_is_summed_by_tenant_and_user_in_the_time_asked_for)
                          RUN(a_change_waits_for_a_busy_writer_and_then_says_that_it_is_locked))
