/* command.c: the verbs of the command line: what they do, what they print, how they refuse. */
#include "room.h"

#include "base/crypto.h"
#include "store/desk.h"
#include "wire/integrity.h"

#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void find_key(const struct room *room, const char *realm, const char *user, char hex[2 * STORE_KEY_LEN + 1])
{
    struct store_reader *reader;
    char error[256];
    struct store_keys keys;
    CHECK_INT(store_reader_open(room->db, &reader, error, sizeof error), 0);
    CHECK_INT(store_reader_keys(reader, view_text(realm), view_text(user), &keys), 0);
    store_reader_close(reader);
    crypto_hex(view_of(keys.md5[0], STORE_KEY_LEN), hex);
}

TEST(a_user_is_added_by_each_source_with_the_key_of_the_realm)
{
    struct room room = room_make();
    char hex[2 * STORE_KEY_LEN + 1], path[128];
    struct ran ran =
        RUN_RELAY(room, "TheMatrIX\n", "user", "add", "--userdb", "DB", "--realm", "example.org", "matrix", "--password-stdin");
    check_ran(&ran, 0, "", "");
    find_key(&room, "example.org", "matrix", hex);
    CHECK_TEXT(hex, "b9ba299f507395f013e8493e55755279"); /* MD5("matrix:example.org:TheMatrIX") */
    put_file(&room, "password", "secret\nsecond line\n");
    ran = RUN_RELAY(room, "", "user", "add", "--userdb=DB", "--realm=r");
    check_ran(&ran, 2, "", "something is missing");
    ran = RUN_RELAY(room, "", "user", "add", "--password-file", room_path(&room, "password", path), "alice", "--realm=r", "--userdb", "DB");
    check_ran(&ran, 0, "", "");
    find_key(&room, "r", "alice", hex);
    CHECK_TEXT(hex, "5a2a1586d5189f527d03bc41fbde1937"); /* MD5("alice:r:secret") */
    ran =
        RUN_RELAY(room, "", "user", "add", "--userdb", "DB", "--realm", "r", "--key", "0x000102030405060708090a0B0C0D0E0F", "--", "--bob");
    check_ran(&ran, 0, "", "");
    find_key(&room, "r", "--bob", hex);
    CHECK_TEXT(hex, "000102030405060708090a0b0c0d0e0f");
    room_remove(&room);
}

/* expect: reads from the terminal until `text` was printed, into `seen`. */
static void expect(int terminal, const char *text, char seen[1024])
{
    size_t len = strlen(seen);
    const size_t from = len;
    while (!strstr(seen + from, text)) {
        const ssize_t got = len < 1023 ? read(terminal, seen + len, 1023 - len) : -1;
        if (got <= 0)
            test_failed(__FILE__, __LINE__, "the terminal says %s and never %s", seen, text);
        len += (size_t)got;
        seen[len] = 0;
    }
}

