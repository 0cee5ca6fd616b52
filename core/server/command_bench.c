/* command_bench.c: relay bench turn:...: a load on a TURN server, any. */
#include "server/command_line.h"

#include "client/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 100
#define BYTES 172 /* 20 ms of speech with its headers */
#define WINDOW 256 /* less, and a server that takes 64 at a time waits for the generator */
#define SECONDS 10
#define SECONDS_MAX (365 * 86400)

enum own { LOAD, MODE, DIRECTION, CLIENTS_AT, HELD, RATE, WINDOW_AT, PACKETS, SECONDS_AT, BYTES_AT, BURST, GSO, PEER, FROM, PID };

const struct command_own command_bench_own[COMMAND_BENCH_OWN] = {
    [LOAD] = {"--load", "relay: data through allocations (the default); binding: Binding requests; allocate: clients that come from a port of their own, are challenged, "
                        "allocate and give back; hold: allocations that are there, with a permission and a channel each", OWN_VALUE},
    [MODE] = {"--mode", "channel: ChannelData (the default); send: Send and Data indications", OWN_VALUE},
    [DIRECTION] = {"--direction", "up: from clients to a peer, which is a socket of the generator (the default); down: from it to them; both: in turns; pair: from each client to "
                                  "another, through both their allocations, counted at its end", OWN_VALUE},
    [CLIENTS_AT] = {"--clients", "how many there are (100)", OWN_VALUE},
    [HELD] = {"--held", "how many allocations --load hold has (100); memory is that of a server that has just started, or of one that had more before", OWN_VALUE},
    [RATE] = {"--rate", "packets a second, or cycles of --load allocate, of all clients together, whatever becomes of them", OWN_VALUE},
    [WINDOW_AT] = {"--window", "without a rate: how many packets are on their way at a time, so that the server is as fast as it can be (256)", OWN_VALUE},
    [PACKETS] = {"--packets", "how many are sent, unless the time is over before", OWN_VALUE},
    [SECONDS_AT] = {"--seconds", "for how long (10, without --packets)", OWN_VALUE},
    [BYTES_AT] = {"--bytes", "of a payload (172: 20 ms of speech with its headers)", OWN_VALUE},
    [BURST] = {"--burst", "packets of one client that leave back to back (1)", OWN_VALUE},
    [GSO] = {"--gso", "a burst leaves as one datagram that the system parts (UDP_SEGMENT), as a network card would hand it to the server", OWN_BARE},
    [PEER] = {"--peer", "the address of the peer's socket, as the server reaches it (that of this host which reaches the server)", OWN_VALUE},
    [FROM] = {"--from", "an address of this host that clients come from; may be said again: one has some 28,000 ports", OWN_VALUES},
    [PID] = {"--pid", "a process of the server on this host, or a kernel thread that works for it: its processor time, system calls (counted in another quarter of the run, of which "
                      "nothing else is told) and memory; may be said again", OWN_VALUES},
};

#define OF(kind) (1u << LOAD_##kind)
#define OF_ALL (OF(RELAY) | OF(BINDING) | OF(ALLOCATE) | OF(HOLD))

/* which loads an option is for */
static const unsigned loads_of[COMMAND_BENCH_OWN] = {
    [LOAD] = OF_ALL,
    [CLIENTS_AT] = OF(RELAY) | OF(BINDING) | OF(ALLOCATE),
    [RATE] = OF(RELAY) | OF(BINDING) | OF(ALLOCATE),
    [WINDOW_AT] = OF(RELAY) | OF(BINDING),
    [PACKETS] = OF(RELAY) | OF(BINDING) | OF(ALLOCATE),
    [SECONDS_AT] = OF_ALL,
    [BYTES_AT] = OF(RELAY),
    [BURST] = OF(RELAY) | OF(BINDING),
    [GSO] = OF(RELAY),
    [MODE] = OF(RELAY),
    [DIRECTION] = OF(RELAY),
    [HELD] = OF(HOLD),
    [PEER] = OF(RELAY) | OF(HOLD),
    [FROM] = OF_ALL,
    [PID] = OF_ALL,
};

