/* coturn.c: every option of coturn's has its meaning here, or a text that says what to use instead; and takes a value where coturn's does. */
#include "loaded.h"

#include "server/ignored.h"
#include "server/option.h"

#include <ctype.h>

/* the long options of coturn 4.6.1 and 4.17.1, by whether a value must follow */
static const char with_value[] =
    "listening-device listening-port tls-listening-port alt-listening-port alt-tls-listening-port tcp-proxy-port listening-ip relay-device relay-ip "
    "external-ip relay-threads min-port max-port user userdb db psql-userdb sql-userdb mysql-userdb mongo-userdb redis-userdb redis-statsdb "
    "prometheus-port static-auth-secret realm server-name user-quota total-quota max-bps bps-capacity cert pkey pkey-pwd log-file "
    "new-log-timestamp-format aux-server alternate-server tls-alternate-server rest-api-separator max-allocate-timeout allowed-peer-ip denied-peer-ip "
    "cipher-list pidfile CA-file dh-file proc-user proc-group cli-ip cli-port cli-password web-admin-ip web-admin-port cli-max-output-sessions "
    "ec-curve-name ne secret-key-file allocation-default-address-family acme-redirect syslog-facility sock-buf-size prometheus-address "
    "prometheus-path prometheus-cert prometheus-key log-min-level tcp-alternate-server udp-alternate-server drain-min-allocations "
    "multiplex-peer-port multiplex-peer-max-peers cpus stateless-nonce-secret";

static const char without_value[] =
    "lt-cred-mech no-auth prometheus prometheus-username-labels use-auth-secret no-auth-pings no-dynamic-ip-list no-dynamic-realms "
    "secret-ts-exp-time oauth verbose Verbose daemon prod no-software-attribute fingerprint check-origin-consistency no-udp no-tcp no-tls no-dtls "
    "no-udp-relay no-tcp-relay stale-nonce stun-only no-stun no-stdout-log syslog simple-log new-log-timestamp udp-self-balance no-multicast-peers "
    "allow-loopback-peers secure-stun mobility no-cli web-admin web-admin-listen-on-workers server-relay dh566 dh1066 no-sslv2 no-sslv3 no-tlsv1 "
    "no-tlsv1_1 no-tlsv1_2 keep-address-family log-binding no-rfc5780 no-stun-backward-compatibility response-origin-only-with-rfc5780 version "
    "prometheus-tls software-attribute dtls raw-public-keys cli tlsv1 tlsv1_1 rfc5780 stun-backward-compatibility rfc5766-channel-numbers "
    "rfc3489-compatibility respond-http-unsupported drop-invalid-packets drop-invalid-packets-log udp-recvmmsg udp-recvmmsg-log udp-sendmmsg-log "
    "udp-gso include-reason-string multiplex-peer unauthorized-ratelimit unauthorized-ratelimit-rps stateless-nonce";

/* in coturn these want "=" before their value; here a value always follows */
static const char optional_value[] = "max-allocate-lifetime channel-lifetime permission-lifetime";

static const struct {
    char letter;
    const char *name;
} letters[] = {
    {'d', "listening-device"}, {'p', "listening-port"}, {'L', "listening-ip"}, {'i', "relay-device"},       {'E', "relay-ip"},
    {'X', "external-ip"},      {'m', "relay-threads"},  {'a', "lt-cred-mech"}, {'z', "no-auth"},            {'u', "user"},
    {'b', "userdb"},           {'e', "psql-userdb"},    {'M', "mysql-userdb"}, {'J', "mongo-userdb"},       {'N', "redis-userdb"},
    {'O', "redis-statsdb"},    {'r', "realm"},          {'q', "user-quota"},   {'Q', "total-quota"},        {'s', "max-bps"},
    {'B', "bps-capacity"},     {'v', "verbose"},        {'V', "Verbose"},      {'o', "daemon"},             {'f', "fingerprint"},
    {'S', "stun-only"},        {'l', "log-file"},       {'C', "rest-api-separator"}, {'K', "keep-address-family"}, {'A', "allocation-default-address-family"},
    {'c', "config"},           {'n', "do-not-use-config-file"}, {'h', "help"},
};

static bool is_known(const char *name)
{
    const struct ignored *row = ignored_find(name);
    return option_find(name) || (row && row->instead[0]);
}

static bool must_have_value(const char *name)
{
    const struct option *option = option_find(name);
    const struct ignored *row = ignored_find(name);
    return option ? option_takes_value(option) && !option->bare : ignored_takes_value(row);
}

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

static int check_words(const char *words, bool value)
{
    char name[64];
    int count = 0;
    for (; sscanf(words, " %63s", name) == 1; count++) {
        words = strstr(words, name) + strlen(name);
        if (!is_known(name))
            test_failed(__FILE__, __LINE__, "nothing is said about %s", name);
        if (must_have_value(name) != value)
            test_failed(__FILE__, __LINE__, "%s %s a value", name, value ? "must have" : "is complete without");
    }
    return count;
}

