/* config_rules.c: the rules over several options, and what follows from them. */
#include "loaded.h"

static const char *shown(const struct loaded *loaded, size_t i)
{
    static char text[2 * ADDR_TEXT_MAX + 4];
    char local[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
    if (i >= loaded->config.relay_count)
        return "";
    snprintf(text, sizeof text, "%s as %s", addr_format_ip(&loaded->config.relays[i].local, local), addr_format_ip(&loaded->config.relays[i].shown, other));
    return text;
}

static const char *listener(const struct loaded *loaded, size_t i)
{
    static char text[ADDR_TEXT_MAX];
    return i < loaded->config.listener_count ? addr_format(&loaded->config.listeners[i], text) : "";
}

/* certificate: lines that name a certificate and a key that can be read. */
static const char *certificate(char out[256], char path[64])
{
    temporary(path, "", 0);
    snprintf(out, 256, "cert=%s\npkey=%s\n", path, path);
    return out;
}

#define PAIR "listening-ip=10.0.0.1\nlistening-ip=10.0.0.2\n"
#define NO_PAIR "conf:1: rfc5780: needs two addresses of a family to answer from: name them with listening-ip, each by itself"

TEST(combinations_that_cannot_run_are_refused)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"min-port=50001\nmax-port=50000\n", "conf:2: max-port: min-port 50001 is above max-port 50000"},
        {"max-port=49151\n", "conf:1: max-port: min-port 49152 is above max-port 49151"},
        {"cert=/x\n", "conf:1: cert: needs pkey, its private key"},
        {"cert=/x\npkey=/x\ncert=/y\n", "conf:3: cert: needs pkey, its private key"},
        {"cert=/x\npkey=/x\npkey=/y\n", "conf:3: pkey: needs cert, its certificate"},
        {"pkey=/x\n", "conf:1: pkey: needs cert, its certificate"},
        {"no-udp\nno-tcp\n", "conf:1: no-udp: nothing is left to listen for: leave no-udp or no-tcp out, or give cert and pkey"},
        {"tcp-proxy-port=3478\nproxy-protocol-from=::1\n",
         "conf:1: tcp-proxy-port: needs a port of its own: nobody comes to it without a PROXY header"},
        {"tls-listening-port=7000\nproxy-protocol-from=::1\ntcp-proxy-port=7000\n",
         "conf:3: tcp-proxy-port: needs a port of its own: nobody comes to it without a PROXY header"},
        {"proxy-protocol-from=::1\nno-tcp\n", "conf:1: proxy-protocol-from: is of no use without TCP and TLS"},
        {"proxy-protocol-from=::1\nno-tcp\ntcp-proxy-port=7000\n", "conf:3: tcp-proxy-port: is of no use without TCP and TLS"},
        {"proxy-protocol-from=proxy.example.org\n",
         "conf:1: proxy-protocol-from: \"proxy.example.org\" is none of ADDRESS, ADDRESS/BITS and FIRST-LAST"},
        {"lt-cred-mech\nuser=ann:x\n", "conf:2: user: needs a realm: add realm=NAME, such as realm=example.org"},
        {"lt-cred-mech\n", "conf:1: lt-cred-mech: needs a realm: add realm=NAME, such as realm=example.org"},
        {"static-auth-secret=x\n", "conf:1: static-auth-secret: needs a realm: add realm=NAME, such as realm=example.org"},
        {"userdb=/x\n", "conf:1: userdb: needs a realm: add realm=NAME, such as realm=example.org"},
        {"realm=r\nstatic-auth-secret=1\nstatic-auth-secret=2\nstatic-auth-secret=3\nstatic-auth-secret=4\nstatic-auth-secret=5\nstatic-auth-secret=6\n"
         "static-auth-secret=7\nstatic-auth-secret=8\nstatic-auth-secret=9\n",
         "conf:10: static-auth-secret: 8 are tried for a request and 9 are given: retire the oldest"},
        {"realm=r\nuse-auth-secret\n", "conf:2: use-auth-secret: needs a secret: add static-auth-secret, or userdb with secrets in it"},
        {"realm=r\nuser=ann:x\nuser=bob:x\nuser=ann:y\n", "conf:4: user: \"ann\" was given before"},
        {"realm=r\nuser=ann:0x00112233445566778899aabbccddeeff\noffer-sha256\n",
         "conf:3: offer-sha256: nobody has a SHA-256 key: it takes user=NAME:PASSWORD, static-auth-secret, userdb or a policy"},
        {"realm=r\nstatic-auth-secret=x\noffer-userhash\n",
         "conf:3: offer-userhash: a name under a secret is not known before it is sent, so it cannot be found by its hash: remove one of them"},
        {"realm=r\nuser=ann:x\noauth\n", "conf:3: oauth: needs the keys of authorization servers: add userdb and run relay oauth add, or a policy"},
        {"set=quota.user=4\n", "conf:1: set: quota.user is of no use without a policy: add policy=FILE"},
        {"secret=rest=/dev/null\n", "conf:1: secret: is of no use without a policy: add policy=FILE"},
        {"policy=/dev/null\nset=quota=4\n", "conf:2: set: \"quota=4\" is not POLICY.NAME=VALUE"},
        {"policy=/dev/null\nset=.user=4\n", "conf:2: set: \".user=4\" is not POLICY.NAME=VALUE"},
        {"policy=/dev/null\nset=quota.=4\n", "conf:2: set: \"quota.=4\" is not POLICY.NAME=VALUE"},
        {"policy=/dev/null\nset=quota.user\n", "conf:2: set: \"quota.user\" is not POLICY.NAME=VALUE"},
        {"policy=/dev/null\nsecret=rest\n", "conf:2: secret: \"rest\" is not NAME=FILE"},
        {"policy=/dev/null\nsecret=rest=/nonexistent\n", "conf:2: secret: \"/nonexistent\" cannot be read: No such file or directory"},
        {"external-ip=192.0.2.1\nexternal-ip=192.0.2.2\n",
         "conf:2: external-ip: was said before: several take the form PUBLIC/PRIVATE, one for each private address"},
        {"external-ip=192.0.2.1/10.0.0.1\nexternal-ip=192.0.2.2/10.0.0.1\n",
         "conf:2: external-ip: was said before: several take the form PUBLIC/PRIVATE, one for each private address"},
        {"rfc5780\n", NO_PAIR},
        {"rfc5780\nlistening-ip=127.0.0.1\nlistening-ip=::1\n", NO_PAIR},
        {"rfc5780\nlistening-ip=127.0.0.1\nlistening-ip=127.0.0.1\n", NO_PAIR},
        {"rfc5780\nlistening-ip=0.0.0.0\n" PAIR, NO_PAIR},
        {"rfc5780\nalt-listening-port=3478\n" PAIR, "conf:1: rfc5780: listening-port and alt-listening-port are both 3478"},
        {"rfc5780\nlistening-port=65535\n" PAIR, "conf:1: alt-listening-port: there is no port after 65535: name another"},
        {"alt-listening-port=65536\n", "conf:1: alt-listening-port: \"65536\" is not within 0 to 65535"},
        {"rfc5780\nexternal-ip=192.0.2.1\n" PAIR,
         "conf:2: external-ip: rfc5780 needs two addresses, but two listening-ip are shown as 192.0.2.1: write PUBLIC/PRIVATE for each"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct loaded loaded = LOAD(rows[i].text);
        CHECK_REFUSED(loaded, rows[i].error);
        unload(&loaded);
    }
}

