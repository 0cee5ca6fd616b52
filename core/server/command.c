/* command.c: the table of verbs. */
#include "server/command_line.h"

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
    {"bench",
     "URL [--load relay|binding|allocate|hold] [--mode channel|send] [--direction up|down|both|pair] [--clients NUMBER] [--held NUMBER] [--rate NUMBER | --window NUMBER] "
     "[--packets NUMBER] [--seconds NUMBER] [--bytes NUMBER] [--burst NUMBER] [--gso] [--peer ADDRESS] [--from ADDRESS]... [--pid PID]... "
     "[--user NAME] [--password-stdin | --password-file FILE | --password WORD] [--insecure] [--json]",
     "a load on a TURN server, any, as turn:HOST[:PORT]?transport=udp: how much of it is delivered and how late, and with --pid what that costs the server's processes there",
     F(USER) | F(PASSWORD) | F(PASSWORD_STDIN) | F(PASSWORD_FILE) | F(INSECURE) | F(JSON), 0, 1, 1, command_bench},
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

const struct command *commands(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}

const struct command_own *command_own(const struct command *command, size_t *count)
{
    *count = command->run == command_bench ? COMMAND_BENCH_OWN : 0;
    return *count ? command_bench_own : NULL;
}