TEST(every_option_of_coturns_is_known_and_takes_a_value_where_coturns_does)
{
    CHECK_INT(check_words(with_value, true), 73);
    CHECK_INT(check_words(without_value, false), 75);
    CHECK_INT(check_words(optional_value, true), 3);
}

TEST(every_letter_of_coturns_means_the_same)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        const struct option *option = option_by_letter(letters[i].letter);
        const struct ignored *row = ignored_by_letter(letters[i].letter);
        CHECK_TEXT(option ? option->name : row ? row->name : "", letters[i].name);
    }
}

TEST(no_option_is_both_here_and_ignored_and_none_is_there_twice)
{
    for (size_t i = 0; i < ignored_count; i++) {
        CHECK(ignored_find(ignored[i].name) == &ignored[i]);
        CHECK(!option_find(ignored[i].name));
        CHECK(!ignored[i].letter || (ignored_by_letter(ignored[i].letter) == &ignored[i] && !option_by_letter(ignored[i].letter)));
    }
    for (size_t i = 0; i < option_count; i++) {
        CHECK(option_find(options[i].name) == &options[i]);
        CHECK(!options[i].letter || option_by_letter(options[i].letter) == &options[i]);
    }
}

/* The help of the coturn that is installed: lines that begin with dashes name options. */
TEST(every_option_in_the_help_of_the_installed_coturn_is_known)
{
    char line[1024];
    int count = 0;
    FILE *help = access("/usr/bin/turnserver", X_OK) == 0 ? popen("/usr/bin/turnserver -h 2>&1", "r") : NULL;
    if (!help)
        test_skip("coturn is not installed");
    while (fgets(line, sizeof line, help)) {
        const char *at = line + strspn(line, " \t");
        if (*at != '-')
            continue;
        for (char *stop; (at = strstr(at, "--")) != NULL && at[2] != ' '; at = stop) {
            char name[64];
            size_t len = strspn(at + 2, NAME_LETTERS);
            snprintf(name, sizeof name, "%.*s", (int)len, at + 2);
            stop = (char *)at + 2 + len;
            count++;
            if (!is_known(name))
                test_failed(__FILE__, __LINE__, "nothing is said about %s", name);
            if (strchr("\t ", *stop))
                break; /* what follows is prose */
        }
    }
    pclose(help);
    CHECK(count > 100);
}

/* Its file: what is switched on, and each "#name=value" that waits to be. */
TEST(every_option_in_the_file_of_the_installed_coturn_is_known)
{
    char *text = test_file("/etc/turnserver.conf"), *rest = text, *line;
    int count = 0;
    if (!text)
        test_skip("coturn is not installed");
    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *name = line + (*line == '#');
        const size_t len = strspn(name, NAME_LETTERS);
        if (!isalpha((unsigned char)*name) || (name[len] && name[len] != '=')) /* prose */
            continue;
        count++;
        line[(name - line) + (ptrdiff_t)len] = 0;
        if (!is_known(name))
            test_failed(__FILE__, __LINE__, "nothing is said about %s", name);
    }
    free(text);
    CHECK(count > 80);
    struct loaded loaded = LOAD(NULL, "-c", "/etc/turnserver.conf");
    CHECK_LOADED(loaded);
    unload(&loaded);
}

TEST(an_option_without_meaning_earns_one_warning_and_all_else_runs)
{
    struct loaded loaded = LOAD("no-cli\ncli-password=x\ncli-password=y\nstun-only\n", "-o", "--web-admin", "--no-cli", "--redis-statsdb", "ip=127.0.0.1", "-m", "2");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 5);
    CHECK_TEXT(WARNING_LINE(loaded, 0), "conf:1: no-cli: has no meaning here: there is no console: relay usage and relay user work on the database");
    CHECK_TEXT(WARNING_LINE(loaded, 2), "command line: daemon: has no meaning here: the relay stays in the foreground: let systemd or a container keep it");
    CHECK_INT(loaded.config.workers, 2);
    unload(&loaded);
}

TEST(an_option_that_would_leave_the_server_more_open_is_refused)
{
    struct loaded loaded = LOAD("CA-file=/etc/ca.pem\n");
    CHECK_REFUSED(loaded, "conf:1: CA-file: is refused: clients' certificates are NOT verified here; remove it if credentials alone may decide");
    unload(&loaded);
}

TEST_LIST(RUN(every_option_of_coturns_is_known_and_takes_a_value_where_coturns_does) RUN(every_letter_of_coturns_means_the_same)
              RUN(no_option_is_both_here_and_ignored_and_none_is_there_twice) RUN(every_option_in_the_help_of_the_installed_coturn_is_known)
                  RUN(every_option_in_the_file_of_the_installed_coturn_is_known) RUN(an_option_without_meaning_earns_one_warning_and_all_else_runs)
                      RUN(an_option_that_would_leave_the_server_more_open_is_refused))