TEST(a_port_for_proxies_is_one_more_listener_and_trusts_this_machine_unless_others_are_named)
{
    const struct addr here = addr_v4((const uint8_t[]){127, 0, 0, 1}, 0), there = addr_v4((const uint8_t[]){192, 0, 2, 1}, 0);
    struct loaded loaded = LOAD("tcp-proxy-port=7000\n", "-L", "127.0.0.1");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listener_count, 2);
    CHECK_TEXT(listener(&loaded, 1), "127.0.0.1:7000");
    CHECK_TEXT(WARNING_LINE(loaded, 0),
               "conf:1: tcp-proxy-port: only proxies on this machine may connect to it: name others with proxy-protocol-from");
    CHECK(cidr_has(&loaded.config.proxies, &here) && !cidr_has(&loaded.config.proxies, &there));
    unload(&loaded);
    loaded = LOAD("proxy-protocol-from=192.0.2.0/24\nproxy-protocol-from=2001:db8::/32\ntcp-proxy-port=7000\n");
    CHECK_LOADED(loaded);
    CHECK(!cidr_has(&loaded.config.proxies, &here) && cidr_has(&loaded.config.proxies, &there));
    unload(&loaded);
    loaded = LOAD("proxy-protocol-from=192.0.2.0/24\n", "-L", "127.0.0.1");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listener_count, 1);
    CHECK_INT(loaded.config.tcp_proxy_port, 0);
    unload(&loaded);
}

