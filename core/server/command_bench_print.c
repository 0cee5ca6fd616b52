/* command_bench_print.c: what a load has shown, for people and for programs. */
#include "server/command_line.h"

#include "client/load.h"

#include <stdio.h>

static const char *const loads[] = {[LOAD_RELAY] = "relay", [LOAD_BINDING] = "binding", [LOAD_ALLOCATE] = "allocate", [LOAD_HOLD] = "hold"};
static const char *const directions[] = {[LOAD_UP] = "up", [LOAD_DOWN] = "down", [LOAD_BOTH] = "both", [LOAD_PAIR] = "pair"};
static const char *const transports[] = {[DIAL_UDP] = "udp", [DIAL_TCP] = "tcp", [DIAL_TLS] = "tls", [DIAL_DTLS] = "dtls"};

/* struct figures: what is said of a load, worked out of what was counted; negative: it cannot be said. */
struct figures {
    uint64_t lost;
    double loss_percent, per_s, setup_per_s, cpu_us, calls;
    double resident_each, resident_after_each, kernel_each, kernel_after_each; /* bytes for an allocation */
};

static double each(uint64_t before, uint64_t now, uint32_t count)
{
    return ((double)now - (double)before) / count;
}

static struct figures figures_of(const struct load_report *report)
{
    struct figures out = {.lost = report->sent - report->delivered, .cpu_us = -1, .calls = -1};
    out.loss_percent = report->sent ? 100.0 * (double)out.lost / (double)report->sent : 0;
    out.per_s = report->seconds > 0 ? (double)report->delivered / report->seconds : 0;
    out.setup_per_s = report->setup_s > 0 ? report->clients / report->setup_s : 0;
    if (report->has_cost && report->delivered)
        out.cpu_us = report->cpu_s * 1e6 / (double)report->delivered;
    if (report->calls_packets)
        out.calls = (double)report->calls / (double)report->calls_packets;
    if (report->has_memory) {
        out.resident_each = each(report->resident_before, report->resident_held, report->clients);
        out.resident_after_each = each(report->resident_before, report->resident_after, report->clients);
        out.kernel_each = each(report->kernel_before, report->kernel_held, report->clients);
        out.kernel_after_each = each(report->kernel_before, report->kernel_after, report->clients);
    }
    return out;
}

/* ---- for programs ---- */

