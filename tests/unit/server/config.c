/* config.c: the syntax of file and command line, and the value of each kind of option. */
#include "loaded.h"

#include "server/option.h"

#include <sys/stat.h>

TEST(the_guides_example_runs_unchanged)
{
    struct loaded loaded = LOAD(NULL, "-c", "examples/turnserver.conf");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listening_port, 3478);
    CHECK(loaded.config.fingerprint && loaded.config.lt_cred_mech && loaded.config.use_auth_secret && loaded.config.relaying);
    CHECK_INT(loaded.config.secret_count, 1);
    CHECK_TEXT(loaded.config.secrets[0], "YOUR_SECRET_KEY_HERE");
    CHECK_TEXT(loaded.config.realm, "yourdomain.com");
    CHECK_INT(loaded.config.total_quota, 100);
    CHECK_INT(loaded.report.warning_count, 0);
    unload(&loaded);
}

TEST(without_anything_said_the_defaults_are_coturns)
{
    struct loaded loaded = LOAD(NULL);
    const struct config *config = &loaded.config;
    CHECK_LOADED(loaded);
    CHECK_INT(config->listening_port, 3478);
    CHECK_INT(config->tls_listening_port, 5349);
    CHECK_INT(config->min_port, 49152);
    CHECK_INT(config->max_port, 65535);
    CHECK_INT(config->nonce_lifetime_s, 600);
    CHECK_INT(config->max_lifetime_s, 3600);
    CHECK_INT(config->channel_lifetime_s, 600);
    CHECK_INT(config->permission_lifetime_s, 300);
    CHECK_INT(config->total_quota, 0);
    CHECK_INT(config->user_quota, 0);
    CHECK_INT(config->max_bps, 0);
    CHECK(!config->fingerprint && !config->verbose && !config->strict_channels && !config->userdb && !config->log_file && !config->pidfile);
    CHECK_TEXT(config->software, "");
    CHECK(config->workers >= 1);
    CHECK(!config->relaying);
    unload(&loaded);
}

TEST(the_file_is_read_as_coturn_reads_it)
{
    struct loaded loaded = LOAD("# a remark\n"
                                "\n"
                                "  \t# another\n"
                                "listening-port=3479\n"
                                "tls-listening-port 5350\n"
                                " min-port = 50000 \r\n"
                                "max-port\t50100\n"
                                "fingerprint\n"
                                "realm=\"example.org\"\n"
                                "static-auth-secret=a#b=c \"d\n"
                                "software=\"  two words  \"");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listening_port, 3479);
    CHECK_INT(loaded.config.tls_listening_port, 5350);
    CHECK_INT(loaded.config.min_port, 50000);
    CHECK_INT(loaded.config.max_port, 50100);
    CHECK(loaded.config.fingerprint);
    CHECK_TEXT(loaded.config.realm, "example.org");
    CHECK_TEXT(loaded.config.secrets[0], "a#b=c \"d");
    CHECK_TEXT(loaded.config.software, "  two words  ");
    unload(&loaded);
}

TEST(the_command_line_is_read_as_coturn_reads_it)
{
    struct loaded loaded = LOAD(NULL, "-fvp3479", "-m", "3", "--realm=a=b", "--software", "x y", "--stale-nonce", "--no-tcp=off", "-Q=7", "--db", "/x", "-A", "ipv6");
    CHECK_REFUSED(loaded, "command line: total-quota: \"=7\" is not a number");
    CHECK(loaded.config.fingerprint && loaded.config.verbose && !loaded.config.no_tcp);
    CHECK_INT(loaded.config.listening_port, 3479);
    CHECK_INT(loaded.config.relay_threads, 3);
    CHECK_TEXT(loaded.config.realm, "a=b");
    CHECK_TEXT(loaded.config.software, "x y");
    CHECK_INT(loaded.config.stale_nonce_s, 600);
    CHECK_TEXT(loaded.config.userdb, "/x");
    CHECK_INT(loaded.config.default_family, 2);
    unload(&loaded);
}