/* What a person types on a terminal, line by line. */
static int type_passwords(const struct room *room, const char *first, const char *second, char seen[1024])
{
    int terminal, status;
    const pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    CHECK(pid >= 0);
    if (pid == 0) {
        char *argv[] = {strdup("relay"),  strdup("user"),    strdup("add"), strdup("--userdb"),
                        strdup(room->db), strdup("--realm"), strdup("r"),   strdup("alice")};
        _exit(command_run(8, argv));
    }
    expect(terminal, "Password: ", seen);
    CHECK(write(terminal, first, strlen(first)) > 0);
    expect(terminal, "Once more: ", seen);
    CHECK(write(terminal, second, strlen(second)) > 0);
    expect(terminal, "\n", seen);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    close(terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_password_is_asked_for_twice_and_not_echoed)
{
    struct room room = room_make();
    char seen[1024] = "", hex[2 * STORE_KEY_LEN + 1];
    CHECK_INT(type_passwords(&room, "secret\n", "secret\n", seen), 0);
    CHECK(!strstr(seen, "secret"));
    find_key(&room, "r", "alice", hex);
    CHECK_TEXT(hex, "5a2a1586d5189f527d03bc41fbde1937");
    seen[0] = 0;
    CHECK_INT(type_passwords(&room, "other\n", "otter\n", seen), 1);
    find_key(&room, "r", "alice", hex);
    CHECK_TEXT(hex, "5a2a1586d5189f527d03bc41fbde1937");
    room_remove(&room);
}

/* add_by_another_program: a name that relay user add would refuse. */
static void add_by_another_program(const struct room *room, const char *realm, const char *name)
{
    const struct desk_user user = {.realm = realm, .name = name, .keys.md5_count = 1};
    struct desk *desk;
    char error[256];
    CHECK_INT(desk_open(room->db, true, &desk, error, sizeof error), 0);
    CHECK_INT(desk_user_put(desk, &user, DESK_PUT, "test"), 0);
    desk_close(desk);
}

/* RFC 5769 section 2.4, with the SOFT HYPHEN left out of its password; a name with a space of another kind, and letters in pieces. */
TEST(names_realms_and_passwords_are_prepared)
{
    struct room room = room_make();
    char hex[2 * STORE_KEY_LEN + 1];
    struct ran ran = RUN_RELAY(room, "TheM\u00AAtr\u2168\n", "user", "add", "--userdb", "DB", "--realm", "ex\u00E1mple",
                               "Noe\u0308l\u00A0M", "--password-stdin");
    check_ran(&ran, 0, "", "");
    find_key(&room, "ex\u00E1mple", "No\u00EBl M", hex);
    struct store_reader *reader;
    struct store_keys keys;
    char error[256], name[STORE_NAME_MAX + 1];
    uint8_t want[INTEGRITY_USERHASH_LEN];
    struct crypto *crypto = crypto_new();
    const struct view user = view_text("No\u00EBl M"), realm = view_text("ex\u00E1mple");
    CHECK_INT(store_reader_open(room.db, &reader, error, sizeof error), 0);
    CHECK_INT(store_reader_keys(reader, realm, user, &keys), 0);
    CHECK_INT(keys.md5_count, 2);
    CHECK_INT(integrity_key(crypto, user, realm, view_text("TheM\u00AAtr\u2168"), want), 0);
    CHECK_BYTES(keys.md5[0], want, STORE_KEY_LEN);
    CHECK_INT(integrity_key(crypto, user, realm, view_text("TheMatrIX"), want), 0); /* by SASLprep */
    CHECK_BYTES(keys.md5[1], want, STORE_KEY_LEN);
    CHECK_INT(integrity_key_sha256(crypto, user, realm, view_text("TheM\u00AAtr\u2168"), want), 0);
    CHECK(keys.has_sha256);
    CHECK_BYTES(keys.sha256, want, STORE_KEY_SHA256_LEN);
    CHECK_INT(integrity_userhash(crypto, user, realm, want), 0);
    CHECK_INT(store_reader_unhash(reader, realm, view_of(want, sizeof want), name), 0);
    CHECK_TEXT(name, "No\u00EBl M");
    store_reader_close(reader);
    crypto_free(crypto);
    room_remove(&room);
}

TEST(what_may_be_no_name_realm_or_password_is_refused_by_name)
{
    struct room room = room_make();
    static const struct {
        const char *password, *realm, *name, *why;
    } rows[] = {
        {"x\n", "r", "a\nb", "the name has U+000A, which RFC 8265 does not allow"},
        {"x\n", "r", "", "the name is empty"},
        {"x\n", "r", "\xff", "the name is not UTF-8"},
        {"x\n", "r\u200B", "ann", "--realm has U+200B, which RFC 8265 does not allow"},
        {"The\u00ADM\n", "r", "ann", "the password has U+00AD, which RFC 8265 does not allow"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ran ran =
            RUN_RELAY(room, rows[i].password, "user", "add", "--userdb", "DB", "--realm", rows[i].realm, rows[i].name, "--password-stdin");
        check_ran(&ran, 2, "", rows[i].why);
    }
    struct ran ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "north", "realm=a\tb");
    check_ran(&ran, 2, "", "realm: text of at most 127 bytes, not");
    ran = RUN_RELAY(room, "s\n", "secret", "add", "--userdb", "DB", "--realm", "a\tb", "--secret-stdin");
    check_ran(&ran, 2, "", "--realm has U+0009");
    room_remove(&room);
}

TEST(users_are_listed_for_people_and_programs_and_removed)
{
    struct room room = room_make();
    static const char key[] = "0x000102030405060708090a0b0c0d0e0f";
    add_by_another_program(&room, "r", "al\"i\\ce\n\xff");
    struct ran ran = RUN_RELAY(room, "", "user", "add", "--userdb", "DB", "--realm", "s", "--key", key, "bob");
    ran = RUN_RELAY(room, "", "user", "list", "--userdb", "DB");
    check_ran(&ran, 0, "al\"i\\x5cce\\x0a\\xff", "");
    CHECK(strstr(ran.out, "realm") == ran.out && strstr(ran.out, "bob") && strstr(ran.out, "Z\n"));
    ran = RUN_RELAY(room, "", "user", "list", "--userdb", "DB", "--json", "--realm", "r");
    check_ran(&ran, 0, "[\n {\"realm\": \"r\", \"name\": \"al\\\"i\\\\ce\\u000a\\ufffd\", \"created\": \"2", "");
    CHECK(!strstr(ran.out, "bob") && strstr(ran.out, "Z\"}\n]\n"));
    ran = RUN_RELAY(room, "", "user", "remove", "--userdb", "DB", "--realm", "r", "bob");
    check_ran(&ran, 1, "", "relay user remove: no such user in this realm");
    ran = RUN_RELAY(room, "", "user", "remove", "--userdb", "DB", "--realm", "s", "bob");
    check_ran(&ran, 0, "", "");
    ran = RUN_RELAY(room, "", "user", "list", "--userdb", "DB", "--json", "--realm", "s");
    check_ran(&ran, 0, "[]\n", "");
    room_remove(&room);
}

TEST(a_tenant_is_set_whole_or_not_at_all)
{
    struct room room = room_make();
    struct ran ran =
        RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "max_allocations=2", "realm=acme.example", "status=disabled", "month_action=throttle",
                  "tenant_bps=8000");
    check_ran(&ran, 0, "", "");
    ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "max_allocations=9", "max_alocations=4");
    check_ran(&ran, 2, "", "relay tenant set: max_alocations: no such field: did you mean max_allocations?");
    ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "max_allocations=9", "status=off");
    check_ran(&ran, 2, "", "status: active or disabled, not off");
    ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "max_bps=much");
    check_ran(&ran, 2, "", "max_bps: a number from 0 to 1000000000000000, not much");
    ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "month_action=stop");
    check_ran(&ran, 2, "", "month_action: notify or throttle or disable, not stop");
    ran = RUN_RELAY(room, "", "tenant", "set", "--userdb", "DB", "acme", "colour");
    check_ran(&ran, 2, "", "FIELD=VALUE");
    ran = RUN_RELAY(room, "", "tenant", "list", "--userdb", "DB", "--json");
    check_ran(&ran, 0,
              "[\n {\"name\": \"acme\", \"realm\": \"acme.example\", \"status\": \"disabled\", \"month_action\": \"throttle\", "
              "\"expiry\": \"keep\", \"max_allocations\": 2, \"max_user_allocations\": 0, \"max_bps\": 0, \"max_lifetime_s\": 0, "
              "\"max_active\": 0, \"tenant_bps\": 8000, \"tenant_pps\": 0, \"max_user_bps\": 0, \"max_pps\": 0, \"max_new_peers\": 0, "
              "\"max_permissions\": 0, \"max_channels\": 0, \"month_bytes\": 0, \"max_mints\": 0}\n]\n",
              "");
    ran = RUN_RELAY(room, "", "tenant", "list", "--userdb", "DB");
    check_ran(&ran, 0, "disabled  max_allocations=2 tenant_bps=8000\n", "");
    room_remove(&room);
}

