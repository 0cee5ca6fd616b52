/* command.c: the table of verbs, and how a command line becomes a struct command_line. */
#include "server/command.h"

#include "base/nearest.h"
#include "server/command_line.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 16

#define F(name) COMMAND_FLAG(name)

/* those of the verbs that load policies: what is an option of the server has its name here too */
#define POLICY_FLAGS (F(SET) | F(SECRET) | F(LUA_DIR))

/* those of the verbs that work on the database file, or on that of a relay that runs */
#define PLACE "[--userdb FILE | --admin-socket PATH | -c FILE]"
#define PLACE_FLAGS (F(USERDB) | F(ADMIN_SOCKET) | F(CONFIG))
#define OWNER_FLAGS (PLACE_FLAGS | F(TENANT) | F(REALM))

static const struct command table[] = {
    {"user add", PLACE " --tenant NAME | --realm REALM NAME [--password-stdin | --password-file FILE | --key 0xHEX]",
     "add a user, or change the password; without a source it is asked for on the terminal",
     OWNER_FLAGS | F(PASSWORD_STDIN) | F(PASSWORD_FILE) | F(KEY), 0, 1, 1, command_user_add},
    {"user list", PLACE " [--tenant NAME | --realm REALM] [--json]", "list the users", OWNER_FLAGS | F(JSON), 0, 0, 0, command_user_list},
    {"user remove", PLACE " --tenant NAME | --realm REALM NAME", "remove a user", OWNER_FLAGS, 0, 1, 1, command_user_remove},
    {"tenant add", PLACE " NAME [FIELD=VALUE]...", "make a tenant, with a realm of its name unless another is given", PLACE_FLAGS, 0, 1, 64,
     command_tenant_add},
    {"tenant set", PLACE " NAME FIELD=VALUE...", "make a tenant, or change its realm, status and limits (0: none)", PLACE_FLAGS, 0, 2, 64,
     command_tenant_set},
    {"tenant list", PLACE " [--json]", "list the tenants", PLACE_FLAGS | F(JSON), 0, 0, 0, command_tenant_list},
    {"tenant show", PLACE " NAME [--json]", "show what is set of a tenant", PLACE_FLAGS | F(JSON), 0, 1, 1, command_tenant_show},
    {"tenant remove", PLACE " NAME [--force]",
     "remove a tenant; with --force also one that has users, secrets, keys or live allocations: they go with it, what it used stays",
     PLACE_FLAGS | F(FORCE), 0, 1, 1, command_tenant_remove},
    {"secret add", PLACE " [--tenant NAME | --realm REALM] [--secret-stdin]",
     "add a shared secret for time-limited credentials, of one realm or of all; without --secret-stdin it is made, and shown once",
     OWNER_FLAGS | F(SECRET_STDIN), 0, 0, 0, command_secret_add},
    {"secret list", PLACE " [--tenant NAME | --realm REALM] [--json]", "list the shared secrets by their numbers; they themselves are never shown",
     OWNER_FLAGS | F(JSON), 0, 0, 0, command_secret_list},
    {"secret remove", PLACE " ID", "remove a shared secret: what was made with it opens nothing from then on", PLACE_FLAGS, 0, 1, 1,
     command_secret_remove},
    {"backup", PLACE " OUT", "copy the database, while it is in use, to a file that is not there yet", PLACE_FLAGS, 0, 1, 1, command_backup},
    {"completion", "bash|zsh", "print a script with which that shell completes what is typed behind `relay`", 0, 0, 1, 1, command_completion},
    {"audit", PLACE " [--tenant NAME] [--from TIME] [--to TIME] [--limit NUMBER] [--json]",
     "who changed what, the newest first; a time is as of `relay usage`", PLACE_FLAGS | F(TENANT) | F(FROM) | F(TO) | F(LIMIT) | F(JSON), 0, 0, 0,
     command_audit},
    {"secret new", "FILE",
     "make a master secret for minted credentials; in a file that has some it becomes the first, and the others go on verifying", 0, 0, 1, 1,
     command_secret_new},
    {"mint",
     "--admin-socket PATH | -c FILE | --mint-secret-file FILE [-c FILE] [--public-host HOST] --tenant NAME [--ttl TIME] [--tag PLAYER] [--room MATCH] "
     "[--transport udp|tcp|tls|dtls]... [--max-bps BITS] [--max-allocations NUMBER] [--key KEY] [--json | --format ice|uberti|twilio]",
     "mint a credential for a player: by the relay that runs there, or here, from the file of its master secrets; a time is seconds, or 15m, 2h",
     F(ADMIN_SOCKET) | F(CONFIG) | F(MINT_SECRET_FILE) | F(PUBLIC_HOST) | F(TENANT) | F(TTL) | F(TAG) | F(ROOM) | F(TRANSPORT) | F(MAX_BPS) |
         F(MAX_ALLOCATIONS) | F(KEY) | F(JSON) | F(FORMAT),
     F(TENANT), 0, 0, command_mint},
    {"key secret", "--mint-secret-file FILE --tenant NAME KEY",
     "print what a studio mints with by itself under the name of this key: the shared secret of usernames EXPIRY:tNAME.KEY:TAG:ID",
     F(MINT_SECRET_FILE) | F(TENANT), F(MINT_SECRET_FILE) | F(TENANT), 1, 1, command_key_secret},
    {"test-link", "--admin-socket PATH | -c FILE --tenant NAME [--ttl TIME] [--url URL]",
     "print a link to the tester, /test, that is good once, with a credential of the tenant that has limits; --url says where people reach the admin door, if that is not "
     "where it listens",
     F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(TTL) | F(URL), F(TENANT), 0, 0, command_test_link},
    {"oauth add", "[--userdb FILE] [--realm REALM] [--algorithm A128GCM|A256GCM] [--lifetime SECONDS] KID --key-stdin",
     "add a key that is shared with an authorization server, or change it: Base64 of 16 or 32 bytes",
     F(USERDB) | F(REALM) | F(ALGORITHM) | F(LIFETIME) | F(KEY_STDIN), F(KEY_STDIN), 1, 1, command_oauth_add},
    {"oauth list", "[--userdb FILE] [--json]", "list the keys' names; the keys themselves are never shown", F(USERDB) | F(JSON), 0, 0, 0,
     command_oauth_list},
    {"oauth remove", "[--userdb FILE] KID", "remove a key: its tokens open nothing from then on", F(USERDB), 0, 1, 1, command_oauth_remove},
    {"key add", PLACE " --tenant NAME|'*' --scope mint,usage:read,admin [--name TEXT] [--expires 90d|TIME]",
     "make a key of the admin door, for a tenant or, with *, for all of them, and print it: it is never shown again",
     PLACE_FLAGS | F(TENANT) | F(SCOPE) | F(NAME) | F(EXPIRES), F(TENANT) | F(SCOPE), 0, 0, command_key_add},
    {"key list", PLACE " [--tenant NAME] [--json]", "list the keys by their ids; the keys themselves are never shown",
     PLACE_FLAGS | F(TENANT) | F(JSON), 0, 0, 0, command_key_list},
    {"key remove", PLACE " ID", "revoke a key: half a second later it opens nothing", PLACE_FLAGS, 0, 1, 1, command_key_remove},
    {"usage",
     "[--userdb FILE | --admin-socket PATH | -c FILE] [--tenant NAME] [--from TIME] [--to TIME] [--group-by NAME,...] [--room NAME] [--tag NAME] [--user NAME] [--sort NUMBER] "
     "[--limit NUMBER] [--format table|json|csv|ndjson] [--json]",
     "what each user of each tenant relayed, or sums by tenant, month, day, hour, minute, room, tag, user, transport or reason (of refusals); a time is Unix seconds or "
     "2026-11-23[T20:15[:00]] in UTC",
     F(USERDB) | F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(FROM) | F(TO) | F(JSON) | F(GROUP_BY) | F(ROOM) | F(TAG) | F(USER) | F(SORT) | F(LIMIT) | F(FORMAT), 0, 0, 0,
     command_usage},
    {"reload", "--admin-socket PATH | -c FILE", "let the relay that runs there read its policies anew: on all workers, or on none and why",
     F(ADMIN_SOCKET) | F(CONFIG), 0, 0, 0, command_reload},
    {"policy", "--admin-socket PATH | -c FILE [--json]", "show which policies the relay that runs there has",
     F(ADMIN_SOCKET) | F(CONFIG) | F(JSON), 0, 0, 0, command_policy},
    {"allocations", "--admin-socket PATH | -c FILE [--tenant NAME] [--user NAME] [--tag NAME[=VALUE]] [--limit NUMBER] [--json]",
     "list the allocations of the relay that runs there", F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(USER) | F(TAG) | F(LIMIT) | F(JSON),
     0, 0, 0, command_allocations},
    {"console", "--admin-socket PATH | -c FILE [-e EXPRESSION]",
     "look at the relay that runs there with Lua, read-only; help() says what there is", F(ADMIN_SOCKET) | F(CONFIG) | F(EXPRESSION), 0, 0,
     0, command_console},
    {"metrics", "--admin-socket PATH | -c FILE | --describe", "print the metrics of the relay that runs there, or which there are",
     F(ADMIN_SOCKET) | F(CONFIG) | F(DESCRIBE), 0, 0, 0, command_metrics},
    {"explain",
     "--admin-socket PATH | -c FILE [--user NAME] [--client IP[:PORT]] [--decision ID] [--tenant NAME] [--limit NUMBER] [--json]",
     "why the last requests were refused: what decided, limits and values, and what to do",
     F(ADMIN_SOCKET) | F(CONFIG) | F(USER) | F(CLIENT) | F(DECISION) | F(TENANT) | F(LIMIT) | F(JSON), 0, 0, 0, command_explain},
    {"events", "--admin-socket PATH | -c FILE [--tenant NAME] [--type NAME[,NAME]...] [--json] | --describe",
     "follow what happens at the relay that runs there, until it is interrupted, or which events there are; a type is the name of one, or what stands before its point",
     F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(TYPE) | F(JSON) | F(DESCRIBE), 0, 0, 0, command_events},
    {"webhook add", "--admin-socket PATH | -c FILE [--tenant NAME] [--type NAME[,NAME]...] URL",
     "let the relay that runs there tell events to a URL; prints the webhook's id, and the secret that signs them, which is never shown again",
     F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(TYPE), 0, 1, 1, command_webhook_add},
    {"webhook list", "--admin-socket PATH | -c FILE [--tenant NAME] [--json]", "list the webhooks, with how many events wait for them and why",
     F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(JSON), 0, 0, 0, command_webhook_list},
    {"webhook remove", "--admin-socket PATH | -c FILE ID", "remove a webhook, with what is still to be told to it", F(ADMIN_SOCKET) | F(CONFIG), 0, 1,
     1, command_webhook_remove},
    {"webhook test", "--admin-socket PATH | -c FILE ID", "tell a webhook an event of no meaning; prints its id", F(ADMIN_SOCKET) | F(CONFIG), 0, 1, 1,
     command_webhook_test},
    {"kick", "--admin-socket PATH | -c FILE ID | [--tenant NAME] [--user NAME] [--tag NAME[=VALUE]] [--credential ID]",
     "end an allocation, by the id that `relay allocations` shows, or all of a tenant, user, tag or credential; whoever it is may come again",
     F(ADMIN_SOCKET) | F(CONFIG) | F(TENANT) | F(USER) | F(TAG) | F(CREDENTIAL), 0, 0, 1, command_kick},
    {"revoke",
     "--admin-socket PATH | -c FILE | [--userdb FILE] --credential ID | --key ID | --tag NAME --tenant NAME | --user NAME --tenant NAME | --tenant NAME",
     "shut out a credential, or what was minted for a player, a user or a tenant so far, or under a key at all: allocations end within a second, on all workers",
     F(ADMIN_SOCKET) | F(CONFIG) | F(USERDB) | F(CREDENTIAL) | F(KEY) | F(TAG) | F(USER) | F(TENANT), 0, 0, 0, command_revoke},
    {"revocation list", "--admin-socket PATH | -c FILE | [--userdb FILE] [--tenant NAME] [--json]", "list what was revoked, as long as it stands",
     F(ADMIN_SOCKET) | F(CONFIG) | F(USERDB) | F(TENANT) | F(JSON), 0, 0, 0, command_revocation_list},
    {"revocation lift", "--admin-socket PATH | -c FILE | [--userdb FILE] ID", "let in again whom a revocation shut out",
     F(ADMIN_SOCKET) | F(CONFIG) | F(USERDB), 0, 1, 1, command_revocation_lift},
    {"drain", "--admin-socket PATH | -c FILE [--deadline TIME | --cancel]",
     "take no new clients from now on, and end when those that are there have gone, or after TIME, as 15m; or call that off",
     F(ADMIN_SOCKET) | F(CONFIG) | F(DEADLINE) | F(CANCEL), 0, 0, 0, command_drain},
    {"check", "FILE... [--set NAME=VALUE]... [--secret NAME=FILE]... [--lua-dir DIR] [--format human|github]",
     "load policies as the server would, run init, and tell what is wrong with them, each with file and line", POLICY_FLAGS | F(FORMAT), 0,
     1, 64, command_check},
    {"eval", "FILE... HOOK JSON [--set NAME=VALUE]... [--secret NAME=FILE]... [--lua-dir DIR] [--json]",
     "ask one hook about what JSON says, as {\"user\": \"ann\"}, and show what it decides, who did, and what that costs",
     POLICY_FLAGS | F(JSON), 0, 3, 64, command_eval},
    {"bench-policy", "FILE... [HOOK] [--set NAME=VALUE]... [--secret NAME=FILE]... [--lua-dir DIR] [--json]",
     "measure each hook: time, instructions, garbage; and the memory that the policies have", POLICY_FLAGS | F(JSON), 0, 1, 64,
     command_bench_policy},
    {"test",
     "URL... [--user NAME] [--password-stdin | --password-file FILE | --password WORD] [--seconds NUMBER] [--insecure] [--admin-socket PATH "
     "| -c FILE] [--json] | [FILE|DIR]... [--live] [--filter PATTERN] [--coverage] [--coverage-min PERCENT] [--junit FILE] "
     "[--format human|tap|github] [--json] [--lua-dir DIR]",
     "try a TURN server, any, step by step, as turn:HOST[:PORT]?transport=udp: two allocations that play a game through it, and what is wrong if they "
     "cannot, with the words of the relay itself where --admin-socket or -c names it; or run specs of policies, written as for busted, without a server, or with "
     "--live in the real core; without a name those found beside the policies: *_spec.lua here and in policies, and in spec and policies/spec",
     F(USER) | F(PASSWORD) | F(PASSWORD_STDIN) | F(PASSWORD_FILE) | F(SECONDS) | F(INSECURE) | F(ADMIN_SOCKET) | F(CONFIG) | F(LIVE) | F(FILTER) |
         F(COVERAGE) | F(COVERAGE_MIN) | F(JUNIT) | F(FORMAT) | F(JSON) | F(LUA_DIR),
     0, 0, 4096, command_test},
    {"stubs", "[--format lua|markdown] [--out FILE]",
     "print what policies may use: for editors with lua-language-server, or as the tables of lua/README.md", F(FORMAT) | F(OUT), 0, 0, 0,
     command_stubs},
    {"replay", "--policy FILE... DECISIONS... [--set NAME=VALUE]... [--secret NAME=FILE]... [--lua-dir DIR] [--json]",
     "ask policies what others were asked, by decision logs, and show every decision that they would make otherwise",
     POLICY_FLAGS | F(POLICY) | F(JSON), F(POLICY), 1, 64, command_replay},
};

