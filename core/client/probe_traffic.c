/* probe_traffic.c: what a game sends, and then as much as goes. */
#include "client/probe_state.h"

#include <stdlib.h>
#include <string.h>

#define GAME_BYTES 100
#define GAME_RATE 60
#define GAME_MAX 3600
#define LATE_MS 1000 /* what comes back later is lost, for a game */
#define BULK_BYTES 1200
#define BULK_ON_THE_WAY 128
#define BULK_STALLED_MS 200

static uint64_t now_us(void)
{
    return (uint64_t)clock_monotonic_ns() / 1000;
}

/* struct game: numbers and times are in the packets. */
struct game {
    struct talk *player, *mate;
    uint32_t sent, came, late_us[GAME_MAX];
    double jitter_us; /* RFC 3550 section 6.4.1 */
    uint64_t last_us;
    uint8_t seen[GAME_MAX];
    bool is_broken;
};

static void put_packet(struct game *game)
{
    uint8_t packet[GAME_BYTES] = {0};
    put_u32(packet, game->sent++);
    put_u64(packet + 4, now_us());
    game->is_broken |= talk_put_data(game->player, view_of(packet, sizeof packet)) != 0;
}

/* echo: the mate sends back whatever has come. */
static void echo(struct game *game)
{
    struct view data;
    uint8_t packet[GAME_BYTES];
    while (talk_data(game->mate, 0, &data) == 0)
        if (data.len == sizeof packet) {
            memcpy(packet, data.at, sizeof packet);
            game->is_broken |= talk_put_data(game->mate, view_of(packet, sizeof packet)) != 0;
        }
}

static void note(struct game *game, struct view data)
{
    const uint32_t number = get_u32(data.at);
    const uint64_t took = now_us() - get_u64(data.at + 4);
    if (number >= game->sent || game->seen[number] || took > LATE_MS * 1000)
        return;
    game->seen[number] = 1;
    if (game->came) {
        const double change = took > game->last_us ? (double)(took - game->last_us) : (double)(game->last_us - took);
        game->jitter_us += (change - game->jitter_us) / 16;
    }
    game->last_us = took;
    game->late_us[game->came++] = (uint32_t)took;
}

static void take(struct game *game)
{
    struct view data;
    while (talk_data(game->player, 0, &data) == 0)
        if (data.len == GAME_BYTES)
            note(game, data);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static double percentile_ms(const struct game *game, unsigned percent)
{
    const size_t at = game->came ? (size_t)(game->came - 1) * percent / 100 : 0;
    return game->came ? game->late_us[at] / 1000.0 : 0;
}

static void play(struct game *game, uint32_t packets)
{
    const uint64_t begun = now_us();
    for (uint64_t end = 0; !game->is_broken && (!end || now_us() < end);) {
        const uint64_t next = begun + (uint64_t)game->sent * 1000000 / GAME_RATE, now = now_us();
        if (game->sent < packets && now >= next)
            put_packet(game);
        else
            dial_wait(game->player->dial, game->mate->dial, game->sent < packets ? (msec_t)((next - now + 999) / 1000) : 10);
        echo(game);
        take(game);
        if (game->sent == packets && !end)
            end = now_us() + LATE_MS * 1000;
        if (game->came == packets)
            break;
    }
}

bool traffic_game(struct talk *player, struct talk *mate, unsigned seconds, struct probe_game *out)
{
    struct game *game = calloc(1, sizeof *game);
    if (!game)
        return false;
    game->player = player;
    game->mate = mate;
    play(game, seconds * GAME_RATE < GAME_MAX ? seconds * GAME_RATE : GAME_MAX);
    qsort(game->late_us, game->came, sizeof *game->late_us, by_size);
    *out = (struct probe_game){.sent = game->sent,
                               .came = game->came,
                               .p50_ms = percentile_ms(game, 50),
                               .p95_ms = percentile_ms(game, 95),
                               .p99_ms = percentile_ms(game, 99),
                               .jitter_ms = game->jitter_us / 1000};
    const bool fine = !game->is_broken;
    free(game);
    return fine;
}

/* struct bulk: as many packets are on the way as the window lets; the mate says how many have come. */
struct bulk {
    struct talk *player, *mate;
    uint64_t sent, acknowledged, lost, came, last_us;
    bool is_broken;
};

static uint64_t on_the_way(const struct bulk *bulk)
{
    return bulk->sent - bulk->lost - bulk->acknowledged;
}

static void receive_bulk(struct bulk *bulk)
{
    struct view data;
    uint8_t word[8];
    const uint64_t before = bulk->came;
    while (talk_data(bulk->mate, 0, &data) == 0)
        bulk->came += data.len == BULK_BYTES;
    put_u64(word, bulk->came);
    if (bulk->came != before)
        bulk->is_broken |= talk_put_data(bulk->mate, view_of(word, sizeof word)) != 0;
    while (talk_data(bulk->player, 0, &data) == 0)
        if (data.len == sizeof word && get_u64(data.at) > bulk->acknowledged) {
            bulk->acknowledged = get_u64(data.at);
            bulk->last_us = now_us();
        }
}

static void send_bulk(struct bulk *bulk)
{
    static const uint8_t packet[BULK_BYTES];
    for (unsigned burst = 0; burst < 16 && on_the_way(bulk) < BULK_ON_THE_WAY && !bulk->is_broken; burst++) {
        bulk->is_broken |= talk_put_data(bulk->player, view_of(packet, sizeof packet)) != 0;
        bulk->sent++;
    }
}

bool traffic_bulk(struct talk *player, struct talk *mate, unsigned seconds, double *mbit_s)
{
    struct bulk bulk = {.player = player, .mate = mate, .last_us = now_us()};
    const uint64_t begun = now_us(), end = begun + (uint64_t)seconds * 1000000;
    while (now_us() < end && !bulk.is_broken) {
        send_bulk(&bulk);
        receive_bulk(&bulk);
        if (on_the_way(&bulk) >= BULK_ON_THE_WAY)
            dial_wait(player->dial, mate->dial, 5);
        if (now_us() - bulk.last_us > BULK_STALLED_MS * 1000) {
            bulk.lost = bulk.sent - bulk.acknowledged;
            bulk.last_us = now_us();
        }
    }
    const uint64_t took = now_us() - begun;
    *mbit_s = took ? (double)bulk.came * BULK_BYTES * 8 / (double)took : 0;
    return !bulk.is_broken;
}