static json_t *number(bool is_known, double value)
{
    return is_known ? json_real(value) : json_null();
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void put_asked(json_t *out, const struct load_config *config, const struct load_report *report)
{
    json_object_set_new(out, "url", json_string(config->url->text));
    json_object_set_new(out, "server", json_string(report->server));
    json_object_set_new(out, "transport", json_string(transports[config->url->transport]));
    json_object_set_new(out, "load", json_string(loads[config->kind]));
    if (config->kind == LOAD_RELAY) {
        json_object_set_new(out, "mode", json_string(config->sends ? "send" : "channel"));
        json_object_set_new(out, "direction", json_string(directions[config->direction]));
        json_object_set_new(out, "bytes", count(config->bytes));
    }
    json_object_set_new(out, "clients", count(config->clients));
    json_object_set_new(out, "stopped", json_boolean(report->is_stopped));
}

static void put_setup(json_t *out, const struct load_report *report, const struct figures *figures)
{
    json_object_set_new(out, "setup_s", json_real(report->setup_s));
    json_object_set_new(out, "setup_per_s", json_real(figures->setup_per_s));
    json_object_set_new(out, "challenges", count(report->challenges));
    json_object_set_new(out, "retransmissions", count(report->retransmissions));
    json_object_set_new(out, "ports_taken", count(report->ports_taken));
    json_object_set_new(out, "unreleased", count(report->unreleased));
}

static void put_traffic(json_t *out, const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    const bool any = report->delivered > 0;
    json_object_set_new(out, "rate", config->rate ? count(config->rate) : json_null());
    json_object_set_new(out, "window", config->window ? count(config->window) : json_null());
    json_object_set_new(out, "burst", count(config->burst));
    json_object_set_new(out, "gso", json_boolean(config->gso));
    json_object_set_new(out, "sent", count(report->sent));
    json_object_set_new(out, "delivered", count(report->delivered));
    json_object_set_new(out, "lost", count(figures->lost));
    json_object_set_new(out, "loss_percent", json_real(figures->loss_percent));
    json_object_set_new(out, "refused", count(report->refused));
    json_object_set_new(out, "unsent", count(report->unsent));
    json_object_set_new(out, "dropped_here", count(report->dropped_here));
    json_object_set_new(out, "seconds", json_real(report->seconds));
    json_object_set_new(out, "packets_per_s", json_real(figures->per_s));
    json_object_set_new(out, "p50_us", number(any, report->p50_us));
    json_object_set_new(out, "p99_us", number(any, report->p99_us));
    json_object_set_new(out, "p999_us", number(any, report->p999_us));
    json_object_set_new(out, "jitter_us", number(any, report->jitter_us));
    json_object_set_new(out, "share_least", json_real(report->share_least));
    json_object_set_new(out, "share_median", json_real(report->share_median));
    json_object_set_new(out, "cpu_s", number(report->has_cost, report->cpu_s));
    json_object_set_new(out, "cpu_us_per_packet", number(figures->cpu_us >= 0, figures->cpu_us));
    json_object_set_new(out, "system_calls_per_packet", number(figures->calls >= 0, figures->calls));
    json_object_set_new(out, "system_calls_why", *report->calls_why ? json_string(report->calls_why) : json_null());
}

static void put_memory(json_t *out, const struct load_report *report, const struct figures *figures)
{
    json_object_set_new(out, "held_s", json_real(report->held_s));
    json_object_set_new(out, "resident_bytes_before", number(report->has_memory, (double)report->resident_before));
    json_object_set_new(out, "resident_bytes_held", number(report->has_memory, (double)report->resident_held));
    json_object_set_new(out, "resident_bytes_after", number(report->has_memory, (double)report->resident_after));
    json_object_set_new(out, "resident_bytes_each", number(report->has_memory, figures->resident_each));
    json_object_set_new(out, "resident_bytes_each_after", number(report->has_memory, figures->resident_after_each));
    json_object_set_new(out, "kernel_bytes_each", number(report->has_memory, figures->kernel_each));
    json_object_set_new(out, "kernel_bytes_each_after", number(report->has_memory, figures->kernel_after_each));
}

static int print_json(const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    json_t *out = json_object();
    put_asked(out, config, report);
    put_setup(out, report, figures);
    if (config->kind == LOAD_HOLD)
        put_memory(out, report, figures);
    else
        put_traffic(out, config, report, figures);
    const int err = json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(out);
    puts("");
    return err;
}

/* ---- for people ---- */

static void print_setup(const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    printf("  clients    %u over %s", config->clients, transports[config->url->transport]);
    if (report->setup_s > 0)
        printf(", set up in %.2f s (%.0f a second)", report->setup_s, figures->setup_per_s);
    printf("; %llu requests sent again\n", (unsigned long long)report->retransmissions);
}

static void print_traffic(const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    printf("  delivered  %llu of %llu in %.2f s: %.0f a second; lost %llu (%.3f %%)", (unsigned long long)report->delivered, (unsigned long long)report->sent,
           report->seconds, figures->per_s, (unsigned long long)figures->lost, figures->loss_percent);
    if (report->refused)
        printf(", %llu of them refused (%d)", (unsigned long long)report->refused, report->refused_code);
    printf("\n");
    if (report->unsent || report->dropped_here)
        printf("  here       %llu found no room to leave, %llu came and found the generator's buffers full\n", (unsigned long long)report->unsent,
               (unsigned long long)report->dropped_here);
    if (config->rate && report->seconds > 0 && (double)report->sent / report->seconds < 0.98 * config->rate && !report->is_stopped && config->kind != LOAD_ALLOCATE)
        printf("  here       the generator sent %.0f a second: it could not keep the pace\n", (double)report->sent / report->seconds);
    printf("  latency    p50 %.0f us, p99 %.0f us, p99.9 %.0f us; jitter %.1f us\n", report->p50_us, report->p99_us, report->p999_us, report->jitter_us);
    printf("  shares     the least client got %.3f of the mean, the median one %.3f\n", report->share_least, report->share_median);
    if (figures->cpu_us >= 0)
        printf("  server     %.3f us of processor time for each delivered (%.2f s)\n", figures->cpu_us, report->cpu_s);
    if (figures->calls >= 0)
        printf("  server     %.3f system calls for each delivered\n", figures->calls);
    else if (*report->calls_why)
        printf("  server     system calls cannot be counted: %s\n", report->calls_why);
}

static void print_memory(const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    printf("  held       %u allocations for %.1f s\n", report->clients, report->held_s);
    if (!report->has_memory)
        return;
    printf("  memory     %.0f bytes for each, %.0f after they were given back\n", figures->resident_each, figures->resident_after_each);
    printf("  kernel     %.0f bytes for each, %.0f after they were given back; of the whole system, so others disturb it%s\n", figures->kernel_each,
           figures->kernel_after_each, config->url->transport == DIAL_UDP ? "" : ", and with the generator's end of each connection");
}

static void print_text(const struct load_config *config, const struct load_report *report, const struct figures *figures)
{
    printf("%s (%s): %s", config->url->text, report->server, loads[config->kind]);
    if (config->kind == LOAD_RELAY)
        printf(" %s, %s, %u bytes", directions[config->direction], config->sends ? "Send" : "ChannelData", config->bytes);
    printf("%s\n", report->is_stopped ? "; stopped before its end" : "");
    print_setup(config, report, figures);
    if (config->kind == LOAD_HOLD)
        print_memory(config, report, figures);
    else
        print_traffic(config, report, figures);
    if (report->unreleased)
        printf("  release    %llu allocations could not be given back: they expire by themselves\n", (unsigned long long)report->unreleased);
}

int command_bench_print(const struct command_line *line, const struct load_config *config, const struct load_report *report)
{
    const struct figures figures = figures_of(report);
    if (line->given & COMMAND_FLAG(JSON))
        print_json(config, report, &figures);
    else
        print_text(config, report, &figures);
    if (fflush(stdout) != 0)
        return command_fail(line, COMMAND_FAILED, "standard output cannot be written");
    if (config->kind != LOAD_HOLD && report->sent && !report->delivered)
        return command_fail(line, COMMAND_FAILED, "nothing of it was delivered");
    return report->is_stopped ? COMMAND_FAILED : COMMAND_DONE;
}
