/* peer.c: the peer filter. */
#include "turn/peer.h"

#include "base/err.h"
#include "turn/engine.h"

/* struct special: a range, and what an operator calls it. */
struct special {
    const char *range, *kind;
};

/* IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates), multicast, and what is reserved, broadcast included */
static const struct special special_v4[] = {
    {"0.0.0.0/8", "of this network"},    {"10.0.0.0/8", "private"},           {"100.64.0.0/10", "of a carrier's NAT"},
    {"127.0.0.0/8", "loopback"},         {"169.254.0.0/16", "link-local"},    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "special"},         {"192.0.2.0/24", "documentation"},   {"192.31.196.0/24", "special"},
    {"192.52.193.0/24", "special"},      {"192.88.99.0/24", "special"},       {"192.168.0.0/16", "private"},
    {"192.175.48.0/24", "special"},      {"198.18.0.0/15", "for benchmarks"}, {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"}, {"224.0.0.0/4", "multicast"},        {"240.0.0.0/4", "reserved"},
};

/* all but 2000::/3 (so: unspecified, loopback, mapped, compatible, NAT64, discard, SRv6, unique local, link-local, site-local, multicast),
 * and the special parts of 2000::/3: IETF protocol assignments with Teredo, benchmarking, ORCHID; documentation; 6to4; AS112. The widest
 * come last. */
static const struct special special_v6[] = {
    {"::1/128", "loopback"},
    {"::ffff:0:0/96", "an IPv4 address in IPv6"},
    {"64:ff9b::/96", "a tunnel to IPv4"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"ff00::/8", "multicast"},
    {"2001::/23", "special"},
    {"2001:db8::/32", "documentation"},
    {"2002::/16", "a tunnel to IPv4"},
    {"2620:4f:8000::/48", "special"},
    {"3fff::/20", "documentation"},
    {"::/3", "reserved"},
    {"4000::/2", "reserved"},
    {"8000::/1", "reserved"},
};

static int peer_compile(struct cidr_set *set, const struct special *rows, size_t count)
{
    cidr_init(set);
    for (size_t i = 0; i < count; i++) {
        struct cidr_range range;
        int err = cidr_parse(view_text(rows[i].range), &range);
        if (!err)
            err = cidr_add(set, &range);
        if (err)
            return err;
    }
    cidr_seal(set);
    return 0;
}

int peer_filter_init(struct peer_filter *filter, const struct engine_config *config, const struct ports *ports)
{
    *filter = (struct peer_filter){.config = config, .ports = ports};
    int err = peer_compile(&filter->special_v4, special_v4, sizeof special_v4 / sizeof *special_v4);
    if (!err)
        err = peer_compile(&filter->special_v6, special_v6, sizeof special_v6 / sizeof *special_v6);
    if (err)
        peer_filter_close(filter);
    return err;
}

void peer_filter_close(struct peer_filter *filter)
{
    cidr_close(&filter->special_v4);
    cidr_close(&filter->special_v6);
}

static bool peer_is_special(const struct peer_filter *filter, const struct addr *peer)
{
    return cidr_has(peer->family == ADDR_IPV4 ? &filter->special_v4 : &filter->special_v6, peer);
}

static bool peer_is_listed(const struct cidr_set *set, const struct addr *peer)
{
    return set && cidr_has(set, peer);
}

/* 127.0.0.0/8, ::1 and the mapped form; not loopback behind a NAT64 or a tunnel */
static bool peer_is_loopback(const struct addr *peer)
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff}, one[16] = {[15] = 1};
    const struct view ip = view_of(peer->ip, sizeof peer->ip);
    return view_equal(ip, view_of(one, sizeof one)) ||
           (view_equal(view_cut(ip, 12), view_of(mapped, sizeof mapped)) && peer->ip[12] == 127);
}

static bool peer_has_hole(const struct peer_filter *filter, const struct addr *peer)
{
    return (filter->config->allow_loopback_peers && peer_is_loopback(peer)) || peer_is_listed(filter->config->allowed_peers, peer);
}

static bool peer_is_relay(const struct peer_filter *filter, const struct addr *peer)
{
    for (uint32_t i = 0; i < filter->config->relay_count; i++)
        if (addr_equal_ip(peer, &filter->config->relays[i].local) || addr_equal_ip(peer, &filter->config->relays[i].shown))
            return true;
    return false;
}

bool peer_is_allowed(const struct peer_filter *filter, const struct addr *peer, uint64_t group)
{
    const struct addr reached = addr_canonical(peer);
    const struct cidr_set *denied = filter->config->denied_peers;
    if (peer_is_listed(denied, peer) || peer_is_listed(denied, &reached))
        return false;
    if (group != GROUP_OPEN)
        return peer_is_relay(filter, peer);
    if (peer_is_relay(filter, peer) &&
        !peer_is_loopback(peer)) /* loopback is opened by its own option alone, also to a relay that is there */
        return true;
    if (peer_is_special(filter, peer) && !peer_has_hole(filter, peer))
        return false;
    if (filter->config->allow_loopback_peers && peer_is_loopback(peer))
        return true;
    return !peer_is_special(filter, &reached) || peer_is_listed(filter->config->allowed_peers, &reached);
}

