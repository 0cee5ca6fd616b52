/* probe.c: the steps. */
#include "client/probe_state.h"

#include "base/err.h"
#include "wire/attr.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_MS 5000
#define PATIENCE_MS 4000 /* for an answer: four sendings over UDP */
#define UDP_TRANSPORT (UINT32_C(17) << 24)
#define GAME_LOSS_MAX 0.02

struct probe {
    const struct probe_config *config;
    struct probe_report *report;
    struct addr server;
    struct end { /* of the two that meet at the relay */
        struct talk talk;
        struct addr relayed;
        bool is_allocated;
    } player, mate;
};

/* ---- steps ---- */

static struct probe_step *step_begin(struct probe *probe, const char *name)
{
    struct probe_step *step = &probe->report->steps[probe->report->count++];
    *step = (struct probe_step){.name = name, .ms = -1};
    return step;
}

/* step_end: whether to go on. */
static bool step_end(const struct probe *probe, const struct probe_step *step)
{
    if (probe->config->told)
        probe->config->told(probe->config->ctx, step);
    return step->state != PROBE_FAILS;
}

static bool fail(const struct probe *probe, struct probe_step *step, const char *what, const char *advice)
{
    step->state = PROBE_FAILS;
    snprintf(step->what, sizeof step->what, "%s", what);
    snprintf(step->advice, sizeof step->advice, "%s", advice);
    return step_end(probe, step);
}

static const char *transport_name(const struct probe *probe)
{
    static const char *const names[] = {[DIAL_UDP] = "UDP", [DIAL_TCP] = "TCP", [DIAL_TLS] = "TLS", [DIAL_DTLS] = "DTLS"};
    return names[probe->config->url->transport];
}

/* fail_silent: nothing came back. */
static bool fail_silent(const struct probe *probe, struct probe_step *step, int err)
{
    char what[256], advice[256];
    if (err == ERR_NOT_FOUND)
        snprintf(what, sizeof what, "no answer over %s from %s in %d s", transport_name(probe), probe->report->server, PATIENCE_MS / 1000);
    else if (probe->config->url->transport == DIAL_UDP)
        snprintf(what, sizeof what, "%s says that nobody listens on that port", probe->report->server);
    else
        snprintf(what, sizeof what, "the connection to %s broke", probe->report->server);
    snprintf(advice, sizeof advice, "%s", probe->config->url->transport == DIAL_UDP
                                              ? "a firewall drops UDP on the way, the port is another, or nobody listens there; try ?transport=tcp and turns:"
                                              : "the server closed it, or something on the way did");
    return fail(probe, step, what, advice);
}

/* ---- resolve, connect ---- */

static bool resolve(struct probe *probe)
{
    const struct probe_url *url = probe->config->url;
    const char *why;
    struct probe_step *step = step_begin(probe, "resolve");
    const msec_t begun = clock_monotonic_ms();
    const int err = probe_resolve(url, &probe->server, &why);
    step->ms = (double)(clock_monotonic_ms() - begun);
    if (err)
        return fail(probe, step, why, "the name is wrong, or the name server does not answer");
    addr_format(&probe->server, probe->report->server);
    snprintf(step->what, sizeof step->what, "%s is %s", url->host, probe->report->server);
    return step_end(probe, step);
}

static int open_end(const struct probe *probe, struct end *end, char why[DIAL_WHY_MAX])
{
    const struct probe_config *config = probe->config;
    const struct dial_config dial = {.transport = config->url->transport,
                                     .server = probe->server,
                                     .name = config->url->host,
                                     .trusts_everybody = config->trusts_everybody,
                                     .timeout_ms = CONNECT_MS};
    end->talk = (struct talk){.crypto = config->crypto, .user = config->user, .password = config->password, .patience_ms = PATIENCE_MS};
    return dial_open(&dial, &end->talk.dial, why);
}

static const char *connect_advice(int err)
{
    if (err == ERR_DENIED)
        return "browsers refuse it too: a certificate of this name from an authority that they trust is needed; --insecure goes on without";
    if (err == ERR_BUSY)
        return "a firewall drops it on the way, the port is another, or nobody listens there";
    return "nobody listens there, or not for this; is the port that of TLS?";
}

