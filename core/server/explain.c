/* explain.c: a row for each reason of the core, and one for each code that policies give. */
#include "server/explain.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* struct row: `why` has %t tenant, %u user, %n USERNAME, %p peer, %k the peer's kind, %h what is held, %l the limit. */
struct row {
    const char *reason, *why, *advice;
};

static const struct row rows[] = {
    {"total_quota", "the server %h/%l held", "raise total-quota, or total_quota of the policy; or add a server"},
    {"realm_quota", "tenant %t %h/%l held",
     "raise realm_quota of the policy, or max_allocations of the tenant; relay allocations --tenant shows who holds them"},
    {"user_quota", "user %u of %t %h/%l held",
     "raise user-quota, user_quota of the policy, or max_user_allocations of the tenant; relay allocations --user shows them"},
    {"max_active", "tenant %t %h/%l active", "raise max_active of the tenant: allocations that carried data in the last 10 s count"},
    {"month_bytes", "tenant %t: %h/%l bytes this month", "raise month_bytes of the tenant, or wait for the next month (UTC)"},
    {"tenant_disabled", "tenant %t is disabled", "relay tenant set NAME status=active"},
    {"max_active_woken", "%h packets were dropped: idle beside %l active allocations of %t",
     "raise max_active of the tenant: an idle allocation becomes active when another has rested for 10 s"},
    {"tenant_bps", "%h packets were dropped: all of %t more than %l bit/s", "raise tenant_bps of the tenant"},
    {"tenant_pps", "%h packets were dropped: all of %t more than %l packets a second", "raise tenant_pps of the tenant"},
    {"bps-capacity", "%h packets were dropped: the whole server more than %l bit/s", "raise bps-capacity, or add a server"},
    {"quota_table_full", "more tenants and users hold allocations than are counted",
     "fewer names: is the USERNAME another for each call, and user left to it?"},
    {"meter_cap", "tenant %t: %h/%l bytes used", "the cap of the period is used up: raise it, or wait for the next period"},
    {"expired", "expired %h s ago", "the client needs new credentials before the old ones end; compare clocks"},
    {"credential_expired", "the credential expired %h s ago", "the client needs a new one before the old one ends; compare clocks"},
    {"malformed_credential", "the name %n says what no minted credential does, or is good for more than 48 h", "look at what makes it: core/wire/minted.h has its form"},
    {"unknown_tenant", "there is no tenant %t", "relay tenant set NAME status=active makes it"},
    {"too_many_tags", "the tags of the credential and of the policies do not fit together", "shorter tags in the policy"},
    {"credential_expired", "its credential has expired, and it ended with that",
     "the client needs new credentials before the old ones end; or credential-expiry, expiry of the tenant, or on_expiry = \"keep\""},
    {"max_failed_logins", "its address (of IPv6 a /56) has had %l wrong logins in a minute: no more are answered, right ones get in",
     "nothing, if somebody guesses; else look which clients there have old passwords, or raise max-failed-logins"},
    {"source_quota", "its address (of IPv6 a /56) %h/%l held", "raise source-quota, if so many are behind one NAT"},
    {"key_expired", "expired %h s ago", "nothing, if a new password follows: on_expiry = \"reauth\" asks for one"},
    {"stale_nonce", "the nonce is %h s old, of %l s",
     "nothing: clients sign anew by themselves; those that do not, need a longer stale-nonce"},
    {"unknown_user", "nobody knows %n in %t", "add the user (relay user add), or look which realm or tenant the client came to"},
    {"bad_integrity", "the password of %n in %t is wrong", "set it anew; or the realm that it was hashed with is another"},
    {"no_sha256_key", "%n has no SHA-256 key", "set the password anew: relay user add keeps both kinds"},
    {"unknown_kid", "no key is called %n", "relay oauth list shows the keys; relay oauth add adds one"},
    {"bad_token", "the token does not open with the key %n", "the authorization server has another key, or another server-name"},
    {"peer_not_allowed", "peer %p is %k", "no policy can open it; allowed-peer-ip does, if you mean it"},
    {"permission_acl", "peer %p is not in permission_acl", "add it to the relay.cidr of the policy, or answer for it in a permission hook"},
    {"peer_family", "peer %p is of a family that the allocation has no address of",
     "the client must ask for the other family, and relay-ip have an address of it"},
    {"client_tunnelled", "the client comes through Teredo or 6to4", "allowed-peer-ip lets its address in, if you mean it"},
    {"no-udp-relay", "nothing is relayed over UDP here", "take no-udp-relay away, or use TCP allocations"},
    {"tcp allocation", "a TCP allocation has no channels", "the client must use Connect"},
    {"udp allocation", "only a TCP allocation connects", "the client must ask for TCP in Allocate"},
    {"5-tuple in use", "its address and port have an allocation, made %h s ago",
     "the client must refresh it with 0 first, or come from another port"},
    {"no allocation", "its address and port have no allocation",
     "it has expired, or the client's address changed: the client must make another; mobility lets it move"},
    {"other user's allocation", "the allocation belongs to another user", "the client must keep its USERNAME"},
    {"requested_transport", "what it wants to relay over is not had here", "look at no-udp-relay and no-tcp-relay"},
    {"requested_address_family", "no relay address is of the family that it wants", "add a relay-ip of that family"},
    {"max_allocations", "the worker %h/%l allocations", "add workers (relay-threads), or a server"},
    {"no_port", "no port to relay from is free: %h of %l are held", "widen min-port to max-port, or add a relay-ip; with relay-pool, to the pool of the policy"},
    {"unknown_pool", "no relay address is in the pool that the policy gave it", "name the pool in relay-pool, or mend the name in the policy"},
    {"no_reservation", "the next port could not be kept", "widen min-port to max-port"},
    {"reservation_token", "the reservation is over, or another user's", "the client must use it within 30 s, under the same name"},
    {"max_permissions", "the allocation %h/%l permissions",
     "raise max-permissions, or max_permissions of the policy or the tenant; or the client asks for every address that it hears of"},
    {"max_channels", "the allocation %h/%l channels", "raise max-channels, or max_channels of the policy or the tenant"},
    {"max_new_peers", "more than %l new peers in a second",
     "raise max-new-peers, or max_new_peers of the policy or the tenant; does the client look for open addresses?"},
    {"max_bps", "%h packets were dropped: more than %l bit/s", "raise max-bps, or max_bps of the policy or the tenant, if so much is meant"},
    {"max_pps", "%h packets were dropped: more than %l packets a second",
     "raise max-pps, or max_pps of the policy or the tenant, if so much is meant"},
    {"max_user_bps", "%h packets were dropped: all of %u in %t more than %l bit/s",
     "raise max-user-bps, or max_user_bps of the policy or the tenant, if so much is meant"},
    {"max_tcp_peers", "the allocation %h/%l connections, or the server is full", "fewer connections, or more descriptors (ulimit -n)"},
    {"max_parked", "too many requests wait for policies", "the backend is slow or down: look at it, and at timeouts of the policy"},
    {"no_descriptor", "the system has no descriptor left", "more descriptors (ulimit -n)"},
    {"out_of_memory", "the system has no memory left", "more memory, or fewer allocations (total-quota)"},
    {"tenant is disabled", "tenant %t is disabled", "relay tenant set NAME status=active"},
    {"unknown_attribute", "it wants something that is not had here",
     "an option of the protocol is off (rfc5780, oauth, ...), or the client is newer"},
    {"mobility", "nobody may move here", "the option mobility"},
    {"no answer in time", "the policy gave no answer in time", "the backend is slow or down: look at it, and at timeouts of the policy"},
    {"credential_revoked", "the credential of %n in %t was revoked", "the client needs a new one; relay revocation list shows what stands, and until when"},
    {"revoked", "its credential was revoked, and it was put out", "the client needs a new one; relay revocation list shows what stands, and until when"},
    {"draining", "the server drains: it takes nobody in any more", "nothing: the client tries another server; drain-server names one; relay drain --cancel calls it off"},
    {"kicked", "it was put out: relay kick", "nothing"},
};