#undef F

#define COMMANDS (sizeof table / sizeof *table)

enum flag_kind { FLAG_BARE, FLAG_VALUE, FLAG_VALUES, FLAG_PATH, FLAG_PATHS }; /* a value is a word, or a path; it may be said again, or not */

/* struct flag: where its value goes; without a value it is only noted as given. */
struct flag {
    const char *name;
    uint64_t bit;
    enum flag_kind kind;
    size_t at;
};

#define VALUE(name, bit, field)                                                                                                            \
    {                                                                                                                                      \
        name, bit, FLAG_VALUE, offsetof(struct command_line, field)                                                                 \
    }
#define PATH(name, bit, field)                                                                                                             \
    {                                                                                                                                      \
        name, bit, FLAG_PATH, offsetof(struct command_line, field)                                                                  \
    }

static const struct flag flags[] = {
    PATH("--userdb", COMMAND_FLAG(USERDB), userdb),
    VALUE("--realm", COMMAND_FLAG(REALM), realm),
    VALUE("--tenant", COMMAND_FLAG(TENANT), tenant),
    VALUE("--from", COMMAND_FLAG(FROM), from),
    VALUE("--to", COMMAND_FLAG(TO), to),
    VALUE("--key", COMMAND_FLAG(KEY), key),
    PATH("--password-file", COMMAND_FLAG(PASSWORD_FILE), password_file),
    VALUE("--algorithm", COMMAND_FLAG(ALGORITHM), algorithm),
    VALUE("--lifetime", COMMAND_FLAG(LIFETIME), lifetime),
    PATH("--admin-socket", COMMAND_FLAG(ADMIN_SOCKET), admin_socket),
    PATH("-c", COMMAND_FLAG(CONFIG), config),
    PATH("--lua-dir", COMMAND_FLAG(LUA_DIR), lua_dir),
    VALUE("--format", COMMAND_FLAG(FORMAT), format),
    VALUE("--user", COMMAND_FLAG(USER), user),
    VALUE("--tag", COMMAND_FLAG(TAG), tag),
    VALUE("--limit", COMMAND_FLAG(LIMIT), limit),
    VALUE("--client", COMMAND_FLAG(CLIENT), client),
    VALUE("--credential", COMMAND_FLAG(CREDENTIAL), credential),
    VALUE("--deadline", COMMAND_FLAG(DEADLINE), deadline),
    VALUE("--decision", COMMAND_FLAG(DECISION), decision),
    VALUE("--type", COMMAND_FLAG(TYPE), type),
    VALUE("--scope", COMMAND_FLAG(SCOPE), scope),
    VALUE("--name", COMMAND_FLAG(NAME), name),
    VALUE("--expires", COMMAND_FLAG(EXPIRES), expires),
    VALUE("--group-by", COMMAND_FLAG(GROUP_BY), group_by),
    VALUE("--sort", COMMAND_FLAG(SORT), sort),
    VALUE("-e", COMMAND_FLAG(EXPRESSION), expression),
    VALUE("--ttl", COMMAND_FLAG(TTL), ttl),
    VALUE("--room", COMMAND_FLAG(ROOM), room),
    VALUE("--max-bps", COMMAND_FLAG(MAX_BPS), max_bps),
    VALUE("--max-allocations", COMMAND_FLAG(MAX_ALLOCATIONS), max_allocations),
    PATH("--mint-secret-file", COMMAND_FLAG(MINT_SECRET_FILE), mint_secret_file),
    VALUE("--public-host", COMMAND_FLAG(PUBLIC_HOST), public_host),
    VALUE("--url", COMMAND_FLAG(URL), url),
    {"--transport", COMMAND_FLAG(TRANSPORT), FLAG_VALUES, offsetof(struct command_line, transports)},
    VALUE("--filter", COMMAND_FLAG(FILTER), filter),
    VALUE("--coverage-min", COMMAND_FLAG(COVERAGE_MIN), coverage_min),
    PATH("--junit", COMMAND_FLAG(JUNIT), junit),
    PATH("--out", COMMAND_FLAG(OUT), out),
    VALUE("--password", COMMAND_FLAG(PASSWORD), password),
    VALUE("--seconds", COMMAND_FLAG(SECONDS), seconds),
    {"--set", COMMAND_FLAG(SET), FLAG_VALUES, offsetof(struct command_line, sets)},
    {"--policy", COMMAND_FLAG(POLICY), FLAG_PATHS, offsetof(struct command_line, policies)},
    {"--secret", COMMAND_FLAG(SECRET), FLAG_VALUES, offsetof(struct command_line, secrets)},
    {"--force", COMMAND_FLAG(FORCE), FLAG_BARE, 0},
    {"--key-stdin", COMMAND_FLAG(KEY_STDIN), FLAG_BARE, 0},
    {"--password-stdin", COMMAND_FLAG(PASSWORD_STDIN), FLAG_BARE, 0},
    {"--secret-stdin", COMMAND_FLAG(SECRET_STDIN), FLAG_BARE, 0},
    {"--json", COMMAND_FLAG(JSON), FLAG_BARE, 0},
    {"--coverage", COMMAND_FLAG(COVERAGE), FLAG_BARE, 0},
    {"--describe", COMMAND_FLAG(DESCRIBE), FLAG_BARE, 0},
    {"--live", COMMAND_FLAG(LIVE), FLAG_BARE, 0},
    {"--insecure", COMMAND_FLAG(INSECURE), FLAG_BARE, 0},
    {"--cancel", COMMAND_FLAG(CANCEL), FLAG_BARE, 0},
};