static const struct number {
    enum own own;
    size_t at;
    uint32_t least, most;
} numbers[] = {
    {CLIENTS_AT, offsetof(struct load_config, clients), 1, LOAD_CLIENTS_MAX},
    {HELD, offsetof(struct load_config, clients), 1, LOAD_CLIENTS_MAX},
    {RATE, offsetof(struct load_config, rate), 1, 100000000},
    {WINDOW_AT, offsetof(struct load_config, window), 1, LOAD_WINDOW_MAX},
    {PACKETS, offsetof(struct load_config, packets), 1, UINT32_MAX},
    {SECONDS_AT, offsetof(struct load_config, seconds), 1, SECONDS_MAX},
    {BYTES_AT, offsetof(struct load_config, bytes), LOAD_BYTES_MIN, LOAD_BYTES_MAX},
    {BURST, offsetof(struct load_config, burst), 1, LOAD_BURST_MAX},
};

/* own_text: NULL: it was not given. */
static const char *own_text(const struct command_line *line, enum own own)
{
    return line->own[own].count ? line->own[own].at[0] : NULL;
}

static int read_number(const struct command_line *line, const struct number *number, uint32_t *out)
{
    const char *text = own_text(line, number->own);
    char *end = NULL;
    if (!text)
        return 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || *text == '-' || value < number->least || value > number->most)
        return command_fail(line, COMMAND_MISUSED, "%s: %u to %u, not %s", command_bench_own[number->own].name, number->least, number->most, text);
    *out = (uint32_t)value;
    return 0;
}

static int read_numbers(const struct command_line *line, struct load_config *config)
{
    int code = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !code; i++)
        code = read_number(line, &numbers[i], (uint32_t *)(void *)((char *)config + numbers[i].at));
    return code;
}

/* read_choice: which of `names` (NULL ends them) was said; *out stays if none was. */
static int read_choice(const struct command_line *line, enum own own, const char *const *names, int *out)
{
    const char *text = own_text(line, own);
    if (!text)
        return 0;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return 0;
        }
    return command_fail(line, COMMAND_MISUSED, "%s: no such one: %s", command_bench_own[own].name, text);
}

static int read_choices(const struct command_line *line, struct load_config *config)
{
    static const char *const kinds[] = {[LOAD_RELAY] = "relay", [LOAD_BINDING] = "binding", [LOAD_ALLOCATE] = "allocate", [LOAD_HOLD] = "hold", NULL};
    static const char *const directions[] = {[LOAD_UP] = "up", [LOAD_DOWN] = "down", [LOAD_BOTH] = "both", [LOAD_PAIR] = "pair", NULL};
    static const char *const modes[] = {"channel", "send", NULL};
    int kind = config->url->is_stun ? LOAD_BINDING : LOAD_RELAY, direction = LOAD_UP, mode = 0;
    int code = read_choice(line, LOAD, kinds, &kind);
    if (!code)
        code = read_choice(line, DIRECTION, directions, &direction);
    if (!code)
        code = read_choice(line, MODE, modes, &mode);
    config->kind = (enum load_kind)kind;
    config->direction = (enum load_direction)direction;
    config->sends = mode == 1;
    if (!code && config->url->is_stun && config->kind != LOAD_BINDING)
        return command_fail(line, COMMAND_MISUSED, "%s: a STUN server answers --load binding alone; of a TURN server the URL is turn: or turns:", config->url->text);
    for (size_t i = 0; i < COMMAND_BENCH_OWN && !code; i++)
        if (line->own[i].count && !(loads_of[i] & 1u << config->kind))
            return command_fail(line, COMMAND_MISUSED, "%s is not for --load %s", command_bench_own[i].name, kinds[config->kind]);
    return code;
}

static int read_addresses(const struct command_line *line, struct load_config *config)
{
    const char *peer = own_text(line, PEER);
    if (peer && addr_parse_ip(view_text(peer), &config->peer) != 0)
        return command_fail(line, COMMAND_MISUSED, "--peer: an address of this host, not %s", peer);
    for (size_t i = 0; i < line->own[FROM].count; i++)
        if (addr_parse_ip(view_text(line->own[FROM].at[i]), &config->from[config->from_count++]) != 0)
            return command_fail(line, COMMAND_MISUSED, "--from: an address of this host, not %s", line->own[FROM].at[i]);
    return 0;
}

