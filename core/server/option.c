/* option.c: the table of options. */
#include "server/option.h"

#include <string.h>

#define AT(field) offsetof(struct config, field)
#define FLAG(field) .kind = OPTION_FLAG, .at = AT(field)
#define TEXT(field, most) .kind = OPTION_TEXT, .at = AT(field), .min = 1, .max = (most)
#define FILE_NAME(field) TEXT(field, 4095), .value = "FILE"
#define NUMBER(field, least, most) .kind = OPTION_NUMBER, .at = AT(field), .min = (least), .max = (most)
#define SECONDS(field, least) NUMBER(field, least, CONFIG_NONCE_FOREVER_S), .value = "SECONDS"
#define DAYS(field) NUMBER(field, 0, 36500), .value = "DAYS"
#define PORT(field) .kind = OPTION_PORT, .at = AT(field), .min = 1, .max = 65535, .value = "PORT"
#define CHOICE(field, words) .kind = OPTION_CHOICE, .at = AT(field), .value = (words)
#define ALTERNATE(field) .kind = OPTION_PORT, .at = AT(field), .max = 65535, .value = "PORT", .fallback = "0"
#define LIST(what, field, count) .kind = (what), .at = AT(field), .count_at = AT(count)
#define ALTERNATES(field, port) LIST(OPTION_ALTERNATES, field.items, field.count), .min = (port), .value = "ADDRESS[:PORT][/DOMAIN]"
#define ACTION(what) .kind = OPTION_ACTION, .traits = OPTION_COMMAND_LINE, .min = (what)