TEST(the_later_value_wins_and_the_command_line_is_last)
{
    struct loaded loaded = LOAD("total-quota=1\ntotal-quota=2\nuser-quota=3\nfingerprint\n", "--user-quota=4", "--fingerprint=no");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.total_quota, 2);
    CHECK_INT(loaded.config.user_quota, 4);
    CHECK(!loaded.config.fingerprint);
    CHECK_TEXT(config_where(&loaded.config, "user-quota"), "command line");
    CHECK_TEXT(config_where(&loaded.config, "total-quota") + strlen(loaded.path), ":2");
    CHECK(config_where(&loaded.config, "min-port") == NULL);
    unload(&loaded);
}

TEST(repeatable_options_add_up_over_file_and_command_line)
{
    struct loaded loaded = LOAD("listening-ip=127.0.0.1\nlistening-ip=::1\nstatic-auth-secret=a\nstatic-auth-secret=b\nrealm=x\n", "-L", "127.0.0.2",
                                "--static-auth-secret=c");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listening_ip_count, 3);
    CHECK_INT(loaded.config.listening_ips[1].family, ADDR_IPV6);
    CHECK_INT(loaded.config.secret_count, 3);
    CHECK_TEXT(loaded.config.secrets[0], "a");
    CHECK_TEXT(loaded.config.secrets[2], "c");
    unload(&loaded);
}

TEST(a_flag_can_be_switched_off_in_every_spelling)
{
    static const char *const spellings[] = {"0", "no", "No", "false", "off", "n", "F"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        char text[64];
        snprintf(text, sizeof text, "verbose\nverbose=%s\n", spellings[i]);
        struct loaded loaded = LOAD(text);
        CHECK_LOADED(loaded);
        CHECK(!loaded.config.verbose);
        unload(&loaded);
    }
    struct loaded loaded = LOAD("verbose=maybe\n");
    CHECK_REFUSED(loaded, "conf:1: verbose: \"maybe\" is neither yes nor no");
    unload(&loaded);
}