/* A hole lets clients in, too: whoever opens it knows what its tunnels lead to. */
bool peer_is_tunnelled(const struct peer_filter *filter, const struct addr *addr)
{
    const struct view teredo = view_of("\x20\x01\0\0", 4), to4 = view_of("\x20\x02", 2), ip = view_of(addr->ip, sizeof addr->ip);
    if (addr->family != ADDR_IPV6 || peer_is_listed(filter->config->allowed_peers, addr))
        return false;
    return view_equal(view_cut(ip, teredo.len), teredo) || view_equal(view_cut(ip, to4.len), to4);
}

struct addr peer_name(const struct peer_filter *filter, const struct addr *as_sent)
{
    struct addr name = *as_sent;
    if (peer_has_hole(filter, as_sent))
        return name;
    for (uint32_t i = 0; i < filter->config->relay_count; i++) {
        const struct relay_address *relay = &filter->config->relays[i];
        if (addr_equal_ip(as_sent, &relay->local)) {
            name = relay->shown;
            name.port = as_sent->port;
            return name;
        }
    }
    return name;
}

/* a listener on any address answers on each of ours */
static bool peer_is_own(const struct peer_filter *filter, const struct addr *peer)
{
    if (peer_is_loopback(peer) || addr_is_any(peer) || peer_is_relay(filter, peer))
        return true;
    for (uint32_t i = 0; i < filter->config->listener_count; i++)
        if (addr_equal_ip(peer, &filter->config->listeners[i]))
            return true;
    return false;
}

static bool peer_is_listener(const struct peer_filter *filter, const struct addr *peer)
{
    for (uint32_t i = 0; i < filter->config->listener_count; i++) {
        const struct addr *listener = &filter->config->listeners[i];
        if (peer->port == listener->port && (addr_equal_ip(peer, listener) || (addr_is_any(listener) && peer_is_own(filter, peer))))
            return true;
    }
    return false;
}

bool peer_is_never(const struct peer_filter *filter, const struct addr *peer)
{
    const struct addr reached = addr_canonical(peer);
    return peer->port == 0 || peer_is_listener(filter, peer) || peer_is_listener(filter, &reached);
}

/* peer_at: `peer`, one of our own relayed addresses, in its other form: if an allocation of the group holds it. What nobody holds is
 * outside. A packet of our own comes from the local form: who sends by the shown one pretends. `holder` of a destination; NULL: a source. */
static struct addr peer_at(const struct peer_filter *filter, const struct addr *peer, uint64_t group, struct holder *holder)
{
    const bool is_source = !holder;
    bool is_relay = false, is_held = false;
    for (uint32_t i = 0; i < filter->config->relay_count; i++) {
        const struct relay_address *relay = &filter->config->relays[i];
        const bool is_local = addr_equal_ip(peer, &relay->local);
        if (!is_local && !addr_equal_ip(peer, &relay->shown))
            continue;
        const uint64_t held_by = ports_group(filter->ports, i, peer->port);
        if (held_by == group && (is_source ? is_local : ports_holder(filter->ports, i, peer->port, holder))) {
            struct addr at = is_source ? relay->shown : relay->local;
            at.port = peer->port;
            return at;
        }
        is_relay = true;
        is_held |= held_by != GROUP_NOBODY;
    }
    const bool is_outside = !is_held && (!is_relay || peer_has_hole(filter, peer));
    return is_outside && group == GROUP_OPEN ? *peer : (struct addr){0};
}

struct destination peer_destination(const struct peer_filter *filter, const struct addr *peer, uint64_t group)
{
    struct destination destination = {0};
    if (!peer_is_never(filter, peer))
        destination.to = peer_at(filter, peer, group, &destination.holder);
    return destination;
}

struct addr peer_source(const struct peer_filter *filter, const struct addr *from, uint64_t group)
{
    return peer_at(filter, from, group, NULL);
}

static const char *peer_special_kind(const struct special *rows, size_t count, const struct addr *peer)
{
    for (size_t i = 0; i < count; i++) {
        struct cidr_range range;
        if (cidr_parse(view_text(rows[i].range), &range) == 0 && cidr_range_has(&range, peer))
            return rows[i].kind;
    }
    return NULL;
}

const char *peer_kind(const struct peer_filter *filter, const struct addr *peer)
{
    if (peer_is_listed(filter->config->denied_peers, peer))
        return "in denied-peer-ip";
    if (peer_is_never(filter, peer))
        return "this server itself";
    const char *kind = peer->family == ADDR_IPV4 ? peer_special_kind(special_v4, sizeof special_v4 / sizeof *special_v4, peer)
                                                 : peer_special_kind(special_v6, sizeof special_v6 / sizeof *special_v6, peer);
    return kind ? kind : "not allowed";
}