#define FLAGS (sizeof flags / sizeof *flags)

static bool is_path(const struct flag *flag)
{
    return flag->kind == FLAG_PATH || flag->kind == FLAG_PATHS;
}

static bool repeats(const struct flag *flag)
{
    return flag->kind == FLAG_VALUES || flag->kind == FLAG_PATHS;
}

bool command_switch(const struct command *command, size_t index, struct command_switch *out)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if (!(command->flags & flags[i].bit) || index-- > 0)
            continue;
        *out = (struct command_switch){flags[i].name, flags[i].kind != FLAG_BARE, is_path(&flags[i])};
        return true;
    }
    return false;
}

const struct command *commands(size_t *count)
{
    *count = COMMANDS;
    return table;
}

int command_fail(const struct command_line *line, int code, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "relay %s: ", line->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (code == COMMAND_MISUSED)
        fprintf(stderr, "usage: relay %s %s\n", line->command->name, line->command->synopsis);
    return code;
}

struct desk *command_desk(const struct command_line *line, bool create)
{
    struct desk *desk;
    char error[512];
    if (desk_open(line->userdb, create, &desk, error, sizeof error) == 0)
        return desk;
    command_fail(line, COMMAND_FAILED, "%s%s", error, line->given & COMMAND_FLAG(USERDB) ? "" : " (--userdb names another file)");
    return NULL;
}