/* each line by itself, and what is told about it */
static const struct {
    const char *line, *error;
} bad_lines[] = {
    {"lisening-port=1", "conf:1: lisening-port: there is no such option; did you mean listening-port?"},
    {"xyzzyx", "conf:1: xyzzyx: there is no such option; relay --help lists them"},
    {"--realm=x", "conf:1: --realm: there is no such option; did you mean realm?"},
    {"listening-port=x", "conf:1: listening-port: \"x\" is not a number"},
    {"listening-port=-1", "conf:1: listening-port: \"-1\" is not a number"},
    {"listening-port=0", "conf:1: listening-port: \"0\" is not within 1 to 65535"},
    {"allocation-default-address-family=ipv5", "conf:1: allocation-default-address-family: \"ipv5\" is none of keep|ipv4|ipv6"},
    {"allocation-default-address-family=ipv", "conf:1: allocation-default-address-family: \"ipv\" is none of keep|ipv4|ipv6"},
    {"listening-port=65536", "conf:1: listening-port: \"65536\" is not within 1 to 65535"},
    {"total-quota=4294967296", "conf:1: total-quota: \"4294967296\" is not within 0 to 4294967295"},
    {"total-quota=99999999999999999999999", "conf:1: total-quota: \"99999999999999999999999\" is not within 0 to 4294967295"},
    {"total-quota=5 # five", "conf:1: total-quota: \"5 # five\" is not a number; a remark needs a line of its own"},
    {"total-quota", "conf:1: total-quota: needs a value: NUMBER"},
    {"total-quota=", "conf:1: total-quota: needs a value: NUMBER"},
    {"realm=\"\"", "conf:1: realm: needs a value: REALM"},
    {"realm=\"x", "conf:1: realm: the quote is not closed"},
    {"listening-ip=300.1.2.3", "conf:1: listening-ip: \"300.1.2.3\" is not an IP address; names are not resolved"},
    {"listening-ip=localhost", "conf:1: listening-ip: \"localhost\" is not an IP address; names are not resolved"},
    {"relay-ip=127.0.0.1:5", "conf:1: relay-ip: \"127.0.0.1:5\" is not an IP address; names are not resolved"},
    {"relay-ip=0.0.0.0", "conf:1: relay-ip: an address of all zeroes cannot be relayed from: name the address itself"},
    {"relay-pool=red", "conf:1: relay-pool: \"red\" is not NAME=ADDRESS"},
    {"relay-pool=red=10.0.0.1:5", "conf:1: relay-pool: \"red=10.0.0.1:5\" is not NAME=ADDRESS"},
    {"external-ip=1.2.3.4/", "conf:1: external-ip: \"\" is not an IP address; names are not resolved"},
    {"external-ip=1.2.3.4/::1", "conf:1: external-ip: one address is IPv4, the other IPv6"},
    {"external-ip=0.0.0.0", "conf:1: external-ip: an address of all zeroes cannot be shown"},
    {"denied-peer-ip=10.0.0.0/33", "conf:1: denied-peer-ip: \"10.0.0.0/33\" is none of ADDRESS, ADDRESS/BITS and FIRST-LAST"},
    {"denied-peer-ip=10.0.0.9-10.0.0.1", "conf:1: denied-peer-ip: \"10.0.0.9-10.0.0.1\" is none of ADDRESS, ADDRESS/BITS and FIRST-LAST"},
    {"allowed-peer-ip=10.0.0.1-::1", "conf:1: allowed-peer-ip: \"10.0.0.1-::1\" is none of ADDRESS, ADDRESS/BITS and FIRST-LAST"},
    {"allowed-peer-ip=10.0.0.1,10.0.0.2", "conf:1: allowed-peer-ip: \"10.0.0.1,10.0.0.2\" is none of ADDRESS, ADDRESS/BITS and FIRST-LAST"},
    {"user=ann", "conf:1: user: needs NAME:PASSWORD or NAME:0xKEY"},
    {"user=:x", "conf:1: user: needs NAME:PASSWORD or NAME:0xKEY"},
    {"user=ann:", "conf:1: user: needs NAME:PASSWORD or NAME:0xKEY"},
    {"alternate-server=turn2.example.org", "conf:1: alternate-server: \"turn2.example.org\" is not ADDRESS[:PORT][/DOMAIN]; names are not resolved"},
    {"tls-alternate-server=192.0.2.1/a_b", "conf:1: tls-alternate-server: \"a_b\" is not a domain name"},
    {"user=a\u200Bn:x", "conf:1: user: the name has U+200B, which RFC 8265 does not allow"},
    {"user=\xFF:x", "conf:1: user: the name is not UTF-8"},
    {"user=ann:The\u00ADM", "conf:1: user: the password has U+00AD, which RFC 8265 does not allow"},
    {"realm=a\u202Eb", "conf:1: realm: the value has U+202E, which RFC 8265 does not allow"},
    {"user=ann:0xbc807ee29df3c9ffa736523fb2c4e8e", "conf:1: user: what follows 0x must be 32 hexadecimal digits, the MD5 of name:realm:password"},
    {"user=ann:0xbc807ee29df3c9ffa736523fb2c4e8eg", "conf:1: user: what follows 0x must be 32 hexadecimal digits, the MD5 of name:realm:password"},
    {"relay-threads=257", "conf:1: relay-threads: \"257\" is not within 0 to 256"},
    {"policy=/nonexistent.lua", "conf:1: policy: \"/nonexistent.lua\" cannot be read: No such file or directory"},
    {"policy=/tmp", "conf:1: policy: \"/tmp\" cannot be read: Is a directory"},
    {"lua-dir=/nonexistent", "conf:1: lua-dir: /nonexistent is no directory"},
    {"help", "conf:1: help: belongs on the command line, not into the file"},
    {"config=x", "conf:1: config: belongs on the command line, not into the file"},
    {"\x1b[31mred", "conf:1: \\x1b[31mred: there is no such option; relay --help lists them"},
};

TEST(a_bad_line_is_told_with_file_line_option_and_reason)
{
    for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
        struct loaded loaded = LOAD(bad_lines[i].line);
        CHECK_REFUSED(loaded, bad_lines[i].error);
        unload(&loaded);
    }
}

