/* metric.c: what is counted by, and the text that the rows make. */
#include "server/metric.h"

#include "base/utf8.h"
#include "server/mint.h"
#include "server/tenancy.h"
#include "server/worker.h"

#include <stdlib.h>
#include <string.h>

#define TIMES_PLACES (POLICY_TIMES + 1)

static const char *const transports[] = {"udp", "tcp", "tls", "dtls"};
static const char *const directions[] = {"in", "out"};
static const char *const drops[] = {"no_permission", "not_in_group", "malformed",   "ring",      "slow_reader", "unsent",      "send_full",
                                    "too_long",      "socket_full",   "rate",         "packet_rate", "max_active", "user_rate",  "tenant_rate",
                                    "tenant_packet_rate", "server_rate"};
static const char *const limits[] = {"own", "tenant_rate", "tenant_packet_rate", "max_active", "server_rate"}; /* as TENANT_DROPPED_OWN and on */
static const char *const mutes[ENGINE_MUTES] = {"unauthorized_ratelimit", "max_failed_logins"};
static const char *const handovers[ENGINE_HANDOVERS] = {"same", "other"};
static const char *const endings[] = {"released", "expired", "client_closed", "kicked", "revoked", "meter_cap", "tenant_disabled", "month_bytes", "credential_expired", "shutdown", "other"};
static const char *const refusals[] = {"total_quota",
                                       "realm_quota",
                                       "user_quota",
                                       "source_quota",
                                       "quota_table_full",
                                       "max_allocations",
                                       "max_active",
                                       "month_bytes",
                                       "max_permissions",
                                       "max_channels",
                                       "max_new_peers",
                                       "max_tcp_peers",
                                       "max_parked",
                                       "meter_cap",
                                       "draining",
                                       "no_descriptor",
                                       "no_port",
                                       "out_of_memory",
                                       "tenant is disabled",
                                       "no allocation",
                                       "other user's allocation",
                                       "peer_not_allowed",
                                       "not_in_group",
                                       "permission_acl",
                                       "policy",
                                       "other"};
static const char *const streams[] = {"accepted", "closed", "handed_over", "refused", "handshake_failed"};
static const char *const results[VERDICT_KINDS] = {"none",     "allow",  "deny",  "key",  "lookup", "tenant",
                                                   "redirect", "reauth", "close", "fail", "later"};
static const char *const clocks[] = {"cpu", "wall"};
static const char *const errors[] = {"error", "timeout", "budget", "memory", "type", "late"};
static const char *const deliveries[] = {"delivered", "failed", "dead", "lost"};
static const char *const reloads[] = {"done", "refused"};
static const char *const versions[] = {RELAY_VERSION};
static const char *const phases[HOOK_COUNT] = {
#define X(name) #name,
    HOOKS(X)
#undef X
};
static const char *const codes[STUN_PLACES] = {"success",
#define X(name, code, reason) #code,
                                               STUN_CODES(X)
#undef X
};

_Static_assert(sizeof limits / sizeof *limits == TENANT_COUNT - TENANT_DROPPED_OWN, "each has a name");
_Static_assert(sizeof refusals / sizeof *refusals <= METRIC_REASONS_MAX, "they are counted in so many places");