int command_end(const struct command_line *line, struct desk *desk, int err)
{
    const int code = err ? command_fail(line, COMMAND_FAILED, "%s", desk_error(desk)) : COMMAND_DONE;
    desk_close(desk);
    if (fflush(stdout) == 0 || code != COMMAND_DONE)
        return code;
    return command_fail(line, COMMAND_FAILED, "standard output: %s", strerrordesc_np(errno));
}

const char *command_who(char out[COMMAND_WHO_MAX])
{
    char strings[1024];
    struct passwd user, *found = NULL;
    if (getpwuid_r(getuid(), &user, strings, sizeof strings, &found) == 0 && found)
        snprintf(out, COMMAND_WHO_MAX, "cli:%s", user.pw_name);
    else
        snprintf(out, COMMAND_WHO_MAX, "cli:%u", (unsigned)getuid());
    return out;
}

int command_prepare(const struct command_line *line, const char *what, const char *text, size_t most, char out[OPAQUE_MAX_LEN + 1])
{
    char why[OPAQUE_WHY_MAX];
    size_t len = 0;
    if (opaque_enforce(view_text(text), out, &len, why) != 0)
        return command_fail(line, COMMAND_MISUSED, "%s %s", what, why);
    return len > most ? command_fail(line, COMMAND_MISUSED, "%s has %zu bytes, more than %zu", what, len, most) : 0;
}