/* RFC 8489 sections 14.9 and 14.14: REALM and SOFTWARE have fewer than 128 characters */
TEST(realm_and_software_have_at_most_127_bytes)
{
    static const char *const names[] = {"realm", "software"};
    char line[160];
    for (size_t i = 0; i < 2; i++)
        for (int len = 127; len <= 128; len++) {
            snprintf(line, sizeof line, "%s=%0*d", names[i], len, 0);
            struct loaded loaded = LOAD(line);
            CHECK_INT(loaded.result, len == 127 ? 0 : ERR_BAD);
            unload(&loaded);
        }
}

TEST(a_bad_argument_is_told_with_its_place)
{
    static const struct {
        const char *argument, *error;
    } bad[] = {
        {"--total-qouta=1", "command line: total-qouta: there is no such option; did you mean total-quota?"},
        {"--total-quota", "command line: total-quota: needs a value: NUMBER"},
        {"--help=x", "command line: help: takes no value"},
        {"-x", "command line: -x: there is no such option; relay --help lists them"},
        {"-fx", "command line: -x: there is no such option; relay --help lists them"},
        {"-p", "command line: listening-port: needs a value: PORT"},
        {"serve", "command line: serve: is no option; options begin with a dash"},
        {"-", "command line: -: is no option; options begin with a dash"},
        {"--", "command line: --: is no option; options begin with a dash"},
        {"--config", "command line: config: needs a value: FILE"},
        {"--config=/nonexistent", "command line: config: /nonexistent cannot be read: No such file or directory"},
        {"--config=/tmp", "command line: config: /tmp cannot be read: Is a directory"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct loaded loaded = LOAD(NULL, bad[i].argument);
        CHECK_REFUSED(loaded, bad[i].error);
        unload(&loaded);
    }
}

TEST(all_errors_are_told_not_the_first_alone)
{
    struct loaded loaded = LOAD("listening-port=x\nrealm\nnonsense-option\nmin-port=2\nmax-port=1\n", "--cert=/x");
    CHECK_INT(loaded.result, ERR_BAD);
    CHECK_INT(loaded.report.error_count, 5);
    CHECK_TEXT(ERROR_LINE(loaded, 0), "conf:1: listening-port: \"x\" is not a number");
    CHECK_TEXT(ERROR_LINE(loaded, 1), "conf:2: realm: needs a value: REALM");
    CHECK_TEXT(ERROR_LINE(loaded, 3), "conf:5: max-port: min-port 2 is above max-port 1");
    CHECK_TEXT(ERROR_LINE(loaded, 4), "command line: cert: needs pkey, its private key");
    unload(&loaded);
}

TEST(a_zero_byte_in_the_file_is_an_error)
{
    static const char text[] = "realm=a\0b\nfingerprint\n";
    struct loaded loaded = load_bytes(text, sizeof text - 1, (const char *const[]){NULL});
    CHECK_REFUSED(loaded, "conf:1: line: has a zero byte");
    CHECK(loaded.config.fingerprint);
    unload(&loaded);
}

TEST(a_long_line_is_read_whole)
{
    char text[6000] = "static-auth-secret=";
    memset(text + strlen(text), 'x', 4000);
    strcat(text, "\nrealm=r\n");
    struct loaded loaded = LOAD(text);
    CHECK_LOADED(loaded);
    CHECK_INT(strlen(loaded.config.secrets[0]), 4000);
    unload(&loaded);

    char longer[200] = "realm=";
    memset(longer + strlen(longer), 'x', 128);
    loaded = LOAD(longer);
    CHECK_REFUSED(loaded, "conf:1: realm: the value has 128 bytes, not 1 to 127");
    unload(&loaded);
}

TEST(a_secret_is_never_in_a_message_or_a_printout)
{
    struct loaded loaded = LOAD("realm=r\nuser=ann:hunter2\nuser=ann:hunter3\nuser=bob:0xhunter4\nstatic-auth-secret=\"hunter5\ncli-password=hunter6\n",
                                "--user=hunter7");
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK_INT(loaded.result, ERR_BAD);
    CHECK_INT(loaded.report.error_count, 4);
    for (size_t i = 0; i < loaded.report.error_count; i++)
        CHECK(strstr(loaded.report.errors[i], "hunter") == NULL);
    for (size_t i = 0; i < loaded.report.warning_count; i++)
        CHECK(strstr(loaded.report.warnings[i], "hunter") == NULL);
    config_print(&loaded.config, out);
    fclose(out);
    CHECK(strstr(text, "hunter") == NULL);
    unload(&loaded);
}

TEST(a_secret_on_the_command_line_earns_a_warning)
{
    struct loaded loaded = LOAD("realm=r\nuser=bob:x\n", "--user=ann:x");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 1);
    CHECK_TEXT(WARNING_LINE(loaded, 0), "command line: user: every user of this machine could read it here at the start; the file is safer");
    unload(&loaded);
}