static void collect(void *ctx, struct view secret)
{
    char text[64], *out = ctx;
    strcat(strcat(out, view_copy(secret, text, sizeof text)), " ");
}

TEST(a_secret_comes_from_standard_input_alone)
{
    struct room room = room_make();
    struct store_reader *reader;
    char found[128] = "", error[256];
    struct ran ran = RUN_RELAY(room, "hush\n", "secret", "add", "--userdb", "DB", "--realm", "r", "--secret-stdin");
    check_ran(&ran, 0, "", "");
    CHECK(!strstr(ran.out, "hush"));
    ran = RUN_RELAY(room, "", "secret", "add", "--userdb", "DB", "--secret-stdin");
    check_ran(&ran, 1, "", "relay secret add: standard input: no secret");
    ran = RUN_RELAY(room, "hush\n", "secret", "add", "--userdb", "DB", "hush");
    check_ran(&ran, 2, "", "hush: one too many");
    CHECK_INT(store_reader_open(room.db, &reader, error, sizeof error), 0);
    CHECK_INT(store_reader_secrets(reader, view_text("r"), collect, found), 0);
    store_reader_close(reader);
    CHECK_TEXT(found, "hush ");
    room_remove(&room);
}

static void put_usage(const struct room *room)
{
    struct store *store;
    char error[256];
    CHECK_INT(store_open(room->db, NULL, &store, error, sizeof error), 0);
    const struct store_who who = {"acme", "lobby", "player", "alice", "udp"};
    const struct store_session session = {
        .id = 1, .opened_ms = 1700000000000, .who = who, .realm = "r", .username = "alice", .client = "c", .relayed = "d", .tags = ""};
    const struct store_usage usage = {.id = 1,
                                      .at_ms = 1700000001000,
                                      .who = who,
                                      .bytes_in = UINT64_C(12345678901),
                                      .bytes_out = 7,
                                      .packets_in = 3,
                                      .packets_out = 1,
                                      .lived_ms = 1000};
    CHECK(store_session_opened(store, &session) && store_usage(store, &usage));
    CHECK(store_session_closed(store,
                               &(struct store_closing){{.id = 1, .at_ms = 1700000060000, .who = who, .lived_ms = 59000}, "released"}));
    store_close(store);
}