int command_read_line(const char *path, char *out, size_t cap)
{
    FILE *file = path ? fopen(path, "re") : stdin;
    const bool got = file && fgets(out, (int)cap, file);
    const size_t len = got ? strcspn(out, "\r\n") : 0;
    const bool whole = got && (out[len] || feof(file)); /* the end of the line was seen */
    if (got)
        out[len] = 0;
    if (file && file != stdin)
        fclose(file);
    return whole && len > 0 ? 0 : -1;
}

/* find_command: words are `user` `add`, or `usage`; *used: how many of them. */
static const struct command *find_command(int argc, char **argv, int *used)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *verb = strchr(table[i].name, ' ');
        const size_t noun = verb ? (size_t)(verb - table[i].name) : strlen(table[i].name);
        if (strlen(argv[1]) != noun || strncmp(argv[1], table[i].name, noun) != 0)
            continue;
        if (verb && (argc < 3 || strcmp(argv[2], verb + 1) != 0))
            continue;
        *used = verb ? 3 : 2;
        return &table[i];
    }
    return NULL;
}

/* verbs_of: those of the noun, into `out`; how many. */
static size_t verbs_of(const char *noun, const char *out[NAMES_MAX])
{
    const size_t len = strlen(noun);
    size_t count = 0;
    for (size_t i = 0; i < COMMANDS; i++)
        if (strncmp(table[i].name, noun, len) == 0 && table[i].name[len] == ' ')
            out[count++] = table[i].name + len + 1;
    return count;
}

