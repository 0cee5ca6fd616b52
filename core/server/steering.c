/* steering.c: which way to relay. */
#include "server/steering.h"

#include "base/err.h"

static bool relays_datagrams(const struct config *config)
{
    return config->relaying && !config->no_udp_relay && config->relay_count > 0;
}

int steering_open(struct service *service, struct refusal *refusal)
{
    const struct config *config = service->config;
    const struct steer_config wanted = {.relays = config->relays,
                                        .count = (uint32_t)config->relay_count,
                                        .first = config->min_port,
                                        .last = config->max_port,
                                        .workers = config->workers};
    if (config->sends_frames && config->steering == CONFIG_STEER_OFF)
        return refuse(refusal, config, "relay-send", "packet is of no use with relay-steering=off: leave one of them out");
    if (!relays_datagrams(config) || config->steering == CONFIG_STEER_OFF)
        return 0;
    const int err = steer_open(&wanted, &service->steer, service->unsteered);
    service->holds_ports = !steer_is_reserved(config->min_port, config->max_port);
    if (err == ERR_MEMORY || (err && config->steering == CONFIG_STEER_ON))
        return err == ERR_MEMORY ? err
                                 : refuse(refusal, config, "relay-steering", "%s; with auto the server does without", service->unsteered);
    return 0;
}

void steering_print(const struct service *service, FILE *out)
{
    const struct config *config = service->config;
    if (!relays_datagrams(config))
        return;
    fprintf(out, "%-16s", "relay sockets");
    if (service->unsteered[0])
        fprintf(out, "one for each allocation; fewer would do (relay-steering), but: %s\n", service->unsteered);
    else if (!service->steer)
        fprintf(out, "one for each allocation (relay-steering=off)\n");
    else if (service->holds_ports)
        fprintf(out, "one for each worker, and one that holds the port of each allocation; without those when net.ipv4.ip_local_reserved_ports has %u-%u\n",
                config->min_port, config->max_port);
    else
        fprintf(out, "one for each worker\n");
    if (service->steer)
        fprintf(out, "%-16s%s\n", "relay sending", config->sends_frames ? "frames to neighbours on an Ethernet, past packet filters; by raw sockets to others" : "by raw sockets");
}

void steering_log(const struct service *service)
{
    char quote[STEER_WHY_MAX * 2];
    if (!relays_datagrams(service->config))
        return;
    if (service->unsteered[0])
        log_say(service->log, LOG_INFO, "relay_sockets", "for=allocation missing=%s", log_quote(view_text(service->unsteered), quote, sizeof quote));
    else
        log_say(service->log, LOG_INFO, "relay_sockets", "for=%s holds_ports=%s send=%s", service->steer ? "worker" : "allocation",
                !service->steer || service->holds_ports ? "yes" : "no", !service->steer ? "socket" : service->config->sends_frames ? "packet" : "raw");
}