/* place_of: among the first `count`; `count`: it is none of them. */
static size_t place_of(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

size_t metric_ending(const char *reason)
{
    return place_of(endings, sizeof endings / sizeof *endings - 1, reason);
}

size_t metric_refusal(const char *reason, const char *by)
{
    const size_t other = sizeof refusals / sizeof *refusals - 1;
    return strcmp(by, "core") == 0 ? place_of(refusals, other - 1, reason) == other - 1 ? other : place_of(refusals, other - 1, reason)
                                   : other - 1;
}

const char *metric_refusal_name(size_t place)
{
    return refusals[place];
}

static const char *method_name(const struct service *service, size_t i)
{
    (void)service;
    return stun_method_name(engine_method(i));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* policy_name: as messages have it; the whole path where two files have one name; NULL: it is configured a second time. */
static const char *policy_name(const struct service *service, size_t i)
{
    const char *const *files = service->config->policies;
    bool is_alone = true;
    for (size_t k = 0; k < service->config->policy_count; k++) {
        if (k < i && strcmp(files[k], files[i]) == 0)
            return NULL;
        is_alone &= k == i || strcmp(base_name(files[k]), base_name(files[i])) != 0;
    }
    return is_alone ? base_name(files[i]) : files[i];
}

static size_t policy_room(const struct service *service)
{
    return service->config->policy_count;
}

static const char *shadow_name(const struct service *service, size_t i)
{
    static const char *const names[SHADOW_RESULTS] = {
        [SHADOW_SAME] = "same", [SHADOW_DIFFERS] = "differs", [SHADOW_UNDECIDED] = "undecided"};
    (void)service;
    return names[i];
}

static size_t shadow_room(const struct service *service)
{
    return service->config->shadow_count ? SHADOW_RESULTS : 0;
}

static const char *news_name(const struct service *service, size_t i)
{
    (void)service;
    return i == NEWS_STATS ? NULL : news_row((enum news_kind)i)->name;
}

static const char *listener_name(const struct service *service, size_t i)
{
    return service->listeners[i].udp ? service->listeners[i].name : NULL;
}

static size_t listener_room(const struct service *service)
{
    return service->listener_count;
}

static const char *certificate_name(const struct service *service, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(service->config->certs[k].path, service->config->certs[i].path) == 0)
            return NULL;
    return service->config->certs[i].path;
}

static size_t certificate_room(const struct service *service)
{
    return service->tls ? service->config->cert_count : 0;
}

const char *metric_tenant(const struct service *service, size_t i)
{
    return i == TENANTS_SHOWN ? "" : tenancy_name(service->tenancy, i);
}

/* struct axis: a fixed list of values; or functions that name them, of which NULL is left out. */
#define FIXED(label, list)                                                                                                                 \
    {                                                                                                                                      \
        label, list, sizeof(list) / sizeof *(list), NULL, NULL                                                                             \
    }
static const struct axis {
    const char *label;
    const char *const *values;
    size_t count;
    size_t (*room)(const struct service *);
    const char *(*value)(const struct service *, size_t);
} axes[AXIS_COUNT] = {
    [AXIS_METHOD] = {"method", NULL, ENGINE_METHODS, NULL, method_name},
    [AXIS_CODE] = FIXED("code", codes),
    [AXIS_TRANSPORT] = FIXED("transport", transports),
    [AXIS_DIRECTION] = FIXED("direction", directions),
    [AXIS_DROP] = FIXED("reason", drops),
    [AXIS_MUTE] = FIXED("reason", mutes),
    [AXIS_HANDOVER] = FIXED("worker", handovers),
    [AXIS_TENANT] = {"tenant", NULL, TENANTS_SHOWN + 1, NULL, metric_tenant},
    [AXIS_LIMIT] = FIXED("reason", limits),
    [AXIS_ENDING] = FIXED("reason", endings),
    [AXIS_REFUSAL] = FIXED("reason", refusals),
    [AXIS_STREAM] = FIXED("event", streams),
    [AXIS_POLICY] = {"policy", NULL, 0, policy_room, policy_name},
    [AXIS_PHASE] = FIXED("phase", phases),
    [AXIS_RESULT] = FIXED("result", results),
    [AXIS_SHADOW] = {"result", NULL, 0, shadow_room, shadow_name},
    [AXIS_CLOCK] = FIXED("kind", clocks),
    [AXIS_ERROR] = FIXED("kind", errors),
    [AXIS_LISTENER] = {"listener", NULL, 0, listener_room, listener_name},
    [AXIS_CERTIFICATE] = {"certificate", NULL, 0, certificate_room, certificate_name},
    [AXIS_NEWS] = {"type", NULL, NEWS_KINDS, NULL, news_name},
    [AXIS_DELIVERY] = FIXED("result", deliveries),
    [AXIS_RELOAD] = FIXED("result", reloads),
    [AXIS_MINT] = FIXED("reason", mint_noes),
    [AXIS_VERSION] = FIXED("version", versions),
};

static size_t room_of(const struct axis *axis, const struct service *service)
{
    return axis->room ? axis->room(service) : axis->count;
}

static size_t series_of(const struct metric *metric, const struct service *service)
{
    size_t count = 1;
    for (size_t i = 0; i < METRIC_AXES && metric->axes[i]; i++)
        count *= room_of(&axes[metric->axes[i]], service);
    return count;
}

static size_t places_each(const struct metric *metric)
{
    return metric->type == METRIC_TIMES ? TIMES_PLACES : 1;
}

size_t metric_places(const struct metric *metric, const struct service *service)
{
    return series_of(metric, service) * places_each(metric);
}

/* ---- the text ---- */

/* struct writing: `guard`: the last row that guards others, and its numbers, of which `guard_count`. */
struct writing {
    const struct service *service;
    FILE *out;
    uint64_t *guard;
    size_t guard_count;
};

static void write_value(FILE *out, const char *label, const char *value)
{
    char text[4096];
    fprintf(out, "%s=\"", label);
    for (const char *at = utf8_text(view_text(value), text, sizeof text); *at; at++) {
        if (*at == '"' || *at == '\\')
            fputc('\\', out);
        fputc((unsigned char)*at < ' ' ? ' ' : *at, out);
    }
    fputc('"', out);
}

/* labels_of: of a series, in the order of the axes; false: one of its values is no one's. */
static bool labels_of(const struct writing *writing, const struct metric *metric, size_t series, const char *values[METRIC_AXES])
{
    for (size_t i = METRIC_AXES; i-- > 0;) {
        const struct axis *axis = &axes[metric->axes[i]];
        if (!metric->axes[i])
            continue;
        const size_t room = room_of(axis, writing->service), place = series % room;
        values[i] = axis->value ? axis->value(writing->service, place) : axis->values[place];
        series /= room;
        if (!values[i])
            return false;
    }
    return true;
}

static void write_name(const struct writing *writing, const struct metric *metric, const char *suffix,
                       const char *const values[METRIC_AXES], const char *le)
{
    FILE *out = writing->out;
    fprintf(out, "%s%s", metric->name, suffix);
    char before = '{';
    for (size_t i = 0; i < METRIC_AXES && metric->axes[i]; i++, before = ',') {
        fputc(before, out);
        write_value(out, axes[metric->axes[i]].label, values[i]);
    }
    if (le)
        fprintf(out, "%cle=\"%s\"", before, le);
    fputs(le || before == ',' ? "} " : " ", out);
}

static void write_times(const struct writing *writing, const struct metric *metric, const char *const values[METRIC_AXES],
                        const uint64_t *at)
{
    char le[32];
    uint64_t sum = 0;
    for (size_t i = 0; i < POLICY_TIMES; i++) {
        snprintf(le, sizeof le, "%.9g", 1e-6 * (double)(UINT64_C(1) << i));
        write_name(writing, metric, "_bucket", values, i + 1 < POLICY_TIMES ? le : "+Inf");
        fprintf(writing->out, "%llu\n", (unsigned long long)(sum += at[i]));
    }
    write_name(writing, metric, "_sum", values, NULL);
    fprintf(writing->out, "%.9g\n", 1e-9 * (double)at[POLICY_TIMES]);
    write_name(writing, metric, "_count", values, NULL);
    fprintf(writing->out, "%llu\n", (unsigned long long)sum);
}

static void write_number(const struct writing *writing, const struct metric *metric, const char *const values[METRIC_AXES], uint64_t number)
{
    write_name(writing, metric, "", values, NULL);
    if (metric->unit > 0)
        fprintf(writing->out, "%.9g\n", (double)number * metric->unit);
    else
        fprintf(writing->out, "%llu\n", (unsigned long long)number);
}

static bool is_shown(const struct writing *writing, const struct metric *metric, size_t series, size_t count)
{
    return !metric->guarded || (writing->guard_count && writing->guard[series / (count / writing->guard_count)]);
}

static const char *const types[] = {[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_TIMES] = "histogram"};

static void write_metric(struct writing *writing, const struct metric *metric, const uint64_t *numbers)
{
    const size_t count = series_of(metric, writing->service);
    fprintf(writing->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, types[metric->type]);
    for (size_t i = 0; i < count; i++) {
        const char *values[METRIC_AXES] = {0};
        const uint64_t *at = numbers + i * places_each(metric);
        if (!is_shown(writing, metric, i, count) || !labels_of(writing, metric, i, values))
            continue;
        if (metric->type == METRIC_TIMES)
            write_times(writing, metric, values, at);
        else
            write_number(writing, metric, values, *at);
    }
}

/* take: the numbers of a row; they are the guard's if it is one. */
static void take(struct writing *writing, const struct metric *metric, uint64_t *numbers)
{
    write_metric(writing, metric, numbers);
    if (!metric->guards) {
        free(numbers);
        return;
    }
    free(writing->guard);
    writing->guard = numbers;
    writing->guard_count = series_of(metric, writing->service);
}

static void write_workers(struct writing *writing)
{
    size_t at = 0;
    for (const struct metric *metric = metric_of_worker; metric->name; metric++) {
        const size_t places = metric_places(metric, writing->service);
        uint64_t *numbers = calloc(places + 1, sizeof *numbers);
        if (!numbers)
            return;
        for (unsigned i = 0; i < writing->service->config->workers; i++)
            worker_metrics(writing->service->workers[i], at, numbers, places);
        at += places;
        take(writing, metric, numbers);
    }
}

static void write_main(struct writing *writing, const struct metric_sources *sources, const struct metric *metric)
{
    for (; metric->name; metric++) {
        uint64_t *numbers = calloc(metric_places(metric, writing->service) + 1, sizeof *numbers);
        if (!numbers)
            return;
        metric->of_main(sources, numbers);
        take(writing, metric, numbers);
    }
}

void metric_write(const struct metric_sources *sources, FILE *out)
{
    struct writing writing = {.service = sources->service, .out = out};
    tenancy_call(sources->service->tenancy);
    write_workers(&writing);
    write_main(&writing, sources, metric_of_tenants);
    write_main(&writing, sources, metric_of_main);
    metric_write_scripts(sources->service->policy_shared, out);
    free(writing.guard);
}

static void describe(const struct metric *metric, FILE *out)
{
    for (; metric->name; metric++) {
        fprintf(out, "| `%s` | %s |", metric->name, types[metric->type]);
        for (size_t i = 0; i < METRIC_AXES && metric->axes[i]; i++)
            fprintf(out, "%s`%s`", i ? ", " : " ", axes[metric->axes[i]].label);
        fprintf(out, " | %s |\n", metric->help);
    }
}

void metric_describe(FILE *out)
{
    fputs("# Metrics\n\nWhat `GET /metrics` at the admin door tells (`admin-socket`), in Prometheus' text format. This page is made by "
          "`relay metrics --describe`; a test holds it\n"
          "against the program. The numbers of the workers are half a second old at most.\n\n"
          "Tenants are counted by name up to the first 2,000 that came; all others have the tenant \"\". Counters of policies "
          "(`relay.metric.counter(\"NAME_total\")`) are\n"
          "`relay_script_NAME_total`.\n\n| name | type | by | what |\n|---|---|---|---|\n",
          out);
    describe(metric_of_worker, out);
    describe(metric_of_tenants, out);
    describe(metric_of_main, out);
}