static void print_usage(FILE *out, const struct command *command)
{
    fprintf(out, "usage: relay %s %s\n       %s\n", command->name, command->synopsis, command->summary);
}

static void print_usages(FILE *out, const char *noun)
{
    const size_t len = strlen(noun);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strncmp(table[i].name, noun, len) == 0 && table[i].name[len] == ' ')
            print_usage(out, &table[i]);
}

/* `relay user`, `relay user ad`: -1 if it is no noun either. */
static int no_verb(int argc, char **argv)
{
    const char *verbs[NAMES_MAX];
    const size_t count = verbs_of(argv[1], verbs);
    if (count == 0)
        return -1;
    if (argc > 2 && strcmp(argv[2], "--help") == 0) {
        print_usages(stdout, argv[1]);
        return COMMAND_DONE;
    }
    const char *meant = argc > 2 ? nearest(argv[2], verbs, count) : NULL;
    if (meant)
        fprintf(stderr, "relay %s: %s is no verb: did you mean %s?\n", argv[1], argv[2], meant);
    else
        fprintf(stderr, "relay %s: %s\n", argv[1], argc > 2 ? "no such verb" : "a verb must follow");
    print_usages(stderr, argv[1]);
    return COMMAND_MISUSED;
}

static const struct flag *find_flag(const struct command *command, const char *text, size_t len)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (command->flags & flags[i].bit && strlen(flags[i].name) == len && strncmp(flags[i].name, text, len) == 0)
            return &flags[i];
    return NULL;
}