TEST(usage_is_exact_for_people_and_programs)
{
    struct room room = room_make();
    static const char row[] =
        "[\n {\"tenant\": \"acme\", \"user\": \"alice\", \"sessions\": 1, \"live\": 0, \"seconds\": 60, \"bytes_in\": 12345678901,"
        " \"bytes_out\": 7, \"packets_in\": 3, \"packets_out\": 1}\n]\n";
    put_usage(&room);
    struct ran ran = RUN_RELAY(room, "", "usage", "--userdb", "DB");
    check_ran(&ran, 0, "12345678901", "");
    static const char *const within[][2] = {
        {"0", "1800000000"}, {"1700000000", "1700000100"}, {"2023-11-14", "2023-11-15T00:00:00Z"}, {"2023-11-14T22:13", "2099-01-01"}};
    for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
        ran = RUN_RELAY(room, "", "usage", "--userdb", "DB", "--json", "--tenant", "acme", "--from", within[i][0], "--to", within[i][1]);
        check_ran(&ran, 0, row, "");
    }
    ran = RUN_RELAY(room, "", "usage", "--userdb", "DB", "--json", "--from", "2023-11-15");
    check_ran(&ran, 0, "[]\n", "");
    ran = RUN_RELAY(room, "", "usage", "--userdb", "DB", "--json", "--tenant", "zeta");
    check_ran(&ran, 0, "[]\n", "");
    ran = RUN_RELAY(room, "", "usage", "--userdb", "DB", "--from", "yesterday");
    check_ran(&ran, 2, "", "--from: neither Unix seconds nor a date: yesterday");
    ran = RUN_RELAY(room, "", "usage", "--userdb", "DB", "--from", "2023-11-15", "--to", "2023-11-14");
    check_ran(&ran, 2, "", "--from is not before --to");
    room_remove(&room);
}