static const struct {
    int code;
    const char *advice;
} codes[] = {
    {0, "the policy ended it: look there"},
    {300, "nothing: the client is sent to another server"},
    {400, "the client asks wrongly: look at its version"},
    {401, "the policy knows no such credentials: look there, and at what issues them"},
    {403, "the policy forbids it: look there"},
    {438, "nothing: the client signs anew"},
    {440, "the policy wants another address family"},
    {442, "the policy wants another transport"},
    {443, "the policy wants another address family of the peer"},
    {486, "a limit of the policy is reached: look there, or wait"},
    {500, "the policy failed, which is a mistake in it, or its backend is down: look there"},
    {508, "the policy says that there is no room: look there"},
};

static bool is_core(const struct denial *denial)
{
    return strcmp(denial->by, "core") == 0;
}

static const struct row *row_of(const struct denial *denial)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_core(denial) && strcmp(rows[i].reason, denial->reason) == 0)
            return &rows[i];
    return NULL;
}

static void put_number(struct slab *out, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    slab_put_text(out, text);
}

static void put_part(struct slab *out, char what, const struct denial *denial)
{
    char text[ADDR_TEXT_MAX];
    switch (what) {
        case 't':
            slab_put_text(out, *denial->tenant ? denial->tenant : denial->realm);
            break;
        case 'u':
            slab_put_text(out, denial->user);
            break;
        case 'n':
            slab_put_text(out, *denial->username ? denial->username : "the USERHASH");
            break;
        case 'p':
            slab_put_text(out, addr_format_ip(&denial->peer, text));
            break;
        case 'k':
            slab_put_text(out, denial->peer_kind ? denial->peer_kind : "not allowed");
            break;
        case 'h':
            put_number(out, denial->measure.held);
            break;
        default:
            put_number(out, denial->measure.limit);
    }
}

/* put_said: what a policy said; with the rate limit of its own that is behind it. */
static void put_said(struct slab *out, const struct denial *denial)
{
    slab_put_text(out, denial->reason);
    if (is_core(denial) || !denial->measure.limit)
        return;
    slab_put_text(out, " (");
    put_number(out, denial->measure.limit);
    slab_put_text(out, " at once, then as the policy's rate has it)");
}

const char *explain_why(const struct denial *denial, char out[EXPLAIN_MAX])
{
    const struct row *row = row_of(denial);
    struct slab slab = slab_over(out, EXPLAIN_MAX - 1);
    if (!row)
        put_said(&slab, denial);
    for (const char *at = row ? row->why : ""; *at; at++)
        if (*at == '%')
            put_part(&slab, *++at, denial);
        else
            slab_put_u8(&slab, (uint8_t)*at);
    out[slab.len] = 0;
    return out;
}

const char *explain_advice(const struct denial *denial)
{
    const struct row *row = row_of(denial);
    if (row)
        return row->advice;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == denial->code)
            return codes[i].advice;
    return "look at the client";
}

const char *explain_rule(const struct denial *denial)
{
    static const char *const hooks[] = {
#define X(name) #name,
        HOOKS(X)
#undef X
    };
    return denial->hook < HOOK_COUNT && !is_core(denial) ? hooks[denial->hook] : denial->reason;
}