const struct option options[] = {
    {.name = "config", .letter = 'c', .section = SECTION_GENERAL, FILE_NAME(file), .traits = OPTION_COMMAND_LINE,
     .help = "Read this configuration file; without it no file is read"},
    {.name = "check-config", .section = SECTION_GENERAL, ACTION(CONFIG_CHECK), .help = "Say what would run, or what is wrong, and end"},
    {.name = "example-config", .section = SECTION_GENERAL, ACTION(CONFIG_EXAMPLE), .help = "Print a configuration file with every option explained, and end"},
    {.name = "manual-page", .section = SECTION_GENERAL, ACTION(CONFIG_MANUAL), .help = "Print the manual page in roff, and end"},
    {.name = "help", .letter = 'h', .section = SECTION_GENERAL, ACTION(CONFIG_HELP), .help = "Print this summary, and end"},
    {.name = "version", .section = SECTION_GENERAL, ACTION(CONFIG_VERSION), .help = "Print the version, and end"},

    {.name = "listening-ip", .letter = 'L', .section = SECTION_LISTEN, LIST(OPTION_ADDRESSES, listening_ips, listening_ip_count), .value = "ADDRESS",
     .help = "Listen on this address; without it on all, IPv4 and IPv6"},
    {.name = "listening-port", .letter = 'p', .section = SECTION_LISTEN, PORT(listening_port), .fallback = "3478",
     .help = "Listen on this port; UDP, TCP, TLS and DTLS are told apart by their first bytes"},
    {.name = "tls-listening-port", .section = SECTION_LISTEN, PORT(tls_listening_port), .fallback = "5349",
     .help = "Listen on this port too, when there is a certificate"},
    {.name = "alt-listening-port", .section = SECTION_LISTEN, ALTERNATE(alt_listening_port),
     .help = "With rfc5780, the other of two ports; 0: the one after listening-port"},
    {.name = "alt-tls-listening-port", .section = SECTION_LISTEN, ALTERNATE(alt_tls_listening_port),
     .help = "With rfc5780, the other of two ports for TLS and DTLS; 0: the one after tls-listening-port"},
    {.name = "tcp-proxy-port", .section = SECTION_LISTEN, PORT(tcp_proxy_port),
     .help = "Listen on this port too, for the TCP and TLS connections of proxies, which begin with a PROXY header (version 1 or 2)"},
    {.name = "proxy-protocol-from", .section = SECTION_LISTEN, .kind = OPTION_RANGES, .at = AT(proxies), .value = "RANGE",
     .help = "The addresses of those proxies: connections from them must begin with a PROXY header, on tcp-proxy-port or, without that, on every port; ADDRESS, ADDRESS/BITS or FIRST-LAST"},
    {.name = "cert", .section = SECTION_LISTEN, LIST(OPTION_FILES, certs, cert_count), .min = 1, .max = 4095, .value = "FILE",
     .help = "A certificate and its chain, PEM; clients get the one with the name that they ask for, or else the first; SIGHUP reads it anew"},
    {.name = "pkey", .section = SECTION_LISTEN, LIST(OPTION_FILES, pkeys, pkey_count), .min = 1, .max = 4095, .value = "FILE",
     .help = "The private key of a certificate, PEM, not encrypted; the first pkey is of the first cert, and so on; without any there is no TLS and no DTLS"},
    {.name = "no-udp", .section = SECTION_LISTEN, FLAG(no_udp), .help = "No clients over plain UDP"},
    {.name = "no-tcp", .section = SECTION_LISTEN, FLAG(no_tcp), .help = "No clients over plain TCP"},
    {.name = "no-tls", .section = SECTION_LISTEN, FLAG(no_tls), .help = "No clients over TLS"},
    {.name = "no-dtls", .section = SECTION_LISTEN, FLAG(no_dtls), .help = "No clients over DTLS"},

    {.name = "relay-ip", .letter = 'E', .section = SECTION_RELAY, LIST(OPTION_ADDRESSES, relay_ips, relay_ip_count), .value = "ADDRESS",
     .help = "Relay from this address; without it from the listening addresses, or from those of the interfaces"},
    {.name = "external-ip", .letter = 'X', .section = SECTION_RELAY, LIST(OPTION_EXTERNALS, externals, external_count), .value = "PUBLIC[/PRIVATE]",
     .help = "Behind NAT: tell clients the public address in place of the private relay address, or of every relay address of its family"},
    {.name = "relay-pool", .section = SECTION_RELAY, LIST(OPTION_POOLS, pools, pool_count), .value = "NAME=ADDRESS",
     .help = "Keep this relay address for allocations to which a policy gives the pool NAME (relay.allow{pool}), for all of a tenant's, say; others get the addresses of no pool"},
    {.name = "min-port", .section = SECTION_RELAY, PORT(min_port), .fallback = "49152", .help = "The lowest port to relay from"},
    {.name = "max-port", .section = SECTION_RELAY, PORT(max_port), .fallback = "65535", .help = "The highest port to relay from"},
    {.name = "allowed-peer-ip", .section = SECTION_RELAY, .kind = OPTION_RANGES, .at = AT(allowed_peers), .value = "RANGE",
     .help = "Relay to these peers although they are refused by default (loopback, private, link-local, multicast and the like); ADDRESS, ADDRESS/BITS or FIRST-LAST"},
    {.name = "denied-peer-ip", .section = SECTION_RELAY, .kind = OPTION_RANGES, .at = AT(denied_peers), .value = "RANGE",
     .help = "Never relay to these peers; wins over allowed-peer-ip"},
    {.name = "allow-loopback-peers", .section = SECTION_RELAY, FLAG(allow_loopback_peers), .help = "Relay to peers on loopback addresses; for tests"},
    {.name = "alternate-server", .section = SECTION_RELAY, ALTERNATES(alternates, 3478),
     .help = "Send UDP and TCP clients to this server instead (300 Try Alternate), to several in turn; a client stays that has none of its address family"},
    {.name = "udp-alternate-server", .section = SECTION_RELAY, ALTERNATES(udp_alternates, 3478), .help = "The same for UDP clients, in place of alternate-server"},
    {.name = "tcp-alternate-server", .section = SECTION_RELAY, ALTERNATES(tcp_alternates, 3478), .help = "The same for TCP clients, in place of alternate-server"},
    {.name = "tls-alternate-server", .section = SECTION_RELAY, ALTERNATES(tls_alternates, 5349),
     .help = "The same for TLS and DTLS clients; DOMAIN is the name in its certificate, if it is another than here"},
    {.name = "drain-server", .section = SECTION_RELAY, ALTERNATES(drain_servers, 3478),
     .help = "Where UDP and TCP clients are sent while this server drains (300 Try Alternate), to several in turn; without it they are refused (508)"},
    {.name = "tls-drain-server", .section = SECTION_RELAY, ALTERNATES(tls_drain_servers, 5349), .help = "The same for TLS and DTLS clients; DOMAIN as in tls-alternate-server"},
    {.name = "no-udp-relay", .section = SECTION_RELAY, FLAG(no_udp_relay), .help = "Relay nothing over UDP: TCP allocations (RFC 6062) only"},
    {.name = "no-tcp-relay", .section = SECTION_RELAY, FLAG(no_tcp_relay), .help = "Relay nothing over TCP: no TCP allocations (RFC 6062)"},
    {.name = "no-local-handover", .section = SECTION_RELAY, FLAG(no_local_handover),
     .help = "What one client of this server relays to another goes from socket to socket, where captures and packet filters see it; otherwise it is handed over inside, which costs less"},
    {.name = "relay-steering", .section = SECTION_RELAY, CHOICE(steering, "auto|on|off"), .fallback = "auto",
     .help = "Relay UDP by one socket of each worker for all relay ports (sk_lookup), which is cheaper than a socket for each allocation and takes CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW at the start: "
             "where it can be had (auto), or not at all without it (on). Keep the range from min-port to max-port from other programs with net.ipv4.ip_local_reserved_ports"},
    {.name = "relay-send", .section = SECTION_RELAY, CHOICE(sends_frames, "raw|packet"), .fallback = "raw",
     .help = "With relay-steering, how datagrams leave: as any other (raw), or, to peers and clients behind a neighbour on an Ethernet, and on this machine where it takes its own (accept_local), as frames (packet), which costs less "
             "and goes past packet filters, address translation and queueing disciplines of this machine"},
    {.name = "stun-only", .letter = 'S', .section = SECTION_RELAY, FLAG(stun_only), .help = "Answer Binding requests and relay nothing"},

    {.name = "realm", .letter = 'r', .section = SECTION_AUTH, TEXT(realm, REALM_MAX_LEN), .traits = OPTION_PREPARED, .value = "REALM",
     .help = "The realm of the users; needed for lt-cred-mech and use-auth-secret"},
    {.name = "lt-cred-mech", .letter = 'a', .section = SECTION_AUTH, FLAG(lt_cred_mech),
     .help = "Long-term credentials; always on here, and nobody relays without them"},
    {.name = "user", .letter = 'u', .section = SECTION_AUTH, LIST(OPTION_USERS, users, user_count), .traits = OPTION_CONFIDENTIAL, .value = "NAME:PASSWORD",
     .help = "A user with a password, or with a key as NAME:0xKEY (MD5 of name:realm:password, 32 hexadecimal digits)"},
    {.name = "use-auth-secret", .section = SECTION_AUTH, FLAG(use_auth_secret),
     .help = "Time-limited credentials: username EXPIRY:NAME, password base64(HMAC-SHA1(secret, username))"},
    {.name = "static-auth-secret", .section = SECTION_AUTH, LIST(OPTION_TEXTS, secrets, secret_count), .traits = OPTION_CONFIDENTIAL, .min = 1, .max = 4095,
     .value = "SECRET", .help = "A secret for use-auth-secret, which it implies; several while one replaces another"},
    {.name = "mint-secret-file", .section = SECTION_AUTH, LIST(OPTION_TEXTS, mint_secret_files, mint_secret_file_count), .min = 1, .max = 4095, .value = "FILE",
     .help = "Credentials that were minted for a tenant: username EXPIRY:tTENANT.KEY:TAG:ID, verified without a database. A file of master secrets, one a line, the newest first, for its owner "
             "alone; relay secret new makes one, SIGHUP reads it anew"},
    {.name = "public-host", .section = SECTION_AUTH, TEXT(public_host, 255), .value = "NAME|ADDRESS",
     .help = "What clients reach this server by, in the URLs of minted credentials: the name in its certificate; without it external-ip, or the first address that is listened on or relayed from"},
    {.name = "userdb", .also = "db", .letter = 'b', .section = SECTION_AUTH, FILE_NAME(userdb),
     .help = "The SQLite database of users, tenants, secrets and usage; made when absent; without it there is none"},
    {.name = "usage-keep-minutes", .section = SECTION_AUTH, DAYS(usage_keep_minutes), .fallback = "35",
     .help = "Usage is kept by the minute for so many days, then by the hour, with every sum as it was; 0: for good"},
    {.name = "usage-keep-hours", .section = SECTION_AUTH, DAYS(usage_keep_hours), .fallback = "400",
     .help = "Usage is kept by the hour for so many days, then by the day (UTC), with every sum as it was; 0: for good"},
    {.name = "usage-keep-days", .section = SECTION_AUTH, DAYS(usage_keep_days), .fallback = "0",
     .help = "Usage is kept by the day for so many days, and then deleted; 0: for good"},
    {.name = "sessions-keep", .section = SECTION_AUTH, DAYS(sessions_keep), .fallback = "0",
     .help = "Sessions are deleted so many days after their end; their usage stays; 0: they are kept for good"},
    {.name = "oauth", .section = SECTION_AUTH, FLAG(oauth),
     .help = "Access tokens of authorization servers too (RFC 7635): clients are told so, which makes challenges longer; keys come from userdb, see relay oauth add, or from a policy"},
    {.name = "server-name", .section = SECTION_AUTH, TEXT(server_name, 255), .value = "NAME",
     .help = "The name of this server that access tokens are made for; without it the realm"},

    {.name = "total-quota", .letter = 'Q', .section = SECTION_LIMITS, NUMBER(total_quota, 0, UINT32_MAX), .value = "NUMBER", .fallback = "0",
     .help = "At most this many allocations at a time; 0: no limit"},
    {.name = "user-quota", .letter = 'q', .section = SECTION_LIMITS, NUMBER(user_quota, 0, UINT32_MAX), .value = "NUMBER", .fallback = "0",
     .help = "At most this many allocations of one user at a time; 0: no limit"},
    {.name = "max-bps", .letter = 's', .section = SECTION_LIMITS, NUMBER(max_bytes_per_second, 0, UINT32_MAX), .value = "BYTES", .fallback = "0",
     .help = "At most this many bytes a second for an allocation, in each direction; 0: no limit"},
    {.name = "bps-capacity", .letter = 'B', .section = SECTION_LIMITS, NUMBER(capacity_bytes_per_second, 0, UINT32_MAX), .value = "BYTES", .fallback = "0",
     .help = "At most this many bytes a second for all allocations together, in each direction: what is more is dropped; 0: no limit"},
    {.name = "max-pps", .section = SECTION_LIMITS, NUMBER(max_pps, 0, UINT32_MAX), .value = "PACKETS", .fallback = "0",
     .help = "At most this many packets a second for an allocation, in each direction; 0: no limit"},
    {.name = "max-user-bps", .section = SECTION_LIMITS, NUMBER(max_user_bytes_per_second, 0, UINT32_MAX), .value = "BYTES", .fallback = "0",
     .help = "At most this many bytes a second for all allocations of one user together, in each direction; 0: no limit"},
    {.name = "max-permissions", .section = SECTION_LIMITS, NUMBER(max_permissions, 1, UINT32_MAX), .value = "NUMBER", .fallback = "1000",
     .help = "At most this many permissions of an allocation at a time"},
    {.name = "max-channels", .section = SECTION_LIMITS, NUMBER(max_channels, 1, UINT32_MAX), .value = "NUMBER", .fallback = "1000",
     .help = "At most this many channels of an allocation at a time"},
    {.name = "max-new-peers", .section = SECTION_LIMITS, NUMBER(max_new_peers, 0, UINT32_MAX), .value = "NUMBER", .fallback = "0",
     .help = "At most this many peer addresses a second that an allocation has no permission for, or connections of a TCP allocation; 0: no limit"},
    {.name = "mint-rate", .section = SECTION_LIMITS, NUMBER(mint_rate, 0, UINT32_MAX), .value = "NUMBER", .fallback = "1000",
     .help = "At most this many credentials a second are minted with one key; 0: no limit"},
    {.name = "source-quota", .section = SECTION_LIMITS, NUMBER(source_quota, 0, UINT32_MAX), .value = "NUMBER", .fallback = "0",
     .help = "At most this many allocations at a time from one source address (of IPv6 a /56): those of all who are behind one NAT; 0: no limit"},
    {.name = "unauthorized-ratelimit", .section = SECTION_LIMITS, FLAG(unauthorized_ratelimit),
     .help = "Answer only so many requests a second of one source address over UDP before it has shown that it is there; others wait for nothing"},
    {.name = "unauthorized-ratelimit-rps", .section = SECTION_LIMITS, NUMBER(unauthorized_rps, 1, 1000000), .value = "NUMBER", .fallback = "10", .bare = "10",
     .help = "How many, with unauthorized-ratelimit; ten Binding answers count as one"},
    {.name = "max-failed-logins", .section = SECTION_LIMITS, NUMBER(max_failed_logins, 0, 1000000), .value = "NUMBER", .fallback = "600",
     .help = "Answer only so many wrong logins a minute from one source address (of IPv6 a /56); right ones get in all the same; 0: no limit"},
    {.name = "max-allocate-lifetime", .section = SECTION_LIMITS, SECONDS(max_lifetime_s, 1), .fallback = "3600",
     .help = "The longest lifetime of an allocation before its next Refresh"},
    {.name = "credential-expiry", .section = SECTION_LIMITS, CHOICE(strict_expiry, "keep|strict"), .fallback = "keep",
     .help = "What becomes of an allocation when the time-limited credential that it was made with expires: it goes on while it is refreshed (keep), or it ends (strict)"},
    {.name = "channel-lifetime", .section = SECTION_LIMITS, SECONDS(channel_lifetime_s, 1), .fallback = "600", .help = "The lifetime of a channel; clients count on 600"},
    {.name = "permission-lifetime", .section = SECTION_LIMITS, SECONDS(permission_lifetime_s, 1), .fallback = "300",
     .help = "The lifetime of a permission; clients count on 300"},
    {.name = "stale-nonce", .section = SECTION_LIMITS, SECONDS(stale_nonce_s, 0), .fallback = "600", .bare = "600",
     .help = "The lifetime of a nonce; 0: unlimited"},

    {.name = "fingerprint", .letter = 'f', .section = SECTION_PROTOCOL, FLAG(fingerprint),
     .help = "FINGERPRINT in every message; otherwise only in answers to requests that carry it"},
    {.name = "mobility", .section = SECTION_PROTOCOL, FLAG(mobility),
     .help = "Clients that ask for it may move their allocation to another address, over UDP, TCP and TLS (RFC 8016)"},
    {.name = "offer-sha256", .section = SECTION_PROTOCOL, FLAG(offer_sha256),
     .help = "Let clients sign with SHA-256 keys (RFC 8489) as well as MD5; challenges get longer; NAME:0xKEY, and users of userdb from a key or an older relay, serve no client that takes SHA-256"},
    {.name = "offer-userhash", .section = SECTION_PROTOCOL, FLAG(offer_userhash),
     .help = "Ask clients to hide their names in USERHASH (RFC 8489); not with use-auth-secret, whose names cannot be found by it, and policies must look at req.userhash"},
    {.name = "strict-channel-numbers", .section = SECTION_PROTOCOL, FLAG(strict_channels), .help = "Channels 0x4000 to 0x4FFF only, as RFC 8656 has them"},
    {.name = "allocation-default-address-family", .letter = 'A', .section = SECTION_PROTOCOL, CHOICE(default_family, "keep|ipv4|ipv6"), .fallback = "keep",
     .help = "The relay address of an Allocate that asks for no family: of the listening address's family (browsers never ask), or IPv4 as RFC 8656 has it, or IPv6"},
    {.name = "no-dscp", .section = SECTION_PROTOCOL, FLAG(no_dscp),
     .help = "Relay as best effort; otherwise what is relayed keeps the DSCP (below 48) and the ECN that it came with"},
    {.name = "software", .section = SECTION_PROTOCOL, TEXT(software, 127), .value = "TEXT", .help = "SOFTWARE in answers; without it none, as it makes them longer"},
    {.name = "rfc5780", .section = SECTION_PROTOCOL, FLAG(rfc5780),
     .help = "Let clients find out how their NAT behaves (RFC 5780): answers from another address or port, to another port, and padded. Needs two listening-ip of a family; "
             "Binding answers grow from 32 to 68 bytes"},
    {.name = "no-rfc5780", .section = SECTION_PROTOCOL, FLAG(no_rfc5780), .help = "No RFC 5780, which is the default; wins over rfc5780"},
    {.name = "response-origin-only-with-rfc5780", .section = SECTION_PROTOCOL, FLAG(origin_only_with_rfc5780),
     .help = "RESPONSE-ORIGIN in answers with rfc5780 only; always so here"},
    {.name = "stun-backward-compatibility", .section = SECTION_PROTOCOL, FLAG(mapped_address),
     .help = "MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS in Binding answers; for clients that read no other"},
    {.name = "rfc3489-compatibility", .section = SECTION_PROTOCOL, FLAG(rfc3489),
     .help = "Answer the Binding requests of RFC 3489, which have no magic cookie, over UDP; with rfc5780 from another address or port, too"},
    {.name = "no-stun-backward-compatibility", .section = SECTION_PROTOCOL, FLAG(no_stun_compatibility),
     .help = "Neither, which is the default; wins over stun-backward-compatibility and rfc3489-compatibility"},

    {.name = "policy", .section = SECTION_POLICY, LIST(OPTION_TEXTS, policies, policy_count), .traits = OPTION_READABLE, .min = 1, .max = 4095, .value = "FILE",
     .help = "A policy in Lua; several are asked in this order"},
    {.name = "set", .section = SECTION_POLICY, LIST(OPTION_PARAMS, params, param_count), .value = "POLICY.NAME=VALUE", .help = "A parameter of a policy"},
    {.name = "secret", .section = SECTION_POLICY, LIST(OPTION_SECRETS, policy_secrets, policy_secret_count), .traits = OPTION_READABLE, .value = "NAME=FILE",
     .help = "A file of secrets for relay.secret(NAME), one a line, the newest first"},
    {.name = "policy-http", .section = SECTION_POLICY, LIST(OPTION_HOSTS, policy_http, policy_http_count), .value = "HOST[:PORT]|URL",
     .help = "What policies may ask over HTTP: a host (on the scheme's port, or that one), or a URL and what is below it; without it nothing"},
    {.name = "policy-dns", .section = SECTION_POLICY, LIST(OPTION_SERVERS, policy_dns, policy_dns_count), .min = 53, .value = "ADDRESS[:PORT]",
     .help = "A name server for relay.dns of policies, up to eight; without it those of /etc/resolv.conf"},
    {.name = "policy-watch", .section = SECTION_POLICY, FLAG(policy_watch),
     .help = "Read the policies anew when their files have changed, as SIGHUP does"},
    {.name = "decision-log", .section = SECTION_POLICY, FILE_NAME(decision_log),
     .help = "Write what policies and the server decided, and of what, to this file: one JSON object a line; SIGHUP opens it anew; without it nothing is written"},
    {.name = "decision-log-sample", .section = SECTION_POLICY, NUMBER(decision_log_sample, 0, 100), .value = "PERCENT", .fallback = "100",
     .help = "Of the requests that are let in, this share is in the decision log; refusals and failures always are"},
    {.name = "decision-log-key", .section = SECTION_POLICY, TEXT(decision_log_key, 255), .traits = OPTION_CONFIDENTIAL, .value = "KEY",
     .help = "In place of the names of clients their HMAC-SHA256 under this key is in the decision log"},
    {.name = "shadow", .section = SECTION_POLICY, LIST(OPTION_TEXTS, shadows, shadow_count), .traits = OPTION_READABLE, .min = 1, .max = 4095, .value = "FILE",
     .help = "A policy that is asked as well and decides nothing: the log says where it would differ; several are a chain of their own"},
    {.name = "shadow-set", .section = SECTION_POLICY, LIST(OPTION_PARAMS, shadow_params, shadow_param_count), .value = "POLICY.NAME=VALUE",
     .help = "A parameter of a shadow, if it is another than set says"},
    {.name = "lua-dir", .section = SECTION_POLICY, TEXT(lua_dir, 4095), .value = "DIRECTORY",
     .help = "Where policies find require \"relay.x\"; without it in ../lua beside the program, or where relay was installed"},

    {.name = "admin-socket", .section = SECTION_PROCESS, TEXT(admin_socket, 107), .value = "PATH",
     .help = "A unix socket, for its owner alone, at which relay reload, policy, allocations, kick, explain and metrics ask; HTTP with answers in JSON; without it there is none"},
    {.name = "admin-listen", .section = SECTION_PROCESS, LIST(OPTION_DOORS, admin_listens, admin_listen_count), .value = "ADDRESS:PORT|unix:PATH",
     .help = "Answer there too, over HTTP: to keys that relay key add made; never on a port of TURN, and beyond this machine only with admin-cert; unix:PATH is admin-socket"},
    {.name = "admin-cert", .section = SECTION_PROCESS, FILE_NAME(admin_cert),
     .help = "A certificate and its chain, PEM, for all addresses of admin-listen: they speak TLS then, and nothing else; SIGHUP reads it anew"},
    {.name = "admin-pkey", .section = SECTION_PROCESS, FILE_NAME(admin_pkey), .help = "The private key of admin-cert, PEM, not encrypted"},
    {.name = "admin-rate", .section = SECTION_PROCESS, NUMBER(admin_rate, 0, 1000000), .value = "NUMBER", .fallback = "2000",
     .help = "At most so many requests a second with one key at the admin door, and as many at once; then 429; 0: no limit"},
    {.name = "webhook-allow", .section = SECTION_PROCESS, LIST(OPTION_HOSTS, webhook_allow, webhook_allow_count), .value = "HOST[:PORT]|URL",
     .help = "Webhooks may go there whatever its address is, and over http; without it they go over https to public addresses alone"},
    {.name = "no-public-webhooks", .section = SECTION_PROCESS, FLAG(no_public_webhooks), .help = "Webhooks may go nowhere but where webhook-allow says"},
    {.name = "relay-threads", .letter = 'm', .section = SECTION_PROCESS, NUMBER(relay_threads, 0, 256), .value = "NUMBER",
     .help = "Workers; 0 is one; without it as many as there are processors"},
    {.name = "log-file", .letter = 'l', .section = SECTION_PROCESS, FILE_NAME(log_file), .help = "Where the log goes: a file, stdout (or -) or stderr; without it to stdout"},
    {.name = "verbose", .letter = 'v', .section = SECTION_PROCESS, FLAG(verbose), .help = "Log more"},
    {.name = "drain-deadline", .section = SECTION_PROCESS, NUMBER(drain_deadline_s, 0, 604800), .value = "SECONDS", .fallback = "0",
     .help = "SIGTERM drains for so long: no new allocations, those that are there go on until then, and the process ends with the last of them; a second SIGTERM ends it at once; 0: so does the first"},
    {.name = "pidfile", .section = SECTION_PROCESS, FILE_NAME(pidfile), .help = "Write the process id here; without it nowhere"},
    {.name = "proc-user", .section = SECTION_PROCESS, TEXT(proc_user, 255), .value = "USER", .help = "Become this user when the sockets are open"},
    {.name = "proc-group", .section = SECTION_PROCESS, TEXT(proc_group, 255), .value = "GROUP", .help = "Become this group when the sockets are open"},
};

const size_t option_count = sizeof options / sizeof *options;

_Static_assert(sizeof options / sizeof *options <= CONFIG_OPTIONS_MAX, "struct config remembers where each option was said");

static const char *const titles[OPTION_SECTIONS] = {
    [SECTION_GENERAL] = "General", [SECTION_LISTEN] = "Listening",  [SECTION_RELAY] = "Relaying", [SECTION_AUTH] = "Who may relay",
    [SECTION_LIMITS] = "Limits",   [SECTION_PROTOCOL] = "Protocol", [SECTION_POLICY] = "Policy",  [SECTION_PROCESS] = "Process",
};

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(options[i].name, name) == 0 || (options[i].also && strcmp(options[i].also, name) == 0))
            return &options[i];
    return NULL;
}

const struct option *option_by_letter(char letter)
{
    for (size_t i = 0; letter && i < option_count; i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

bool option_takes_value(const struct option *option)
{
    return option->kind != OPTION_FLAG && option->kind != OPTION_ACTION;
}

bool option_repeats(const struct option *option)
{
    return option->kind >= OPTION_TEXTS && option->kind <= OPTION_HOSTS;
}

const char *option_section_title(enum option_section section)
{
    return titles[section];
}