TEST(a_certificate_that_cannot_be_read_is_refused_unless_tls_is_off)
{
    struct loaded loaded = LOAD("cert=/nonexistent\npkey=/tmp\n");
    CHECK_INT(loaded.result, ERR_BAD);
    CHECK_TEXT(ERROR_LINE(loaded, 0), "conf:1: cert: /nonexistent cannot be read: No such file or directory");
    CHECK_TEXT(ERROR_LINE(loaded, 1), "conf:2: pkey: /tmp cannot be read: Is a directory");
    unload(&loaded);
    loaded = LOAD("cert=/dev/null\ncert=/nonexistent\npkey=/dev/null\npkey=/dev/null\n");
    CHECK_REFUSED(loaded, "conf:2: cert: /nonexistent cannot be read: No such file or directory");
    unload(&loaded);
    loaded = LOAD("cert=/nonexistent\npkey=/nonexistent\nno-tls\nno-dtls\n");
    CHECK_LOADED(loaded);
    unload(&loaded);
}

TEST(without_a_certificate_tls_and_dtls_are_off_and_one_note_says_so)
{
    struct loaded loaded = LOAD("listening-ip=127.0.0.1\n");
    CHECK_LOADED(loaded);
    CHECK(loaded.config.no_tls && loaded.config.no_dtls);
    CHECK_INT(loaded.report.note_count, 1);
    CHECK_INT(loaded.config.listener_count, 1);
    CHECK_TEXT(listener(&loaded, 0), "127.0.0.1:3478");
    unload(&loaded);
    loaded = LOAD("no-tls\nno-dtls\n");
    CHECK_INT(loaded.report.note_count, 0);
    unload(&loaded);
}

TEST(with_a_certificate_both_ports_are_listened_on)
{
    char lines[256], path[64];
    struct loaded loaded = LOAD(certificate(lines, path), "-L", "127.0.0.1", "-L", "::1", "-L", "127.0.0.1");
    CHECK_LOADED(loaded);
    CHECK(!loaded.config.no_tls && !loaded.config.no_dtls && !loaded.config.listens_everywhere);
    CHECK_INT(loaded.config.listener_count, 4);
    CHECK_TEXT(listener(&loaded, 0), "127.0.0.1:3478");
    CHECK_TEXT(listener(&loaded, 1), "127.0.0.1:5349");
    CHECK_TEXT(listener(&loaded, 3), "[::1]:5349");
    unload(&loaded);
    loaded = LOAD(lines, "--tls-listening-port=3478", "--no-udp", "--no-tcp", "--no-dtls");
    CHECK_LOADED(loaded);
    CHECK(loaded.config.listens_everywhere);
    CHECK_INT(loaded.config.listener_count, 2);
    CHECK_TEXT(listener(&loaded, 0), "0.0.0.0:3478");
    CHECK_TEXT(listener(&loaded, 1), "[::]:3478");
    unload(&loaded);
    unlink(path);
}