static bool connect_player(struct probe *probe)
{
    char why[DIAL_WHY_MAX], what[512], local[ADDR_TEXT_MAX];
    struct probe_step *step = step_begin(probe, "connect");
    const msec_t begun = clock_monotonic_ms();
    const int err = open_end(probe, &probe->player, why);
    step->ms = (double)(clock_monotonic_ms() - begun);
    if (err) {
        snprintf(what, sizeof what, "%s to %s: %s", transport_name(probe), probe->report->server, why);
        return fail(probe, step, what, connect_advice(err));
    }
    const struct addr at = dial_local(probe->player.talk.dial);
    snprintf(probe->report->local, sizeof probe->report->local, "%s", addr_format(&at, local));
    snprintf(step->what, sizeof step->what, "%s from %s", transport_name(probe), local);
    return step_end(probe, step);
}

/* ---- Binding, Allocate ---- */

static bool bind_address(struct probe *probe)
{
    struct talk *talk = &probe->player.talk;
    struct probe_step *step = step_begin(probe, "binding");
    struct addr mapped;
    const int err = talk_ask(talk, METHOD_BINDING, NULL, NULL);
    if (err)
        return fail_silent(probe, step, err);
    step->ms = talk->took_us / 1000.0;
    if (talk->code) {
        words_of_refusal(probe->config, talk, METHOD_BINDING, step);
        return step_end(probe, step);
    }
    if (attr_xor_addr(&talk->answer, SLOT_XOR_MAPPED_ADDRESS, &mapped) != 0)
        return fail(probe, step, "an answer without XOR-MAPPED-ADDRESS", "this is no STUN server of RFC 5389 or later");
    addr_format(&mapped, probe->report->mapped);
    snprintf(step->what, sizeof step->what, "this client is seen as %s%s", probe->report->mapped,
             strcmp(probe->report->mapped, probe->report->local) == 0 ? "" : ": there is a NAT between");
    return step_end(probe, step);
}

static void put_allocate(struct build *build, const void *ctx)
{
    (void)ctx;
    build_attr_u32(build, ATTR_REQUESTED_TRANSPORT, UDP_TRANSPORT);
}

/* allocate_end: 0; or as talk_ask, with what it means in the step; ERR_DENIED: refused. */
static int allocate_end(const struct probe *probe, struct end *end, struct probe_step *step)
{
    const int err = talk_ask(&end->talk, METHOD_ALLOCATE, put_allocate, NULL);
    if (err)
        return err;
    if (end->talk.code) {
        words_of_refusal(probe->config, &end->talk, METHOD_ALLOCATE, step);
        return ERR_DENIED;
    }
    end->is_allocated = true;
    return attr_xor_addr(&end->talk.answer, SLOT_XOR_RELAYED_ADDRESS, &end->relayed) == 0 ? 0 : ERR_BAD;
}

static bool allocate(struct probe *probe)
{
    struct end *player = &probe->player;
    struct probe_step *step = step_begin(probe, "allocate");
    uint32_t lifetime_s = 0;
    const int err = allocate_end(probe, player, step);
    talk_realm(&player->talk, probe->report->realm, sizeof probe->report->realm);
    if (err == ERR_DENIED)
        return step_end(probe, step);
    if (err == ERR_BAD)
        return fail(probe, step, "an answer without XOR-RELAYED-ADDRESS", "this is no TURN server");
    if (err)
        return fail_silent(probe, step, err);
    step->ms = player->talk.took_us / 1000.0;
    attr_u32(&player->talk.answer, SLOT_LIFETIME, &lifetime_s);
    addr_format(&player->relayed, probe->report->relayed);
    snprintf(step->what, sizeof step->what, "relayed address %s for %u s, realm %s", probe->report->relayed, lifetime_s, probe->report->realm);
    if (!player->talk.is_challenged) {
        step->state = PROBE_DOUBTFUL;
        snprintf(step->advice, sizeof step->advice, "the server asked for no password: it is an open relay, and will be abused");
    }
    return step_end(probe, step);
}

/* ---- the way between the two ---- */

static void put_peer(struct build *build, const void *ctx)
{
    build_xor_addr(build, ATTR_XOR_PEER_ADDRESS, ctx);
}

static void put_channel(struct build *build, const void *ctx)
{
    build_attr_u32(build, ATTR_CHANNEL_NUMBER, (uint32_t)TALK_CHANNEL << 16);
    put_peer(build, ctx);
}

/* open_way: 0; or as allocate_end. */
static int open_way(const struct probe *probe, struct end *from, const struct end *to, struct probe_step *step)
{
    static const struct {
        uint16_t method;
        talk_put_fn *put;
    } requests[] = {{METHOD_CREATE_PERMISSION, put_peer}, {METHOD_CHANNEL_BIND, put_channel}};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const int err = talk_ask(&from->talk, requests[i].method, requests[i].put, &to->relayed);
        if (err)
            return err;
        if (from->talk.code) {
            words_of_refusal(probe->config, &from->talk, requests[i].method, step);
            return ERR_DENIED;
        }
    }
    return 0;
}

