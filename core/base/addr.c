/* addr.c: IP addresses: text, sockaddr, comparison, canonical form. */
#include "base/addr.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct addr) == 20, "an addr has no padding: it is compared and hashed as bytes");

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct addr addr_v4(const uint8_t ip[4], uint16_t port)
{
    struct addr addr = {.port = port, .family = ADDR_IPV4};
    memcpy(addr.ip, mapped_prefix, 12);
    memcpy(addr.ip + 12, ip, 4);
    return addr;
}

struct addr addr_v6(const uint8_t ip[16], uint16_t port)
{
    struct addr addr = {.port = port, .family = ADDR_IPV6};
    memcpy(addr.ip, ip, 16);
    return addr;
}

int addr_parse_ip(struct view text, struct addr *out)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, 0, text.len))
        return ERR_BAD;
    view_copy(text, copy, sizeof copy);
    if (inet_pton(AF_INET, copy, ip) == 1)
        *out = addr_v4(ip, 0);
    else if (inet_pton(AF_INET6, copy, ip) == 1)
        *out = addr_v6(ip, 0);
    else
        return ERR_BAD;
    return 0;
}

int addr_parse_port(struct view text, uint16_t *out)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > 5)
        return ERR_BAD;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return ERR_BAD;
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    if (port > UINT16_MAX)
        return ERR_BAD;
    *out = (uint16_t)port;
    return 0;
}

int addr_parse(struct view text, struct addr *out)
{
    const uint8_t *colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
    const bool bracket = text.len && text.at[0] == '[';
    if (!bracket && (!colon || memchr(text.at, ':', text.len) != colon))
        return addr_parse_ip(text, out); /* no colon, or several: no port */
    if (!colon)
        return ERR_BAD;

    struct view ip = view_cut(text, (size_t)(colon - text.at));
    const struct view port = view_from(text, ip.len + 1);
    if (bracket) {
        if (ip.len < 2 || ip.at[ip.len - 1] != ']')
            return ERR_BAD;
        ip = view_of(ip.at + 1, ip.len - 2);
    }
    struct addr addr;
    if (addr_parse_ip(ip, &addr) || addr_parse_port(port, &addr.port) || bracket != (addr.family == ADDR_IPV6))
        return ERR_BAD;
    *out = addr;
    return 0;
}

char *addr_format_ip(const struct addr *addr, char *out)
{
    if (addr->family == ADDR_IPV4)
        inet_ntop(AF_INET, addr->ip + 12, out, ADDR_TEXT_MAX);
    else if (addr->family == ADDR_IPV6)
        inet_ntop(AF_INET6, addr->ip, out, ADDR_TEXT_MAX);
    else
        memcpy(out, "none", sizeof "none");
    return out;
}

char *addr_format(const struct addr *addr, char *out)
{
    char ip[ADDR_TEXT_MAX];
    addr_format_ip(addr, ip);
    if (addr->family == ADDR_IPV6)
        snprintf(out, ADDR_TEXT_MAX, "[%.45s]:%u", ip, addr->port);
    else
        snprintf(out, ADDR_TEXT_MAX, "%.45s:%u", ip, addr->port);
    return out;
}

struct addr addr_from_sockaddr(const struct sockaddr_storage *in)
{
    if (in->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;
        return addr_v4((const uint8_t *)&v4->sin_addr, ntohs(v4->sin_port));
    }
    if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;
        return addr_v6(v6->sin6_addr.s6_addr, ntohs(v6->sin6_port));
    }
    return (struct addr){0};
}

socklen_t addr_to_sockaddr(const struct addr *in, struct sockaddr_storage *out)
{
    if (in->family == ADDR_IPV6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(in->port)};
        memcpy(v6->sin6_addr.s6_addr, in->ip, 16);
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(in->port)};
    memcpy(&v4->sin_addr, in->ip + 12, 4);
    return sizeof *v4;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_equal_ip(a, b);
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0;
}

static bool is_zero(const uint8_t *at, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= at[i];
    return any == 0;
}

