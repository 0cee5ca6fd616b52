/* probe_words.c: what an error response to a request means, and what to do about it, as far as a client can tell. */
#include "client/probe_state.h"

#include "wire/attr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY 0

static const struct words {
    int code;
    uint16_t method; /* ANY */
    const char *what, *advice;
} words[] = {
    {300, ANY, "the server sends clients to another one", "test that one; here new clients are not wanted (it drains, or balances)"},
    {400, ANY, "the server does not understand the request", "is this a TURN server, and does something rewrite packets on the way?"},
    {401, ANY, "the user is unknown, or the password or the secret that made it is wrong",
     "compare user and password with the server's; if a program makes them, its secret; a wrong secret looks like a wrong password"},
    {403, METHOD_CREATE_PERMISSION, "the server refuses its own relayed address as a peer",
     "it is private or loopback, or peers are restricted: for two clients of one server its relayed address must be allowed as a peer"},
    {403, METHOD_CHANNEL_BIND, "the server refuses its own relayed address as a peer",
     "it is private or loopback, or peers are restricted: for two clients of one server its relayed address must be allowed as a peer"},
    {403, ANY, "the server forbids it: the credential is right, and a rule says no", "the server's log or relay explain names the rule"},
    {420, ANY, "the server does not know an attribute that it has to", "it is old, or no TURN server"},
    {437, ANY, "the server knows no allocation of this address and port", "it restarted, or a NAT gave this client another port meanwhile"},
    {438, ANY, "the server calls its own nonce stale, twice", "several servers behind one address? They have to share what nonces are made of"},
    {440, ANY, "the server has no relayed address of this family", "it needs a relay address of that family (relay-ip)"},
    {441, ANY, "the allocation belongs to another user", "another client came from this address and port before"},
    {442, ANY, "the server does not relay over this transport", "no-udp-relay or the like is set"},
    {486, ANY, "a quota is full: of this user, of the tenant, or of the server", "wait, end allocations that are idle, or raise the quota"},
    {500, ANY, "the server failed", "its log says why; a policy or its backend may be down"},
    {508, ANY, "the server has no room: no port, no memory, or it drains", "more relay ports or another server"},
};

static const struct words *words_of(int code, uint16_t method)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].code == code && (words[i].method == ANY || words[i].method == method))
            return &words[i];
    return NULL;
}

bool words_of_code(int code, uint16_t method, const char **what, const char **advice)
{
    const struct words *row = words_of(code, method);
    if (row) {
        *what = row->what;
        *advice = row->advice;
    }
    return row != NULL;
}

/* expiry_of: time-limited names begin with it; 0: this is none. */
static int64_t expiry_of(const char *user)
{
    char *end = NULL;
    const long long at = user ? strtoll(user, &end, 10) : 0;
    return end && end != user && (*end == ':' || !*end) && at > 1000000000 ? at : 0;
}

/* say_expired: true: that is why. */
static bool say_expired(const struct probe_config *config, struct probe_step *step)
{
    const int64_t at = expiry_of(config->user);
    if (!at || at > config->unix_s)
        return false;
    snprintf(step->what, sizeof step->what, "401: the credential expired %lld s ago", (long long)(config->unix_s - at));
    snprintf(step->advice, sizeof step->advice, "get a new one; if it is new, a clock is wrong: here it is %lld", (long long)config->unix_s);
    return true;
}

void words_of_refusal(const struct probe_config *config, const struct talk *talk, uint16_t method, struct probe_step *step)
{
    const struct words *row = words_of(talk->code, method);
    char reason[128], realm[PROBE_REALM_MAX];
    step->state = PROBE_FAILS;
    step->code = talk->code;
    if (talk->code == 401 && !config->user) {
        talk_realm(talk, realm, sizeof realm);
        snprintf(step->what, sizeof step->what, "401: the server wants a user and a password (realm %s)", realm);
        snprintf(step->advice, sizeof step->advice, "--user and --password");
        return;
    }
    if (talk->code == 401 && say_expired(config, step))
        return;
    talk_reason(talk, reason, sizeof reason);
    snprintf(step->what, sizeof step->what, "%d%s%s: %s", talk->code, *reason ? " " : "", reason, row ? row->what : "the server refuses");
    snprintf(step->advice, sizeof step->advice, "%s", row ? row->advice : "its log says why");
}