static int read_pids(const struct command_line *line, struct load_config *config)
{
    char path[64], *end = NULL;
    for (size_t i = 0; i < line->own[PID].count; i++) {
        const char *text = line->own[PID].at[i];
        const long pid = strtol(text, &end, 10);
        snprintf(path, sizeof path, "/proc/%ld/task", pid);
        if (end == text || *end || pid < 1 || access(path, R_OK) != 0)
            return command_fail(line, COMMAND_MISUSED, "--pid: %s is no process here", text);
        config->pids[config->pid_count++] = (pid_t)pid;
    }
    return 0;
}

/* check_fit: whether the numbers go together; what was not said gets its value. */
static int check_fit(const struct command_line *line, struct load_config *config)
{
    config->gso = line->own[GSO].count > 0;
    if (config->gso && config->url->transport != DIAL_UDP)
        return command_fail(line, COMMAND_MISUSED, "--gso is for UDP");
    if (config->gso && config->burst * (config->bytes + LOAD_HEADER_MAX) > LOAD_GSO_MAX)
        return command_fail(line, COMMAND_MISUSED, "--gso: a burst of %u times %u bytes is more than one datagram of %u", config->burst, config->bytes, LOAD_GSO_MAX);
    if (config->rate && config->window)
        return command_fail(line, COMMAND_MISUSED, "--rate or --window: so many a second, or so many on their way");
    if (config->kind == LOAD_ALLOCATE)
        config->window = config->rate ? 0 : config->clients;
    else if (!config->rate && !config->window)
        config->window = config->burst > WINDOW ? config->burst : WINDOW;
    if (!config->rate && config->window < config->burst)
        return command_fail(line, COMMAND_MISUSED, "--window %u is less than one burst of %u", config->window, config->burst);
    if (config->kind == LOAD_RELAY && config->direction == LOAD_PAIR && config->clients % 2)
        return command_fail(line, COMMAND_MISUSED, "--direction pair: an even number of clients, not %u", config->clients);
    if (!config->seconds && !config->packets)
        config->seconds = SECONDS;
    return 0;
}

static int read_config(const struct command_line *line, struct load_config *config)
{
    int (*const parts[])(const struct command_line *, struct load_config *) = {read_choices, read_numbers, read_addresses, read_pids, check_fit};
    int code = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !code; i++)
        code = parts[i](line, config);
    return code;
}

static void show_progress(void *ctx, const struct load_progress *progress)
{
    (void)ctx;
    fprintf(stderr, "\r%s: %llu of %llu, %.0f s \x1b[K", progress->phase, (unsigned long long)progress->done, (unsigned long long)progress->of, progress->seconds);
}

static int run(const struct command_line *line, const struct load_config *config)
{
    struct load_report report;
    const int err = load_run(config, &report);
    if (config->told)
        fputs("\r\x1b[K", stderr);
    return err ? command_fail(line, COMMAND_FAILED, "%s", report.why) : command_bench_print(line, config, &report);
}

int command_bench(const struct command_line *line)
{
    char password[COMMAND_PASSWORD_CAP] = "";
    struct probe_url url;
    struct load_config config = {.url = &url, .clients = CLIENTS, .bytes = BYTES, .burst = 1, .user = line->user};
    if (probe_parse(line->words[0], &url) != 0)
        return command_fail(line, COMMAND_MISUSED, "%s: a URL expected, as turn:HOST[:PORT][?transport=udp|tcp], turns:, stun: or stuns:", line->words[0]);
    int code = read_config(line, &config);
    if (!code)
        code = command_password(line, password, &config.password);
    if (code)
        return code;
    config.trusts_everybody = line->given & COMMAND_FLAG(INSECURE);
    config.told = isatty(STDERR_FILENO) ? show_progress : NULL;
    config.crypto = crypto_new();
    code = config.crypto ? run(line, &config) : command_fail(line, COMMAND_FAILED, "out of memory");
    crypto_free(config.crypto);
    crypto_wipe(password, sizeof password);
    return code;
}