TEST(what_is_called_wrongly_is_refused_with_the_way_out)
{
    struct room room = room_make();
    static const struct {
        const char *words[8];
        int code;
        const char *err;
    } cases[] = {
        {{"user"}, 2, "relay user: a verb must follow"},
        {{"user", "ad"}, 2, "relay user: ad is no verb: did you mean add?"},
        {{"tenant", "frobnicate"}, 2, "relay tenant: no such verb"},
        {{"user", "add", "bob"}, 2, "relay user add: --tenant or --realm is missing"},
        {{"user", "add", "--realm", "r", "--tenant", "t", "bob"}, 2, "--tenant or --realm, not both"},
        {{"user", "list", "--userdb", "x.db", "--admin-socket", "x"}, 2, "not both"},
        {{"tenant", "add", "*"}, 2, "a tenant's name has 1 to 127 bytes, and is not *"},
        {{"secret", "remove", "x"}, 2, "the number that `relay secret list` shows"},
        {{"audit", "--limit", "0"}, 2, "--limit: a number above 0"},
        {{"user", "add", "--realm", "r", "bob", "eve"}, 2, "eve: one too many"},
        {{"user", "add", "--real", "r", "bob"}, 2, "--real: unknown option: did you mean --realm?"},
        {{"user", "add", "--realm", "r", "--password=x", "bob"}, 2, "--password: unknown option"},
        {{"user", "add", "--realm", "r", "--realm", "s", "bob"}, 2, "--realm is given twice"},
        {{"user", "add", "bob", "--realm"}, 2, "--realm needs a value"},
        {{"user", "add", "bob", "--realm="}, 2, "--realm needs a value"},
        {{"user", "list", "--json=1"}, 2, "--json has no value"},
        {{"user", "add", "--realm", "r", "bob"}, 2, "standard input is no terminal"},
        {{"user", "add", "--realm", "r", "bob", "--key", "0x12"}, 2, "32 hex digits"},
        {{"user", "add", "--realm", "r", "bob", "--key=0x00", "--password-stdin"}, 2, "more than one of"},
        {{"user", "add", "--realm", "r", "bob", "--password-stdin"}, 1, "no password in its first line"},
        {{"user", "add", "--realm", "r", "bob", "--password-file", "/nonexistent"}, 1, "/nonexistent: cannot be read"},
        {{"user", "list", "--userdb", "/nonexistent/x.db"}, 1, "relay user list: /nonexistent/x.db: No such file"},
        {{"usage", "--userdb", "/nonexistent/x.db"}, 1, "relay usage: /nonexistent/x.db: No such file"},
        {{"tenant", "set", "acme"}, 2, "something is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ran ran = run_words(&room, "", cases[i].words);
        check_ran(&ran, cases[i].code, "", cases[i].err);
        CHECK((cases[i].code == 2) == (strstr(ran.err, "usage: relay") != NULL));
    }
    room_remove(&room);
}

TEST(what_is_no_verb_is_left_to_the_options)
{
    struct room room = room_make();
    static const char *const cases[] = {"-c", "--help", "frobnicate", "use", "users", ""};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ran ran = RUN_RELAY(room, "", cases[i], "add");
        check_ran(&ran, 255, "", "");
    }
    const struct ran ran = run_words(&room, "", (const char *const[]){NULL});
    check_ran(&ran, 255, "", "");
    room_remove(&room);
}

TEST(every_command_says_how_it_is_called)
{
    struct room room = room_make();
    size_t count;
    const struct command *all = commands(&count);
    CHECK(count >= 7);
    for (size_t i = 0; i < count; i++) {
        char noun[32], *verb;
        snprintf(noun, sizeof noun, "%s", all[i].name);
        verb = strchr(noun, ' ');
        if (verb)
            *verb++ = 0;
        const struct ran ran = verb ? RUN_RELAY(room, "", noun, verb, "--help") : RUN_RELAY(room, "", noun, "--help");
        check_ran(&ran, 0, all[i].synopsis, "");
        CHECK(strstr(ran.out, all[i].summary));
        CHECK(all[i].summary[strlen(all[i].summary) - 1] != '.');
    }
    const struct ran ran = RUN_RELAY(room, "", "user", "--help");
    check_ran(&ran, 0, "relay user remove", "");
    room_remove(&room);
}

TEST_LIST(RUN(a_user_is_added_by_each_source_with_the_key_of_the_realm) RUN(a_password_is_asked_for_twice_and_not_echoed)
              RUN(names_realms_and_passwords_are_prepared) RUN(what_may_be_no_name_realm_or_password_is_refused_by_name)
                  RUN(users_are_listed_for_people_and_programs_and_removed) RUN(a_tenant_is_set_whole_or_not_at_all)
                      RUN(a_secret_comes_from_standard_input_alone) RUN(usage_is_exact_for_people_and_programs)
                          RUN(what_is_called_wrongly_is_refused_with_the_way_out) RUN(what_is_no_verb_is_left_to_the_options)
                              RUN(every_command_says_how_it_is_called))