static int unknown_flag(const struct command_line *line, const char *text, size_t len)
{
    const char *names[FLAGS];
    char word[64];
    size_t count = 0;
    for (size_t i = 0; i < FLAGS; i++)
        if (line->command->flags & flags[i].bit)
            names[count++] = flags[i].name;
    const char *meant = nearest(view_copy(view_of(text, len), word, sizeof word), names, count);
    return command_fail(line, COMMAND_MISUSED, "%s: unknown option%s%s%s", word, meant ? ": did you mean " : "", meant ? meant : "",
                        meant ? "?" : "");
}

/* keep_value: where the flag wants it. */
static int keep_value(struct command_line *line, const struct flag *flag, const char *value)
{
    if (!repeats(flag)) {
        memcpy((char *)line + flag->at, &value, sizeof value);
        return 0;
    }
    struct command_values *values = (struct command_values *)(void *)((char *)line + flag->at);
    if (values->count == COMMAND_VALUES_MAX)
        return command_fail(line, COMMAND_MISUSED, "%s is given more than %d times", flag->name, COMMAND_VALUES_MAX);
    values->at[values->count++] = value;
    return 0;
}

/* take_flag: `--name value`, `--name=value` or `--name`; *at moves over what is used up. */
static int take_flag(struct command_line *line, int argc, char **argv, int *at)
{
    const char *text = argv[*at];
    const size_t len = strcspn(text, "=");
    const struct flag *flag = find_flag(line->command, text, len);
    const char *value = text[len] ? text + len + 1 : NULL;
    if (!flag)
        return unknown_flag(line, text, len);
    if (line->given & flag->bit && !repeats(flag))
        return command_fail(line, COMMAND_MISUSED, "%s is given twice", flag->name);
    line->given |= flag->bit;
    if (flag->kind == FLAG_BARE)
        return value ? command_fail(line, COMMAND_MISUSED, "%s has no value", flag->name) : 0;
    if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value || !*value)
        return command_fail(line, COMMAND_MISUSED, "%s needs a value", flag->name);
    return keep_value(line, flag, value);
}

