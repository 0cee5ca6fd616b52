/* dtls_hello.c: a ClientHello's cookie, before OpenSSL and before any state. */
#include "net/dtls_hello.h"

#include "base/err.h"

#include <string.h>

#define RECORD_HEADER_LEN 13
#define MESSAGE_HEADER_LEN 12
#define TYPE_HANDSHAKE 22
#define TYPE_CLIENT_HELLO 1
#define TYPE_HELLO_VERIFY 3
#define MAJOR_VERSION 0xfe
#define VERSION_1_0 0xfeff /* of a HelloVerifyRequest whatever follows, RFC 6347 section 4.2.1 */

static uint32_t get_u24(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | get_u16(at + 1);
}

/* cut: the first `len` bytes off *in. */
static bool cut(struct view *in, size_t len, struct view *out)
{
    if (in->len < len)
        return false;
    *out = view_cut(*in, len);
    *in = view_from(*in, len);
    return true;
}

/* cut_vector: one that begins with the byte of its length. */
static bool cut_vector(struct view *in, struct view *out)
{
    struct view len;
    return cut(in, 1, &len) && cut(in, len.at[0], out);
}

int hello_open(struct hello *hello, struct view in)
{
    struct view record, fragment, message, body, version, random, session;
    if (!cut(&in, RECORD_HEADER_LEN, &record) || record.at[0] != TYPE_HANDSHAKE || record.at[1] != MAJOR_VERSION ||
        get_u16(record.at + 3) != 0)
        return ERR_BAD;
    if (!cut(&in, get_u16(record.at + 11), &fragment))
        return ERR_BAD;
    if (!cut(&fragment, MESSAGE_HEADER_LEN, &message) || message.at[0] != TYPE_CLIENT_HELLO || get_u24(message.at + 6) != 0)
        return ERR_BAD;
    if (get_u24(message.at + 9) > get_u24(message.at + 1) || !cut(&fragment, get_u24(message.at + 9), &body))
        return ERR_BAD;
    if (!cut(&body, 2, &version) || !cut(&body, HELLO_RANDOM_LEN, &random) || !cut_vector(&body, &session) ||
        !cut_vector(&body, &hello->cookie))
        return ERR_BAD;
    hello->sequence = record.at + 5;
    hello->random = random.at;
    return 0;
}

void hello_verify(const struct hello *hello, const uint8_t cookie[HELLO_COOKIE_LEN], uint8_t out[HELLO_VERIFY_LEN])
{
    const uint16_t body = 3 + HELLO_COOKIE_LEN;
    struct slab to = slab_over(out, HELLO_VERIFY_LEN);
    slab_put_u8(&to, TYPE_HANDSHAKE);
    slab_put_u16(&to, VERSION_1_0);
    slab_put_u16(&to, 0);                                        /* epoch */
    slab_put(&to, view_of(hello->sequence, HELLO_SEQUENCE_LEN)); /* the ClientHello's own, section 4.2.1 */
    slab_put_u16(&to, MESSAGE_HEADER_LEN + body);
    slab_put_u8(&to, TYPE_HELLO_VERIFY);
    slab_put_u8(&to, 0);
    slab_put_u16(&to, body);
    slab_put_u16(&to, 0); /* message sequence */
    slab_put_u8(&to, 0);
    slab_put_u16(&to, 0); /* fragment offset */
    slab_put_u8(&to, 0);
    slab_put_u16(&to, body);
    slab_put_u16(&to, VERSION_1_0);
    slab_put_u8(&to, HELLO_COOKIE_LEN);
    slab_put(&to, view_of(cookie, HELLO_COOKIE_LEN));
}
