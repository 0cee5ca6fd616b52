/* own.c: listeners as concrete addresses. */
#include "server/own.h"

#include "server/interfaces.h"

#include <stdlib.h>

struct own {
    struct addr *at;
    uint32_t count, cap;
};

static bool add(struct own *own, struct addr addr, uint16_t port)
{
    if (own->count == own->cap) {
        const uint32_t cap = own->cap * 2 + 16;
        struct addr *at = realloc(own->at, cap * sizeof *at);
        if (!at)
            return false;
        own->at = at;
        own->cap = cap;
    }
    addr.port = port;
    own->at[own->count++] = addr;
    return true;
}

static bool add_interfaces(struct own *own, const struct addr *listener, const struct ifaddrs *interfaces)
{
    for (const struct ifaddrs *each = interfaces; each; each = each->ifa_next) {
        const struct addr addr = interfaces_addr(each);
        if (addr.family == listener->family && !add(own, addr, listener->port))
            return false;
    }
    return true;
}

/* add_listener: and the relayed addresses, at its port: they may be shown as the same as its own. */
static bool add_listener(struct own *own, const struct config *config, const struct addr *listener, const struct ifaddrs *interfaces)
{
    bool complete = add(own, *listener, listener->port) && (!addr_is_any(listener) || add_interfaces(own, listener, interfaces));
    for (size_t k = 0; complete && k < config->relay_count; k++)
        complete = add(own, config->relays[k].shown, listener->port);
    return complete;
}

struct addr *own_listeners(const struct config *config, uint32_t *count)
{
    struct own own = {0};
    struct ifaddrs *interfaces = NULL;
    bool complete = getifaddrs(&interfaces) == 0;
    for (size_t i = 0; complete && i < config->listener_count; i++)
        complete = add_listener(&own, config, &config->listeners[i], interfaces);
    for (size_t i = 0; complete && i < config->door_count; i++)
        complete = config->doors[i].path || add_listener(&own, config, &config->doors[i].at, interfaces);
    if (interfaces)
        freeifaddrs(interfaces);
    if (!complete) {
        free(own.at);
        return NULL;
    }
    *count = own.count;
    return own.at;
}