static int check_line(const struct command_line *line)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (line->command->needs & ~line->given & flags[i].bit)
            return command_fail(line, COMMAND_MISUSED, "%s is missing", flags[i].name);
    if (line->word_count < line->command->words_min)
        return command_fail(line, COMMAND_MISUSED, "something is missing");
    if (line->word_count > line->command->words_max)
        return command_fail(line, COMMAND_MISUSED, "%s: one too many", line->words[line->command->words_max]);
    return 0;
}

/* Words are gathered at the front of argv, behind the command's name. Behind `--` there are only words. */
static int parse(struct command_line *line, int argc, char **argv, int at)
{
    bool words_only = false;
    line->words = argv + at;
    for (; at < argc; at++) {
        if (!words_only && strcmp(argv[at], "--") == 0) {
            words_only = true;
        } else if (words_only || strncmp(argv[at], "-", 1) != 0) {
            line->words[line->word_count++] = argv[at];
        } else {
            const int code = take_flag(line, argc, argv, &at);
            if (code)
                return code;
        }
    }
    return check_line(line);
}

int command_run(int argc, char **argv)
{
    int used;
    if (argc < 2)
        return -1;
    const struct command *command = find_command(argc, argv, &used);
    if (!command)
        return no_verb(argc, argv);
    if (argc > used && strcmp(argv[used], "--help") == 0) {
        print_usage(stdout, command);
        return COMMAND_DONE;
    }
    struct command_line line = {.command = command, .userdb = COMMAND_USERDB};
    const int code = parse(&line, argc, argv, used);
    return code ? code : command->run(&line);
}
