/* hop.c: rtnetlink's answers about routes and neighbours, kept for a second. */
#include "net/hop.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLACES 4096 /* a power of two */
#define GOOD_MS 1000
#define UNKNOWN_MS 50 /* until a neighbour that the system is just getting to know is asked for again */
#define ANSWER_MAX 2048

struct place {
    struct addr from, to; /* without ports */
    msec_t asked, until;
    struct hop hop; /* device 0: it is the system's */
};

struct hop_cache {
    struct hash_key key;
    int fd;
    msec_t second;
    unsigned asked; /* in it */
    struct place places[PLACES];
};

struct hop_cache *hop_cache_new(const struct hash_key *key)
{
    struct hop_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    cache->key = *key;
    cache->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (cache->fd >= 0)
        return cache;
    free(cache);
    return NULL;
}

void hop_cache_free(struct hop_cache *cache)
{
    if (!cache)
        return;
    close(cache->fd);
    free(cache);
}

/* struct question: a request with up to three attributes; `answer` holds what came back. */
struct question {
    union {
        struct nlmsghdr head;
        uint8_t bytes[256];
    };
    union {
        struct nlmsghdr align;
        uint8_t answer[ANSWER_MAX];
    };
};

static void put(struct question *question, uint16_t type, const void *value, size_t len)
{
    struct rtattr *at = (struct rtattr *)(void *)(question->bytes + NLMSG_ALIGN(question->head.nlmsg_len));
    *at = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type};
    memcpy(RTA_DATA(at), value, len);
    question->head.nlmsg_len = NLMSG_ALIGN(question->head.nlmsg_len) + (uint32_t)RTA_SPACE(len);
}

/* ask: the one message that answers; the system answers before sendto returns. */
static const struct nlmsghdr *ask(int fd, struct question *question, uint16_t type)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(fd, question->bytes, question->head.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0)
        return NULL;
    const ssize_t got = recv(fd, question->answer, sizeof question->answer, MSG_DONTWAIT);
    const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)question->answer;
    return got > 0 && NLMSG_OK(head, (size_t)got) && head->nlmsg_type == type ? head : NULL;
}

static const void *attribute(const struct nlmsghdr *head, size_t fixed, uint16_t type, size_t len)
{
    const uint8_t *at = (const uint8_t *)head + NLMSG_SPACE(fixed), *end = (const uint8_t *)head + head->nlmsg_len;
    struct rtattr attr;
    for (; at + sizeof attr <= end; at += RTA_ALIGN(attr.rta_len)) {
        memcpy(&attr, at, sizeof attr);
        if (attr.rta_len < sizeof attr || attr.rta_len > end - at)
            return NULL;
        if (attr.rta_type == type && RTA_PAYLOAD(&attr) >= len)
            return at + RTA_LENGTH(0);
    }
    return NULL;
}

/* struct ip: the bytes of an address as the system has them. */
struct ip {
    uint8_t family, len;
    uint8_t bytes[16];
};

static struct ip ip_of(const struct addr *addr)
{
    struct ip ip = {addr->family == ADDR_IPV6 ? AF_INET6 : AF_INET, addr->family == ADDR_IPV6 ? 16 : 4, {0}};
    memcpy(ip.bytes, addr->ip + sizeof addr->ip - ip.len, ip.len);
    return ip;
}

/* is_set: a switch of all devices or of loopback. */
static bool is_set(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char value = '0';
    if (fd >= 0) {
        if (read(fd, &value, 1) != 1)
            value = '0';
        close(fd);
    }
    return value == '1';
}

/* takes_own: whether the system takes what comes from a device, be it loopback, as from an address of its own. */
static bool takes_own(const struct ip *from)
{
    return from->family == AF_INET6 || is_set("/proc/sys/net/ipv4/conf/all/accept_local") || is_set("/proc/sys/net/ipv4/conf/lo/accept_local");
}

