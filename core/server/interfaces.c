/* interfaces.c: getifaddrs(3), sorted by usefulness. */
#include "server/interfaces.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static bool is_link_local(const struct addr *addr)
{
    const uint8_t *v4 = addr->ip + 12;
    if (addr->family == ADDR_IPV4)
        return v4[0] == 169 && v4[1] == 254;
    return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

struct addr interfaces_addr(const struct ifaddrs *interface)
{
    struct sockaddr_storage storage = {0};
    const int af = interface->ifa_addr ? interface->ifa_addr->sa_family : AF_UNSPEC;
    if (af == AF_INET || af == AF_INET6)
        memcpy(&storage, interface->ifa_addr, af == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    return addr_from_sockaddr(&storage);
}

static bool is_wanted(const struct ifaddrs *interface, enum addr_family family, bool loopback, struct addr *out)
{
    if (!(interface->ifa_flags & IFF_UP) || loopback != ((interface->ifa_flags & IFF_LOOPBACK) != 0))
        return false;
    *out = interfaces_addr(interface);
    if (out->family != family)
        return false;
    return !is_link_local(out);
}

/* default_source: the address that a packet to the rest of the world would come from; nothing is sent. */
static bool default_source(enum addr_family family, struct addr *out)
{
    const struct addr far = family == ADDR_IPV4 ? addr_v4((const uint8_t[]){192, 0, 2, 1}, 9)
                                                : addr_v6((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 9);
    struct sockaddr_storage storage = {0};
    socklen_t len = addr_to_sockaddr(&far, &storage);
    const int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    const bool known = connect(fd, (struct sockaddr *)&storage, len) == 0 &&
                       (len = sizeof storage, getsockname(fd, (struct sockaddr *)&storage, &len)) == 0;
    close(fd);
    *out = addr_from_sockaddr(&storage);
    return known;
}

size_t interfaces_addresses(enum addr_family family, bool loopback, struct addr out[INTERFACES_MAX])
{
    struct ifaddrs *all;
    struct addr source;
    size_t count = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *at = all; at && count < INTERFACES_MAX; at = at->ifa_next)
        count += is_wanted(at, family, loopback, &out[count]);
    freeifaddrs(all);

    const bool has_source = default_source(family, &source);
    for (size_t i = 1; has_source && i < count; i++)
        if (addr_equal_ip(&out[i], &source)) {
            const struct addr first = out[0];
            out[0] = out[i];
            out[i] = first;
        }
    return count;
}