/* permit: the other end is made here too: most often it is refused by the quota, if one allocation is all that there may be. */
static bool permit(struct probe *probe)
{
    char why[DIAL_WHY_MAX];
    struct probe_step *step = step_begin(probe, "permission");
    int err = open_end(probe, &probe->mate, why);
    if (err)
        return fail(probe, step, why, "the first connection could be made: is there a limit of connections for an address?");
    err = allocate_end(probe, &probe->mate, step);
    if (!err)
        err = open_way(probe, &probe->player, &probe->mate, step);
    if (!err)
        err = open_way(probe, &probe->mate, &probe->player, step);
    if (err == ERR_DENIED)
        return step_end(probe, step);
    if (err)
        return fail_silent(probe, step, err);
    snprintf(step->what, sizeof step->what, "two allocations may reach each other, over channels");
    return step_end(probe, step);
}

static bool play(struct probe *probe)
{
    struct probe_game *game = &probe->report->game;
    struct probe_step *step = step_begin(probe, "game");
    if (!traffic_game(&probe->player.talk, &probe->mate.talk, probe->config->game_s, game))
        return fail_silent(probe, step, ERR_SYSTEM);
    if (!game->came)
        return fail(probe, step, "nothing that was sent through the relay came back",
                    "relayed packets are dropped: look at the firewall of the relay ports, and at external-ip if the server is behind NAT");
    const double loss = game->sent ? 1 - (double)game->came / game->sent : 0;
    snprintf(step->what, sizeof step->what, "%u of %u packets came back: loss %.1f %%, round trip (twice through the relay) p50 %.2f p95 %.2f p99 %.2f ms, jitter %.2f ms",
             game->came, game->sent, loss * 100, game->p50_ms, game->p95_ms, game->p99_ms, game->jitter_ms);
    if (loss > GAME_LOSS_MAX) {
        step->state = PROBE_DOUBTFUL;
        snprintf(step->advice, sizeof step->advice, "a game suffers from this: is it a limit of the server (relay allocations, rates), or the network?");
    }
    return step_end(probe, step);
}

static bool send_bulk(struct probe *probe)
{
    struct probe_step *step = step_begin(probe, "bulk");
    if (!traffic_bulk(&probe->player.talk, &probe->mate.talk, probe->config->bulk_s, &probe->report->mbit_s))
        return fail_silent(probe, step, ERR_SYSTEM);
    snprintf(step->what, sizeof step->what, "%.1f Mbit/s through the relay, one way, in %u s", probe->report->mbit_s, probe->config->bulk_s);
    return step_end(probe, step);
}

/* ---- all of it ---- */

static void put_release(struct build *build, const void *ctx)
{
    (void)ctx;
    build_attr_u32(build, ATTR_LIFETIME, 0);
}

/* close_end: whether its allocation, if there is one, is given back. */
static bool close_end(struct end *end)
{
    bool fine = true;
    if (end->is_allocated)
        fine = talk_ask(&end->talk, METHOD_REFRESH, put_release, NULL) == 0 && end->talk.code == 0;
    dial_close(end->talk.dial);
    crypto_wipe(end->talk.key, sizeof end->talk.key);
    return fine;
}

static bool test_relay(struct probe *probe)
{
    const struct probe_config *config = probe->config;
    return allocate(probe) && permit(probe) && (!config->game_s || play(probe)) && (!config->bulk_s || send_bulk(probe));
}

static void release(struct probe *probe)
{
    const bool had = probe->player.is_allocated || probe->mate.is_allocated;
    const bool player = close_end(&probe->player), mate = close_end(&probe->mate);
    if (!had)
        return;
    struct probe_step *step = step_begin(probe, "release");
    if (player && mate) {
        snprintf(step->what, sizeof step->what, "what was allocated is given back");
    } else {
        step->state = PROBE_DOUBTFUL;
        snprintf(step->what, sizeof step->what, "an allocation could not be given back: it expires by itself");
    }
    step_end(probe, step);
}

void probe_run(const struct probe_config *config, struct probe_report *out)
{
    struct probe probe = {.config = config, .report = out};
    memset(out, 0, sizeof *out);
    out->works = resolve(&probe) && connect_player(&probe) && bind_address(&probe) && (config->url->is_stun || test_relay(&probe));
    release(&probe);
}