/* ask_route: to a neighbour, or by a router of the same family: its address is *next. Or to this machine itself. */
static bool ask_route(int fd, const struct ip *from, const struct ip *to, struct hop *hop, struct ip *next)
{
    struct question question = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST}};
    struct rtmsg route = {.rtm_family = to->family, .rtm_dst_len = (unsigned char)(to->len * 8), .rtm_src_len = (unsigned char)(from->len * 8)};
    memcpy(NLMSG_DATA(&question.head), &route, sizeof route);
    put(&question, RTA_DST, to->bytes, to->len);
    put(&question, RTA_SRC, from->bytes, from->len);
    const struct nlmsghdr *answer = ask(fd, &question, RTM_NEWROUTE);
    if (!answer)
        return false;
    memcpy(&route, NLMSG_DATA(answer), sizeof route);
    const void *device = attribute(answer, sizeof route, RTA_OIF, sizeof hop->device), *gateway = attribute(answer, sizeof route, RTA_GATEWAY, to->len);
    hop->is_own = route.rtm_type == RTN_LOCAL && takes_own(from);
    if ((route.rtm_type != RTN_UNICAST && !hop->is_own) || !device || attribute(answer, sizeof route, RTA_VIA, 0) || attribute(answer, sizeof route, RTA_ENCAP, 0))
        return false;
    memcpy(&hop->device, device, sizeof hop->device);
    *next = *to;
    if (gateway)
        memcpy(next->bytes, gateway, next->len);
    return true;
}

static bool ask_neighbour(int fd, const struct ip *next, struct hop *hop)
{
    struct question question = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)), .nlmsg_type = RTM_GETNEIGH, .nlmsg_flags = NLM_F_REQUEST}};
    struct ndmsg neighbour = {.ndm_family = next->family, .ndm_ifindex = (int)hop->device};
    memcpy(NLMSG_DATA(&question.head), &neighbour, sizeof neighbour);
    put(&question, NDA_DST, next->bytes, next->len);
    const struct nlmsghdr *answer = ask(fd, &question, RTM_NEWNEIGH);
    const void *address = answer ? attribute(answer, sizeof neighbour, NDA_LLADDR, sizeof hop->next) : NULL;
    if (!address)
        return false;
    memcpy(&neighbour, NLMSG_DATA(answer), sizeof neighbour);
    memcpy(hop->next, address, sizeof hop->next);
    return neighbour.ndm_state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP | NUD_STALE | NUD_DELAY | NUD_PROBE);
}

static bool ask_device(struct hop *hop)
{
    struct ifreq wish = {0};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const unsigned short kind = hop->is_own ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
    bool found = fd >= 0 && if_indextoname(hop->device, wish.ifr_name) && ioctl(fd, SIOCGIFHWADDR, &wish) == 0 && wish.ifr_hwaddr.sa_family == kind;
    if (found)
        memcpy(hop->own, wish.ifr_hwaddr.sa_data, sizeof hop->own);
    found = found && ioctl(fd, SIOCGIFMTU, &wish) == 0;
    hop->mtu = found ? (uint32_t)wish.ifr_mtu : 0;
    if (fd >= 0)
        close(fd);
    return found;
}

static void learn(struct hop_cache *cache, struct place *place, msec_t now)
{
    const struct ip from = ip_of(&place->from), to = ip_of(&place->to);
    struct ip next;
    uint8_t waste[ANSWER_MAX];
    while (recv(cache->fd, waste, sizeof waste, MSG_DONTWAIT) > 0) /* of a question before, that had no answer in time */
        ;
    place->hop = (struct hop){0};
    const bool is_near = ask_route(cache->fd, &from, &to, &place->hop, &next) && ask_device(&place->hop);
    const bool is_known = is_near && (place->hop.is_own || ask_neighbour(cache->fd, &next, &place->hop));
    if (!is_known)
        place->hop = (struct hop){0};
    place->until = now + (is_near && !is_known ? UNKNOWN_MS : GOOD_MS);
}

static bool may_ask(struct hop_cache *cache, msec_t now)
{
    if (now - cache->second >= GOOD_MS) {
        cache->second = now;
        cache->asked = 0;
    }
    return cache->asked++ < HOP_ASKS;
}

bool hop_find(struct hop_cache *cache, const struct addr *from, const struct addr *to, msec_t now, struct hop *hop)
{
    struct addr ends[] = {*from, *to};
    ends[0].port = ends[1].port = 0;
    struct place *place = &cache->places[table_hash(&cache->key, view_of(ends, sizeof ends)) % PLACES];
    if (now < place->until && addr_equal(&place->from, &ends[0]) && addr_equal(&place->to, &ends[1])) {
        *hop = place->hop;
        return hop->device != 0 && now != place->asked; /* what was given to the system in this moment is not overtaken */
    }
    if (!may_ask(cache, now))
        return false;
    place->from = ends[0];
    place->to = ends[1];
    place->asked = now;
    learn(cache, place, now);
    return false;
}