TEST(relay_addresses_are_the_named_ones_or_the_listening_ones)
{
    struct loaded loaded = LOAD("relay-ip=127.0.0.5\nrelay-ip=::1\nrelay-ip=127.0.0.5\nlistening-ip=127.0.0.1\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.relay_count, 2);
    CHECK_TEXT(shown(&loaded, 0), "127.0.0.5 as 127.0.0.5");
    CHECK_TEXT(shown(&loaded, 1), "::1 as ::1");
    unload(&loaded);
    loaded = LOAD("listening-ip=127.0.0.1\n");
    CHECK_INT(loaded.config.relay_count, 1);
    CHECK_TEXT(shown(&loaded, 0), "127.0.0.1 as 127.0.0.1");
    unload(&loaded);
}

TEST(relay_addresses_of_interfaces_are_never_any_or_link_local)
{
    struct loaded loaded = LOAD("listening-ip=0.0.0.0\nlistening-ip=::\n");
    bool loopback = false, other = false;
    CHECK_LOADED(loaded);
    CHECK(loaded.config.relay_count > 0);
    for (size_t i = 0; i < loaded.config.relay_count; i++) {
        const struct addr *local = &loaded.config.relays[i].local;
        const bool is_loopback = local->family == ADDR_IPV4 ? local->ip[12] == 127 : local->ip[0] == 0 && local->ip[15] == 1;
        CHECK(!addr_is_any(local) && local->port == 0);
        CHECK(local->family == ADDR_IPV4 || local->ip[0] != 0xfe);
        loopback |= is_loopback;
        other |= !is_loopback;
    }
    CHECK(loopback != other);
    unload(&loaded);
}

TEST(an_external_address_maps_onto_relay_addresses_as_in_coturn)
{
    struct loaded loaded = LOAD("relay-ip=10.0.0.1\nrelay-ip=10.0.0.2\nrelay-ip=10.0.0.3\nrelay-ip=fd00::1\n"
                                "external-ip=192.0.2.9\nexternal-ip=192.0.2.2/10.0.0.2\n");
    CHECK_LOADED(loaded);
    CHECK_TEXT(shown(&loaded, 0), "10.0.0.1 as 192.0.2.9");
    CHECK_TEXT(shown(&loaded, 1), "10.0.0.2 as 192.0.2.2");
    CHECK_TEXT(shown(&loaded, 2), "10.0.0.3 as 192.0.2.9");
    CHECK_TEXT(shown(&loaded, 3), "fd00::1 as fd00::1");
    CHECK_INT(loaded.report.warning_count, 1); /* the one about authentication */
    unload(&loaded);
}

TEST(a_relay_address_belongs_to_the_pool_that_names_it)
{
    struct loaded loaded = LOAD("realm=r\nuser=ann:x\nrelay-ip=10.0.0.1\nrelay-ip=10.0.0.2\nrelay-ip=fd00::1\nrelay-pool=red=10.0.0.2\nrelay-pool=red=fd00::1\n");
    CHECK_LOADED(loaded);
    CHECK(!loaded.config.relays[0].pool);
    CHECK_TEXT(loaded.config.relays[1].pool, "red");
    CHECK_TEXT(loaded.config.relays[2].pool, "red");
    unload(&loaded);
    loaded = LOAD("realm=r\nuser=ann:x\nrelay-ip=10.0.0.1\nrelay-pool=red=10.0.0.2\n");
    CHECK_REFUSED(loaded, "conf:4: relay-pool: 10.0.0.2 is no relay address: name it in relay-ip as well");
    unload(&loaded);
    loaded = LOAD("realm=r\nuser=ann:x\nrelay-ip=10.0.0.1\nrelay-pool=red=10.0.0.1\nrelay-pool=blue=10.0.0.1\n");
    CHECK_REFUSED(loaded, "conf:5: relay-pool: 10.0.0.1 is in the pool red: an address is in one");
    unload(&loaded);
}

TEST(md5_keys_beside_an_offer_of_sha256_earn_a_warning)
{
    static const struct {
        const char *text;
        size_t warnings;
    } rows[] = {
        {"realm=r\nuser=ann:x\noffer-sha256\n", 0},
        {"realm=r\nstatic-auth-secret=x\noffer-sha256\n", 0},
        {"policy=/dev/null\noffer-sha256\n", 0},
        {"realm=r\nuser=ann:x\nuser=bob:0x00112233445566778899aabbccddeeff\n", 0},
        {"realm=r\nuser=ann:x\nuser=bob:0x00112233445566778899aabbccddeeff\noffer-sha256\n", 1},
        {"realm=r\nuserdb=/x\noffer-sha256\n", 0},
        {"realm=r\nuserdb=/x\noffer-sha256\noffer-userhash\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct loaded loaded = LOAD(rows[i].text);
        CHECK_LOADED(loaded);
        CHECK_INT(loaded.report.warning_count, rows[i].warnings);
        unload(&loaded);
    }
}

TEST(a_number_of_answers_without_the_limit_earns_a_warning)
{
    struct loaded loaded = LOAD("stun-only\nunauthorized-ratelimit-rps=5\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 1);
    CHECK_TEXT(WARNING_LINE(loaded, 0), "conf:2: unauthorized-ratelimit-rps: is of no use without unauthorized-ratelimit: strangers are answered without a limit");
    unload(&loaded);
    loaded = LOAD("stun-only\nunauthorized-ratelimit\nunauthorized-ratelimit-rps=5\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 0);
    CHECK(loaded.config.unauthorized_ratelimit && loaded.config.unauthorized_rps == 5);
    unload(&loaded);
    loaded = LOAD("stun-only\nunauthorized-ratelimit\ncredential-expiry=strict\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.unauthorized_rps, 10);
    CHECK_INT(loaded.config.max_failed_logins, 600);
    CHECK_INT(loaded.config.strict_expiry, 1);
    unload(&loaded);
}

TEST(an_external_address_that_maps_onto_nothing_earns_a_warning)
{
    struct loaded loaded = LOAD("stun-only\nrelay-ip=10.0.0.1\nexternal-ip=192.0.2.2/10.0.0.2\nexternal-ip=2001:db8::1\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 2);
    CHECK_TEXT(WARNING_LINE(loaded, 0), "conf:3: external-ip: no relay address is behind 192.0.2.2, so it has no effect: see relay-ip");
    CHECK_TEXT(WARNING_LINE(loaded, 1), "conf:4: external-ip: no relay address is behind 2001:db8::1, so it has no effect: see relay-ip");
    unload(&loaded);
}

TEST(without_authentication_nothing_is_relayed_and_a_warning_says_so)
{
    static const char *const closed[] = {"", "realm=r\nlt-cred-mech\n", "no-auth=0\nno-auth\n", "realm=r\nno-auth\n"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        struct loaded loaded = LOAD(closed[i]);
        CHECK_LOADED(loaded);
        CHECK(!loaded.config.relaying);
        CHECK(strstr(WARNING_LINE(loaded, loaded.report.warning_count - 1), "nothing is relayed") != NULL);
        unload(&loaded);
    }
}

TEST(users_a_secret_a_database_or_a_policy_let_it_relay)
{
    static const char *const open[] = {"realm=r\nuser=a:b\n", "realm=r\nstatic-auth-secret=x\n", "realm=r\nuserdb=/x\n", "policy=/dev/null\n",
                                       "policy=/dev/null\nuserdb=/x\n", "realm=r\nuse-auth-secret\nuserdb=/x\n"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        struct loaded loaded = LOAD(open[i]);
        CHECK_LOADED(loaded);
        CHECK(loaded.config.relaying);
        CHECK_INT(loaded.report.warning_count, 0);
        CHECK_TEXT(loaded.config.realm, strncmp(open[i], "realm", 5) == 0 ? "r" : "relay");
        unload(&loaded);
        loaded = LOAD(open[i], "--stun-only");
        CHECK_LOADED(loaded);
        CHECK(!loaded.config.relaying);
        unload(&loaded);
    }
}

TEST(a_static_secret_implies_use_auth_secret)
{
    struct loaded loaded = LOAD("realm=r\nstatic-auth-secret=x\nuse-auth-secret=no\n");
    CHECK_LOADED(loaded);
    CHECK(loaded.config.use_auth_secret);
    unload(&loaded);
}

TEST(policies_their_parameters_and_secrets_arrive_in_order_with_their_places)
{
    struct loaded loaded = LOAD("policy=/dev/null\npolicy=/dev/zero\nset=quota.user=4\nset quota.realm=a=b\nsecret=rest=/dev/null\n", "--set=quota.user=5",
                                "--secret", "rest=/dev/zero");
    const struct config *config = &loaded.config;
    CHECK_LOADED(loaded);
    CHECK_INT(config->policy_count, 2);
    CHECK_TEXT(config->policies[1], "/dev/zero");
    CHECK_INT(config->param_count, 2);
    CHECK_TEXT(config->params[0].name, "quota.user");
    CHECK_TEXT(config->params[0].value, "5");
    CHECK_TEXT(config->params[0].where, "command line");
    CHECK_TEXT(config->params[1].value, "a=b");
    CHECK_TEXT(config->params[1].where + strlen(loaded.path), ":4");
    CHECK_INT(config->policy_secret_count, 1);
    CHECK_TEXT(config->policy_secrets[0].name, "rest");
    CHECK_TEXT(config->policy_secrets[0].path, "/dev/zero");
    unload(&loaded);
}

TEST(numbers_become_what_the_engine_counts_in)
{
    struct loaded loaded = LOAD("max-bps=4294967295\nstale-nonce=0\nrelay-threads=0\n");
    CHECK_LOADED(loaded);
    CHECK(loaded.config.max_bps == 8ull * 4294967295);
    CHECK_INT(loaded.config.nonce_lifetime_s, CONFIG_NONCE_FOREVER_S);
    CHECK_INT(loaded.config.workers, 1);
    unload(&loaded);
    loaded = LOAD("stale-nonce\nrelay-threads=7\n");
    CHECK_INT(loaded.config.nonce_lifetime_s, 600);
    CHECK_INT(loaded.config.workers, 7);
    unload(&loaded);
}

TEST(the_log_goes_where_coturn_would_send_it_or_a_warning_says_otherwise)
{
    struct loaded loaded = LOAD("stun-only\nlog-file=-\n");
    CHECK_TEXT(loaded.config.log_file, "stdout");
    CHECK_INT(loaded.report.warning_count, 0);
    unload(&loaded);
    loaded = LOAD("stun-only\nlog-file=syslog\n");
    CHECK_TEXT(loaded.config.log_file, "stdout");
    CHECK_INT(loaded.report.warning_count, 1);
    unload(&loaded);
    loaded = LOAD("log-file=/var/log/relay.log\n");
    CHECK_TEXT(loaded.config.log_file, "/var/log/relay.log");
    unload(&loaded);
}

TEST(the_printout_says_what_would_run)
{
    static const char *const lines[] = {
        "listen          127.0.0.1:3478 udp tcp\n", "relay           127.0.0.1 ports 50000-50009 udp tcp shown as 192.0.2.1\n", "realm           example.org\n",
        "users           1 in the configuration\n",  "secrets         1 in the configuration, others in the database\n",    "database        /x\n",
        "policy          /dev/null\n",               "set             quota.user=4 (command line)\n",                       "total quota     100 allocations\n",
        "user quota      none\n",                    "rate            80 bit/s for an allocation, each direction\n",        "workers         2\n",
    };
    struct loaded loaded = LOAD("listening-ip=127.0.0.1\nexternal-ip=192.0.2.1\nmin-port=50000\nmax-port=50009\nrealm=example.org\nuser=a:b\n"
                                "static-auth-secret=x\nuserdb=/x\npolicy=/dev/null\ntotal-quota=100\nmax-bps=10\nrelay-threads=2\n",
                                "--set=quota.user=4", "--check-config");
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK_LOADED(loaded);
    config_print(&loaded.config, out);
    fclose(out);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            test_failed(__FILE__, __LINE__, "no line %s", lines[i]);
    unload(&loaded);
}

/* origins: what the listener with this number answers with: four times local, as shown, listener. */
static const char *origins(const struct loaded *loaded, size_t listener)
{
    static char text[512];
    char local[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
    size_t len = 0;
    for (size_t i = 0; i < ORIGINS; i++) {
        const struct origin *origin = &loaded->config.rfc5780_origins[listener].at[i];
        if (!origin->local.family)
            len += (size_t)snprintf(text + len, sizeof text - len, "; none");
        else
            len += (size_t)snprintf(text + len, sizeof text - len, "; %u %s %s", origin->listener, addr_format(&origin->local, local),
                                    addr_format(&origin->shown, other));
    }
    return text + 2;
}

TEST(listeners_answer_for_each_other_by_rfc5780)
{
    char lines[256], path[64];
    struct loaded loaded = LOAD("rfc5780\nstun-only\nlistening-ip=::1\n" PAIR "external-ip=192.0.2.2/10.0.0.2\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listener_count, 6);
    CHECK_TEXT(origins(&loaded, 0), "0 [::1]:3478 [::1]:3478; 1 [::1]:3479 [::1]:3479; none; none");
    CHECK_TEXT(origins(&loaded, 2), "2 10.0.0.1:3478 10.0.0.1:3478; 3 10.0.0.1:3479 10.0.0.1:3479; "
                                    "4 10.0.0.2:3478 192.0.2.2:3478; 5 10.0.0.2:3479 192.0.2.2:3479");
    CHECK_TEXT(origins(&loaded, 5), "5 10.0.0.2:3479 192.0.2.2:3479; 4 10.0.0.2:3478 192.0.2.2:3478; "
                                    "3 10.0.0.1:3479 10.0.0.1:3479; 2 10.0.0.1:3478 10.0.0.1:3478");
    CHECK_INT(loaded.report.warning_count, 0);
    unload(&loaded);
    char text[512];
    snprintf(text, sizeof text, "rfc5780\nstun-only\nalt-listening-port=80\nalt-tls-listening-port=443\n" PAIR "%s", certificate(lines, path));
    loaded = LOAD(text);
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.listener_count, 8);
    CHECK_TEXT(listener(&loaded, 7), "10.0.0.2:443");
    CHECK_TEXT(origins(&loaded, 2), "2 10.0.0.1:5349 10.0.0.1:5349; 3 10.0.0.1:443 10.0.0.1:443; "
                                    "6 10.0.0.2:5349 10.0.0.2:5349; 7 10.0.0.2:443 10.0.0.2:443");
    unload(&loaded);
    unlink(path);
}

TEST(a_port_for_proxies_answers_for_itself_alone)
{
    struct loaded loaded = LOAD("rfc5780\nstun-only\ntcp-proxy-port=81\nproxy-protocol-from=10.0.0.0/8\n" PAIR);
    CHECK_LOADED(loaded);
    CHECK_TEXT(listener(&loaded, 2), "10.0.0.1:81");
    CHECK_TEXT(origins(&loaded, 2), "2 10.0.0.1:81 10.0.0.1:81; none; none; none");
    CHECK_INT(loaded.config.rfc5780_origins[0].at[ORIGIN_IP].listener, 3);
    unload(&loaded);
    loaded = LOAD("rfc5780\nstun-only\ntcp-proxy-port=3479\nproxy-protocol-from=10.0.0.0/8\n" PAIR);
    CHECK_REFUSED(loaded, "conf:1: rfc5780: alt-listening-port and tcp-proxy-port are both 3479");
    unload(&loaded);
}

TEST(three_addresses_answer_in_a_circle)
{
    struct loaded loaded = LOAD("rfc5780\nstun-only\n" PAIR "listening-ip=10.0.0.3\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.config.rfc5780_origins[0].at[ORIGIN_IP].listener, 2);
    CHECK_INT(loaded.config.rfc5780_origins[2].at[ORIGIN_IP].listener, 4);
    CHECK_INT(loaded.config.rfc5780_origins[4].at[ORIGIN_IP].listener, 0);
    unload(&loaded);
}

TEST(discovery_and_old_clients_are_off_unless_switched_on_and_no_wins)
{
    struct loaded loaded = LOAD("no-rfc5780\nno-stun-backward-compatibility\nresponse-origin-only-with-rfc5780\nstun-only\n");
    CHECK_LOADED(loaded);
    CHECK_INT(loaded.report.warning_count, 0);
    CHECK(!loaded.config.rfc5780 && !loaded.config.rfc5780_origins && !loaded.config.mapped_address && !loaded.config.rfc3489);
    CHECK_INT(loaded.config.listener_count, 2);
    unload(&loaded);
    loaded = LOAD("rfc5780\nstun-backward-compatibility\nrfc3489-compatibility\nstun-only\n" PAIR);
    CHECK_LOADED(loaded);
    CHECK(loaded.config.rfc5780 && loaded.config.rfc5780_origins && loaded.config.mapped_address && loaded.config.rfc3489);
    unload(&loaded);
    loaded = LOAD("rfc5780\nstun-backward-compatibility\nrfc3489-compatibility\nstun-only\n", "--no-rfc5780", "--no-stun-backward-compatibility");
    CHECK_LOADED(loaded);
    CHECK(!loaded.config.rfc5780 && !loaded.config.rfc5780_origins && !loaded.config.mapped_address && !loaded.config.rfc3489);
    unload(&loaded);
    loaded = LOAD("alt-listening-port=80\nstun-only\n");
    CHECK_LOADED(loaded);
    CHECK_TEXT(WARNING_LINE(loaded, 0), "conf:1: alt-listening-port: is listened on with rfc5780 only");
    unload(&loaded);
}

TEST_LIST(RUN(listeners_answer_for_each_other_by_rfc5780) RUN(three_addresses_answer_in_a_circle) RUN(a_port_for_proxies_answers_for_itself_alone)
              RUN(discovery_and_old_clients_are_off_unless_switched_on_and_no_wins) RUN(combinations_that_cannot_run_are_refused) RUN(a_number_of_answers_without_the_limit_earns_a_warning) RUN(a_certificate_that_cannot_be_read_is_refused_unless_tls_is_off)
              RUN(a_port_for_proxies_is_one_more_listener_and_trusts_this_machine_unless_others_are_named)
              RUN(without_a_certificate_tls_and_dtls_are_off_and_one_note_says_so) RUN(with_a_certificate_both_ports_are_listened_on)
                  RUN(relay_addresses_are_the_named_ones_or_the_listening_ones) RUN(relay_addresses_of_interfaces_are_never_any_or_link_local)
                      RUN(an_external_address_maps_onto_relay_addresses_as_in_coturn) RUN(a_relay_address_belongs_to_the_pool_that_names_it) RUN(md5_keys_beside_an_offer_of_sha256_earn_a_warning) RUN(an_external_address_that_maps_onto_nothing_earns_a_warning)
                          RUN(without_authentication_nothing_is_relayed_and_a_warning_says_so) RUN(users_a_secret_a_database_or_a_policy_let_it_relay)
                              RUN(a_static_secret_implies_use_auth_secret) RUN(policies_their_parameters_and_secrets_arrive_in_order_with_their_places)
                                  RUN(numbers_become_what_the_engine_counts_in) RUN(the_log_goes_where_coturn_would_send_it_or_a_warning_says_otherwise)
                                      RUN(the_printout_says_what_would_run))
