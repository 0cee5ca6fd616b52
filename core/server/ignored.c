/* ignored.c: what became of the rest of coturn's options, 4.6 to 4.17. */
#include "server/ignored.h"

#include <string.h>

#define SERVICE "the relay stays in the foreground: let systemd or a container keep it"
#define DATABASE "users, secrets and usage are in SQLite: see userdb, and relay user add"
#define CONSOLE "there is no console: relay usage and relay user work on the database"
#define WEB "there are no web pages"
#define METRICS "there is no Prometheus listener"
#define ONE_LOG "the log goes to one place: see log-file"
#define SYSLOG "the log goes to log-file or stdout: let systemd or logger pass it on"
#define TLS_FIXED "TLS 1.2 and 1.3 with AEAD suites and OpenSSL's own groups, nothing older"
#define REST "time-limited names are EXPIRY:NAME, with a colon"
#define MULTIPLEX "each allocation has a port of its own"
#define BATCHES "datagrams are always read and written in batches"

const struct ignored ignored[] = {
    {"listening-device", 'd', IGNORED_VALUE, "the relay is bound to addresses, not devices, and listens on all of them unless you name the device's with listening-ip"},
    {"relay-device", 'i', IGNORED_VALUE, "the relay is bound to addresses, not devices: name the device's with relay-ip"},
    {"aux-server", 0, IGNORED_VALUE, "every listening-ip is served alike: name the address there"},
    {"udp-self-balance", 0, IGNORED_FLAG, "the kernel spreads clients over the workers"},
    {"sock-buf-size", 0, IGNORED_VALUE, "listeners ask for 4 MiB: raise net.core.rmem_max to let them have it"},
    {"no-multicast-peers", 0, IGNORED_FLAG, "multicast peers are always refused unless allowed-peer-ip names them"},
    {"Verbose", 'V', IGNORED_FLAG, "there is one more level: see verbose"},
    {"daemon", 'o', IGNORED_FLAG, SERVICE},
    {"no-software-attribute", 0, IGNORED_FLAG, "SOFTWARE is sent only when software names it"},
    {"prod", 0, IGNORED_FLAG, "SOFTWARE is sent only when software names it"},
    {"software-attribute", 0, IGNORED_FLAG, "use software with the text to send"},
    {"no-auth", 'z', IGNORED_FLAG, "nobody relays without authentication: use user, use-auth-secret, userdb or policy"},
    {"no-auth-pings", 0, IGNORED_FLAG, "the database is local: nothing needs a ping"},
    {"no-dynamic-ip-list", 0, IGNORED_FLAG, "peers are allowed and denied by allowed-peer-ip, denied-peer-ip and policies only"},
    {"no-dynamic-realms", 0, IGNORED_FLAG, "realms come from realm and from policies: see policies/tenants.lua"},
    {"check-origin-consistency", 0, IGNORED_FLAG, "ORIGIN is not compared within a session: a policy can look at req.origin"},
    {"psql-userdb", 'e', IGNORED_VALUE, DATABASE},
    {"sql-userdb", 0, IGNORED_VALUE, DATABASE},
    {"mysql-userdb", 'M', IGNORED_VALUE, DATABASE},
    {"mongo-userdb", 'J', IGNORED_VALUE, DATABASE},
    {"redis-userdb", 'N', IGNORED_VALUE, DATABASE},
    {"redis-statsdb", 'O', IGNORED_VALUE, DATABASE},
    {"secret-key-file", 0, IGNORED_VALUE, DATABASE},
    {"secret-ts-exp-time", 0, IGNORED_FLAG, REST},
    {"rest-api-separator", 'C', IGNORED_VALUE, REST},
    {"do-not-use-config-file", 'n', IGNORED_FLAG, "no file is read unless -c names it"},
    {"pkey-pwd", 0, IGNORED_VALUE, "encrypted keys are not read: openssl pkey -in KEY -out PLAIN makes one that is"},
    {"cipher-list", 0, IGNORED_VALUE, TLS_FIXED},
    {"CA-file", 0, REFUSED_VALUE, "clients' certificates are NOT verified here; remove it if credentials alone may decide"},
    {"raw-public-keys", 0, IGNORED_FLAG, "clients are shown the certificate of cert"},
    {"ec-curve-name", 0, IGNORED_VALUE, TLS_FIXED},
    {"dh566", 0, IGNORED_FLAG, TLS_FIXED},
    {"dh1066", 0, IGNORED_FLAG, TLS_FIXED},
    {"dh2066", 0, IGNORED_FLAG, TLS_FIXED},
    {"dh-file", 0, IGNORED_VALUE, TLS_FIXED},
    {"no-sslv2", 0, IGNORED_FLAG, TLS_FIXED},
    {"no-sslv3", 0, IGNORED_FLAG, TLS_FIXED},
    {"tlsv1", 0, IGNORED_FLAG, TLS_FIXED},
    {"tlsv1_1", 0, IGNORED_FLAG, TLS_FIXED},
    {"no-tlsv1", 0, IGNORED_FLAG, TLS_FIXED},
    {"no-tlsv1_1", 0, IGNORED_FLAG, TLS_FIXED},
    {"no-tlsv1_2", 0, IGNORED_FLAG, "TLS 1.2 and DTLS 1.2 stay ON, with AEAD suites only"},
    {"dtls", 0, IGNORED_FLAG, "DTLS is on when there is a certificate: see no-dtls"},
    {"no-stdout-log", 0, IGNORED_FLAG, ONE_LOG},
    {"simple-log", 0, IGNORED_FLAG, ONE_LOG},
    {"syslog", 0, IGNORED_FLAG, SYSLOG},
    {"syslog-facility", 0, IGNORED_VALUE, SYSLOG},
    {"log-min-level", 0, IGNORED_VALUE, "there are two levels: see verbose"},
    {"new-log-timestamp", 0, IGNORED_FLAG, "lines begin with the time as ISO 8601"},
    {"new-log-timestamp-format", 0, IGNORED_VALUE, "lines begin with the time as ISO 8601"},
    {"log-binding", 0, IGNORED_FLAG, "Binding requests are counted, not logged"},
    {"no-stun", 0, IGNORED_FLAG, "Binding requests ARE answered"},
    {"secure-stun", 0, IGNORED_FLAG, "Binding requests ARE answered without authentication, with 32 bytes or a little more"},
    {"max-allocate-timeout", 0, IGNORED_VALUE, "a connection has 10 s for its handshake and first message, whatever this says"},
    {"drain-min-allocations", 0, IGNORED_VALUE, "SIGTERM ends every allocation"},
    {"acme-redirect", 0, IGNORED_VALUE, "HTTP is not answered: let another program answer ACME challenges"},
    {"respond-http-unsupported", 0, IGNORED_FLAG, "HTTP is not answered"},
    {"keep-address-family", 'K', IGNORED_FLAG, "the default; allocation-default-address-family=ipv4 changes it"},
    {"cli", 0, IGNORED_FLAG, CONSOLE},
    {"no-cli", 0, IGNORED_FLAG, CONSOLE},
    {"cli-ip", 0, IGNORED_VALUE, CONSOLE},
    {"cli-port", 0, IGNORED_VALUE, CONSOLE},
    {"cli-password", 0, IGNORED_VALUE, CONSOLE},
    {"cli-max-output-sessions", 0, IGNORED_VALUE, CONSOLE},
    {"web-admin", 0, IGNORED_FLAG, WEB},
    {"web-admin-ip", 0, IGNORED_VALUE, WEB},
    {"web-admin-port", 0, IGNORED_VALUE, WEB},
    {"web-admin-listen-on-workers", 0, IGNORED_FLAG, WEB},
    {"prometheus", 0, IGNORED_FLAG, METRICS},
    {"prometheus-port", 0, IGNORED_VALUE, METRICS},
    {"prometheus-address", 0, IGNORED_VALUE, METRICS},
    {"prometheus-path", 0, IGNORED_VALUE, METRICS},
    {"prometheus-username-labels", 0, IGNORED_FLAG, METRICS},
    {"prometheus-tls", 0, IGNORED_FLAG, METRICS},
    {"prometheus-cert", 0, IGNORED_VALUE, METRICS},
    {"prometheus-key", 0, IGNORED_VALUE, METRICS},
    {"server-relay", 0, IGNORED_FLAG, "peers always need a permission"},
    {"ne", 0, IGNORED_VALUE, "there is one network engine"},
    {"cpus", 0, IGNORED_VALUE, "see relay-threads"},
    {"rfc5766-channel-numbers", 0, IGNORED_FLAG, "channels 0x4000 to 0x7FFF are taken unless strict-channel-numbers narrows them"},
    {"include-reason-string", 0, IGNORED_FLAG, "reason phrases stay empty: answers to strangers are kept small"},
    {"drop-invalid-packets", 0, IGNORED_FLAG, "what is not STUN or ChannelData is always dropped"},
    {"drop-invalid-packets-log", 0, IGNORED_FLAG, "what is dropped is counted, not logged"},
    {"udp-recvmmsg", 0, IGNORED_FLAG, BATCHES},
    {"udp-recvmmsg-log", 0, IGNORED_FLAG, BATCHES},
    {"udp-sendmmsg-log", 0, IGNORED_FLAG, BATCHES},
    {"udp-gso", 0, IGNORED_FLAG, BATCHES},
    {"multiplex-peer", 0, IGNORED_FLAG, MULTIPLEX},
    {"multiplex-peer-port", 0, IGNORED_VALUE, MULTIPLEX},
    {"multiplex-peer-max-peers", 0, IGNORED_VALUE, MULTIPLEX},
    {"stateless-nonce", 0, IGNORED_FLAG, "nonces are always stateless"},
    {"stateless-nonce-secret", 0, IGNORED_VALUE, "the nonces' key is made anew at each start"},
};

const size_t ignored_count = sizeof ignored / sizeof *ignored;

_Static_assert(sizeof ignored / sizeof *ignored <= IGNORED_MAX, "the loader remembers which it has warned of");

const struct ignored *ignored_find(const char *name)
{
    for (size_t i = 0; i < ignored_count; i++)
        if (strcmp(ignored[i].name, name) == 0)
            return &ignored[i];
    return NULL;
}

const struct ignored *ignored_by_letter(char letter)
{
    for (size_t i = 0; letter && i < ignored_count; i++)
        if (ignored[i].letter == letter)
            return &ignored[i];
    return NULL;
}

bool ignored_takes_value(const struct ignored *row)
{
    return row->kind == IGNORED_VALUE || row->kind == REFUSED_VALUE;
}

bool ignored_is_refused(const struct ignored *row)
{
    return row->kind == REFUSED_VALUE;
}
