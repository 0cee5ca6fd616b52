/* proxy.c: versions 1 and 2 of the PROXY header. */
#include "wire/proxy.h"

#include "base/err.h"

#include <string.h>

#define FIXED_LEN 16 /* of version 2 */
#define VERSION_2 2

enum command { LOCAL, PROXY };
enum family { FAMILY_NONE, FAMILY_IPV4, FAMILY_IPV6, FAMILY_UNIX };
enum carrier { CARRIER_NONE, CARRIER_STREAM, CARRIER_DATAGRAM };

static const uint8_t signature[] = {0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const uint8_t word[] = {'P', 'R', 'O', 'X', 'Y', ' '};

/* begins: whether `in` begins with `with`, as far as it goes. */
static bool begins(struct view in, struct view with)
{
    return view_equal(view_cut(in, with.len), view_cut(with, in.len));
}

/* cut_word: the bytes up to the next blank, which is taken too; all when there is none. */
static struct view cut_word(struct view *line)
{
    const uint8_t *blank = line->len ? memchr(line->at, ' ', line->len) : NULL;
    const struct view cut = blank ? view_cut(*line, (size_t)(blank - line->at)) : *line;
    *line = view_from(*line, cut.len + 1);
    return cut;
}

/* open_port: without zeroes in front. */
static int open_port(struct view text, uint16_t *out)
{
    return text.len > 1 && text.at[0] == '0' ? ERR_BAD : addr_parse_port(text, out);
}

/* tell: what a dual-stack proxy has as ::ffff:a.b.c.d is IPv4. */
static int tell(struct proxy_header *header, struct addr source, struct addr destination)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(source.ip, mapped, sizeof mapped) == 0 && memcmp(destination.ip, mapped, sizeof mapped) == 0)
        source.family = destination.family = ADDR_IPV4;
    *header = (struct proxy_header){source, destination};
    return 0;
}

/* open_addresses: what follows TCP4 or TCP6. */
static int open_addresses(struct proxy_header *header, struct view line, enum addr_family family)
{
    struct addr source, destination;
    const struct view from = cut_word(&line), to = cut_word(&line), from_port = cut_word(&line), to_port = line;
    if (addr_parse_ip(from, &source) != 0 || addr_parse_ip(to, &destination) != 0 || source.family != family ||
        destination.family != family)
        return ERR_BAD;
    if (open_port(from_port, &source.port) != 0 || open_port(to_port, &destination.port) != 0)
        return ERR_BAD;
    return tell(header, source, destination);
}

static int open_line(struct proxy_header *header, struct view in, size_t *used)
{
    const struct view most = view_cut(in, PROXY_LINE_MAX);
    const uint8_t *end = memchr(most.at, '\r', most.len);
    const size_t len = end ? (size_t)(end - most.at) : most.len;
    if (memchr(most.at, '\n', len) || (len + 1 < most.len && most.at[len + 1] != '\n'))
        return ERR_BAD;
    if (len + 1 >= most.len)
        return most.len < PROXY_LINE_MAX ? ERR_PARTIAL : ERR_BAD;
    struct view line = view_from(view_cut(most, len), sizeof word);
    const struct view protocol = cut_word(&line);
    *used = len + 2;
    if (view_equal(protocol, view_text("TCP4")))
        return open_addresses(header, line, ADDR_IPV4);
    if (view_equal(protocol, view_text("TCP6")))
        return open_addresses(header, line, ADDR_IPV6);
    return view_equal(protocol, view_text("UNKNOWN")) ? 0 : ERR_BAD;
}

/* open_block: the addresses of version 2; of other families and transports than TCP's there is nothing to be told. */
static int open_block(struct proxy_header *header, struct view block, unsigned family, unsigned carrier)
{
    const size_t len = family == FAMILY_IPV4 ? 4 : 16;
    if (carrier != CARRIER_STREAM || (family != FAMILY_IPV4 && family != FAMILY_IPV6))
        return 0;
    if (block.len < 2 * len + 4)
        return ERR_BAD;
    const uint8_t *from = block.at, *to = from + len, *ports = to + len;
    const uint16_t from_port = get_u16(ports), to_port = get_u16(ports + 2);
    if (family == FAMILY_IPV4)
        return tell(header, addr_v4(from, from_port), addr_v4(to, to_port));
    return tell(header, addr_v6(from, from_port), addr_v6(to, to_port));
}

static int open_binary(struct proxy_header *header, struct view in, size_t *used)
{
    if (in.len < FIXED_LEN)
        return in.len > 12 && in.at[12] >> 4 != VERSION_2 ? ERR_BAD : ERR_PARTIAL;
    const unsigned version = in.at[12] >> 4, command = in.at[12] & 15, family = in.at[13] >> 4, carrier = in.at[13] & 15;
    const size_t len = get_u16(in.at + 14);
    if (version != VERSION_2 || command > PROXY || len > PROXY_HEADER_MAX - FIXED_LEN)
        return ERR_BAD;
    if (command == PROXY && (family > FAMILY_UNIX || carrier > CARRIER_DATAGRAM))
        return ERR_BAD;
    if (in.len - FIXED_LEN < len)
        return ERR_PARTIAL;
    *used = FIXED_LEN + len;
    return command == LOCAL ? 0 : open_block(header, view_cut(view_from(in, FIXED_LEN), len), family, carrier);
}

int proxy_open(struct proxy_header *header, struct view in, size_t *used)
{
    *header = (struct proxy_header){0};
    if (in.len == 0)
        return ERR_PARTIAL;
    if (begins(in, view_of(signature, sizeof signature)))
        return open_binary(header, in, used);
    if (!begins(in, view_of(word, sizeof word)))
        return ERR_BAD;
    return in.len < sizeof word ? ERR_PARTIAL : open_line(header, in, used);
}