bool addr_is_any(const struct addr *addr)
{
    return addr->family == ADDR_IPV4 ? is_zero(addr->ip + 12, 4) : addr->family == ADDR_IPV6 && is_zero(addr->ip, 16);
}

/* local_nat64: in 64:ff9b:1::/48 the operator chooses the length of the prefix (RFC 8215), and with it where the IPv4 address lies
 * (RFC 6052 section 2.2). Read are /96 (nothing before the last four bytes) and /48 (nothing behind); an address that could
 * be both is left alone, for a reading chosen by the sender would be a way around a deny list. */
static bool local_nat64(const uint8_t ip[16], uint8_t v4[4])
{
    if (is_zero(ip + 6, 6)) {
        memcpy(v4, ip + 12, 4);
        return true;
    }
    if (ip[8] != 0 || !is_zero(ip + 11, 5))
        return false;
    memcpy(v4, ip + 6, 2);
    memcpy(v4 + 2, ip + 9, 2);
    return true;
}

static bool teredo(const uint8_t ip[16], uint8_t v4[4])
{
    for (size_t i = 0; i < 4; i++)
        v4[i] = (uint8_t)~ip[12 + i]; /* RFC 4380 section 4: the client's address, complemented */
    return true;
}

static bool compatible(const uint8_t ip[16], uint8_t v4[4])
{
    memcpy(v4, ip + 12, 4);
    return !is_zero(ip + 12, 3) || ip[15] > 1; /* not :: and ::1 */
}

/* embeddings: where an IPv4 address lies in an IPv6 address of a prefix: at `at`, or as `read` says. */
static const struct embedding {
    uint8_t prefix[12];
    uint8_t prefix_len, at;
    bool (*read)(const uint8_t ip[16], uint8_t v4[4]);
} embeddings[] = {
    {{[10] = 0xff, [11] = 0xff}, 12, 12, NULL},          /* mapped, RFC 4291 section 2.5.5.2 */
    {{0}, 12, 0, compatible},                            /* compatible, RFC 4291 section 2.5.5.1 */
    {{0x00, 0x64, 0xff, 0x9b}, 12, 12, NULL},            /* NAT64, RFC 6052 section 2.1 */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 6, 0, local_nat64}, /* NAT64 for local use, RFC 8215 */
    {{0x20, 0x02}, 2, 2, NULL},                          /* 6to4, RFC 3056 section 2 */
    {{0x20, 0x01, 0, 0}, 4, 0, teredo},                  /* Teredo, RFC 4380 section 4 */
};

struct addr addr_canonical(const struct addr *in)
{
    if (in->family != ADDR_IPV6)
        return *in;
    for (size_t i = 0; i < sizeof embeddings / sizeof *embeddings; i++) {
        const struct embedding *e = &embeddings[i];
        if (memcmp(in->ip, e->prefix, e->prefix_len) != 0)
            continue;
        uint8_t v4[4];
        if (!e->read)
            memcpy(v4, in->ip + e->at, 4);
        else if (!e->read(in->ip, v4))
            return *in;
        return addr_v4(v4, in->port);
    }
    return *in;
}

static bool is_label_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

bool addr_is_domain(struct view text)
{
    size_t label = 0; /* bytes of it so far */
    if (text.len == 0 || text.len > 253)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.at[i];
        const bool ends = i + 1 == text.len || text.at[i + 1] == '.';
        if (c == '.' ? label == 0 : !is_label_byte(c) || (c == '-' && (label == 0 || ends)) || label == 63)
            return false;
        label = c == '.' ? 0 : label + 1;
    }
    return label > 0;
}

#define SOURCE_IPV6_LEN 7 /* bytes of a /56 */

struct addr addr_source(const struct addr *addr)
{
    struct addr source = *addr;
    source.port = 0;
    if (source.family == ADDR_IPV6)
        memset(source.ip + SOURCE_IPV6_LEN, 0, sizeof source.ip - SOURCE_IPV6_LEN);
    return source;
}