TEST(users_have_a_password_or_a_key)
{
    static const uint8_t key[16] = {0xbc, 0x80, 0x7e, 0xe2, 0x9d, 0xf3, 0xc9, 0xff, 0xa7, 0x36, 0x52, 0x3f, 0xb2, 0xc4, 0xe8, 0xee};
    struct loaded loaded = LOAD("realm=r\nuser=ann:pass:word\nuser=ninefingers:0xbc807ee29df3c9ffa736523fb2c4e8ee\nuser a@b:c\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.user_count, 3);
    CHECK_TEXT(loaded.config.users[0].name, "ann");
    CHECK_TEXT(loaded.config.users[0].password, "pass:word");
    CHECK(!loaded.config.users[0].has_key && loaded.config.users[1].has_key && !loaded.config.users[1].password);
    CHECK_BYTES(loaded.config.users[1].key, key, 16);
    CHECK_TEXT(loaded.config.users[2].name, "a@b");
    unload(&loaded);
}

TEST(names_and_the_realm_are_prepared_and_passwords_kept_as_they_are)
{
    struct loaded loaded = LOAD("realm=cafe\u0301\nuser=Noe\u0308l\u00A0M:a\u00A0b\n");
    CHECK_LOADED(loaded);
    CHECK_TEXT(loaded.config.realm, "caf\u00E9");
    CHECK_TEXT(loaded.config.users[0].name, "No\u00EBl M");
    CHECK_TEXT(loaded.config.users[0].password, "a\u00A0b");
    unload(&loaded);
    loaded = LOAD("realm=r\nuser=No\u00EBl:a\nuser=Noe\u0308l:b\n");
    CHECK_TEXT(ERROR_LINE(loaded, 0), "conf:3: user: \"No\\xc3\\xabl\" was given before");
    unload(&loaded);
}

TEST(alternates_have_the_port_of_their_option_unless_it_is_said)
{
    struct addr want;
    struct loaded loaded = LOAD("alternate-server=192.0.2.1\nalternate-server=[2001:db8::1]:5\ntls-alternate-server=192.0.2.2/turn2.example.org\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.alternates.count, 2);
    CHECK(addr_parse(view_text("192.0.2.1:3478"), &want) == 0 && addr_equal(&loaded.config.alternates.items[0].servers[0], &want));
    CHECK(addr_parse(view_text("[2001:db8::1]:5"), &want) == 0 && addr_equal(&loaded.config.alternates.items[1].servers[0], &want));
    CHECK_INT(loaded.config.tls_alternates.count, 1);
    CHECK_INT(loaded.config.tls_alternates.items[0].servers[0].port, 5349);
    CHECK_TEXT(loaded.config.tls_alternates.items[0].domain, "turn2.example.org");
    unload(&loaded);
}

TEST(peer_ranges_are_sealed_sets)
{
    struct addr inside, outside;
    struct loaded loaded = LOAD("allowed-peer-ip=10.1.0.0/16\nallowed-peer-ip=10.9.0.1-10.9.0.9\ndenied-peer-ip=2001:db8::/32\n", "--denied-peer-ip", "192.0.2.1");
    CHECK_LOADED(loaded);
    CHECK(loaded.config.allowed_peers.sealed && loaded.config.denied_peers.sealed);
    CHECK_INT(loaded.config.allowed_peers.count, 2);
    CHECK_INT(loaded.config.denied_peers.count, 2);
    CHECK(addr_parse_ip(view_text("10.9.0.9"), &inside) == 0 && addr_parse_ip(view_text("10.9.0.10"), &outside) == 0);
    CHECK(cidr_has(&loaded.config.allowed_peers, &inside) && !cidr_has(&loaded.config.allowed_peers, &outside));
    unload(&loaded);
}

TEST(actions_that_only_print_read_and_check_nothing)
{
    static const struct {
        const char *argument;
        enum config_action action;
    } rows[] = {{"--help", CONFIG_HELP}, {"-h", CONFIG_HELP}, {"--version", CONFIG_VERSION}, {"--manual-page", CONFIG_MANUAL}, {"--example-config", CONFIG_EXAMPLE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct loaded loaded = LOAD(NULL, "-c", "/nonexistent", "--nonsense-option", rows[i].argument);
        CHECK_INT(loaded.result, 0);
        CHECK_INT(loaded.config.action, rows[i].action);
        CHECK_INT(loaded.report.error_count, 0);
        unload(&loaded);
    }
    struct loaded loaded = LOAD(NULL, "--check-config", "--total-quota=x");
    CHECK_INT(loaded.config.action, CONFIG_CHECK);
    CHECK_REFUSED(loaded, "command line: total-quota: \"x\" is not a number");
    unload(&loaded);
}

TEST(out_of_memory_at_any_moment_is_an_error_and_no_crash)
{
    char path[64];
    static const char text[] = "listening-ip=127.0.0.1\nuser=a:b\nstatic-auth-secret=c\nrealm=r\nexternal-ip=192.0.2.1\ndenied-peer-ip=10.0.0.0/8\nnonsense\n";
    char *argv[] = {(char[]){"relay"}, (char[]){"-c"}, path, (char[]){"--realm=x"}};
    int result = ERR_MEMORY;
    temporary(path, text, strlen(text));
    long moments = 0;
    for (; result == ERR_MEMORY && moments < 1000; moments++) {
        struct config config;
        struct config_report report;
        test_fail_malloc_after(moments);
        result = config_load(&config, 4, argv, &report);
        test_fail_malloc_after(-1);
        config_close(&config);
        config_report_close(&report);
    }
    unlink(path);
    CHECK_INT(result, ERR_BAD); /* the unknown option, when there was memory for it all */
    CHECK(moments > 20);
}

TEST_LIST(RUN(the_guides_example_runs_unchanged) RUN(without_anything_said_the_defaults_are_coturns) RUN(the_file_is_read_as_coturn_reads_it)
              RUN(the_command_line_is_read_as_coturn_reads_it) RUN(the_later_value_wins_and_the_command_line_is_last)
                  RUN(repeatable_options_add_up_over_file_and_command_line) RUN(a_flag_can_be_switched_off_in_every_spelling)
                      RUN(a_bad_line_is_told_with_file_line_option_and_reason) RUN(realm_and_software_have_at_most_127_bytes) RUN(a_bad_argument_is_told_with_its_place)
                          RUN(all_errors_are_told_not_the_first_alone) RUN(a_zero_byte_in_the_file_is_an_error) RUN(a_long_line_is_read_whole)
                              RUN(a_secret_is_never_in_a_message_or_a_printout) RUN(a_secret_on_the_command_line_earns_a_warning)
                                  RUN(users_have_a_password_or_a_key) RUN(names_and_the_realm_are_prepared_and_passwords_kept_as_they_are) RUN(alternates_have_the_port_of_their_option_unless_it_is_said) RUN(peer_ranges_are_sealed_sets)
                                      RUN(actions_that_only_print_read_and_check_nothing) RUN(out_of_memory_at_any_moment_is_an_error_and_no_crash))
