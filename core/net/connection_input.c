/* connection_input.c: from bytes of a socket to whole frames: plain or TLS by the first byte, TLS taken off, frames cut. */
#include "net/splice.h"

#include "base/err.h"
#include "wire/proxy.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TLS_HANDSHAKE 0x16 /* ContentType of a ClientHello's record, RFC 8446 section 5.1 */
#define TLS_MAJOR 0x03
#define TLS_HEADER_LEN 5
#define STUN_FIRST_BYTE_MAX 3 /* RFC 7983 */

_Static_assert(PROXY_HEADER_MAX <= STRANGER_PART_MAX, "a PROXY header may come in parts");

/* give: one frame to the worker, which may write on the bytes behind it: those of the next frame are put back. */
static void give(struct connection *c, uint8_t *at, size_t len)
{
    const struct streams_config *config = &c->streams->config;
    uint8_t behind[ENGINE_TAILROOM];
    memcpy(behind, at + len, sizeof behind);
    c->known = true;
    config->frame(config->ctx, &c->flow, (struct packet){.at = at, .len = len});
    memcpy(at + len, behind, sizeof behind);
}

/* deliver: the whole frames at the front of `len` bytes, and all that follows the request to be a data connection; returns how many bytes they were. */
static size_t deliver(struct connection *c, uint8_t *at, size_t len)
{
    size_t done = 0;
    if (!c->known && len && at[0] > STUN_FIRST_BYTE_MAX) /* text looks like ChannelData, but nobody has a channel before a request */
        connection_break(c);
    while (c->state == CONNECTION_OPEN && !c->splice) {
        struct view frame;
        size_t used;
        const int err = frame_cut(view_of(at + done, len - done), &frame, &used);
        if (err == ERR_PARTIAL)
            break;
        if (err) {
            connection_break(c);
            break;
        }
        give(c, at + done, frame.len);
        if (c->state == CONNECTION_LEAVING) /* with this frame, and what follows it */
            break;
        done += used;
    }
    if (!c->splice)
        return done;
    splice_from_client(c->splice, view_of(at + done, len - done));
    return len;
}

/* keep_part: what is incomplete, in a buffer of its size: of the first TLS record while NEW, of a frame while OPEN; of one that is LEAVING
 * all. */
static void keep_part(struct connection *c, const uint8_t *at, size_t len)
{
    if (len > STRANGER_PART_MAX && !c->kept && c->state != CONNECTION_LEAVING)
        connection_break(c);
    if (len == 0 || c->state > CONNECTION_LEAVING) {
        free(c->part);
        c->part = NULL;
        c->part_len = 0;
        return;
    }
    uint8_t *part = len == c->part_len ? c->part : realloc(c->part, len);
    if (!part) {
        connection_break(c);
        return;
    }
    memcpy(part, at, len);
    c->part = part;
    c->part_len = (uint32_t)len;
}

static void plain_input(struct connection *c, uint8_t *frames, size_t len)
{
    const size_t done = deliver(c, frames, len);
    keep_part(c, frames + done, len - done);
}

/* no_more: its bytes have ended. */
static void no_more(struct connection *c)
{
    if (c->splice)
        splice_client_ended(c->splice);
    else
        connection_finish(c); /* replies to what came before are still sent */
}

/* tls_ended: whether OpenSSL has no more for now, because the client said goodbye or because it spoke nonsense. */
static void tls_ended(struct connection *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            break;
        case SSL_ERROR_ZERO_RETURN:
            no_more(c);
            break;
        default:
            connection_break(c);
            break;
    }
    ERR_clear_error();
}

static void tls_handshake(struct connection *c)
{
    const int result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        tls_ended(c, result);
        return;
    }
    c->sni = tls_sni(c->ssl);
    if (c->sni)
        c->flow.sni = c->sni;
    c->flow.alpn = tls_alpn(c->ssl);
    c->state = CONNECTION_OPEN;
}

static void tls_input(struct connection *c, struct view in)
{
    c->pipe.in = in;
    ERR_clear_error();
    if (c->state == CONNECTION_HANDSHAKE)
        tls_handshake(c);
    uint8_t *frames = c->streams->frames + ENGINE_HEADROOM;
    size_t len = c->part_len;
    if (len)
        memcpy(frames, c->part, len);
    while (c->state == CONNECTION_OPEN || c->state == CONNECTION_LEAVING) {
        const int got = SSL_read(c->ssl, frames + len, WIRE_BYTES); /* of LEAVING all that is there; there is room for it */
        if (got <= 0) {
            tls_ended(c, got);
            break;
        }
        len += (size_t)got;
        const size_t done = deliver(c, frames, len);
        len -= done;
        if (done && len)
            memmove(frames, frames + done, len);
    }
    keep_part(c, frames, len);
    c->pipe.in = view_of(NULL, 0);
}

static bool looks_like_tls(struct view in)
{
    return in.at[0] == TLS_HANDSHAKE && (in.len < 2 || in.at[1] == TLS_MAJOR) &&
           (in.len < TLS_HEADER_LEN || get_u16(in.at + 3) <= TLS_RECORD_MAX);
}

/* tls_begin: not before the whole first record is here: what OpenSSL needs for a handshake is a hundred times what a connection costs until
 * then. */
static void tls_begin(struct connection *c, struct view in)
{
    if (in.len < TLS_HEADER_LEN || in.len - TLS_HEADER_LEN < get_u16(in.at + 3)) {
        keep_part(c, in.at, in.len);
        return;
    }
    keep_part(c, NULL, 0);
    c->state = CONNECTION_HANDSHAKE;
    c->flow.transport = TRANSPORT_TLS;
    c->pipe.owner = c;
    c->ssl = tls_open(c->streams->config.tls, &c->pipe);
    if (!c->ssl)
        connection_break(c);
}

static void turn_away(struct connection *c)
{
    c->streams->counts.refused++;
    connection_break(c);
}

/* take_header: the PROXY header off the front of `in`; what is left is the client's own. Its addresses are the 5-tuple as the client knows
 * it: the proxy's own would be the same for clients who reach it on different ports. */
static struct view take_header(struct connection *c, struct view in)
{
    struct proxy_header header;
    size_t used = in.len;
    const int err = proxy_open(&header, in, &used);
    if (err == ERR_PARTIAL) {
        keep_part(c, in.at, in.len);
        return view_of(NULL, 0);
    }
    keep_part(c, NULL, 0);
    if (!err && header.source.family) {
        c->flow.client = header.source;
        c->flow.server = header.destination;
    }
    c->header_due = false;
    c->source = err ? SOURCE_NONE : sources_take(&c->streams->sources, &c->flow.client);
    if (c->source == SOURCE_NONE)
        turn_away(c);
    return view_from(in, used);
}

/* recognise: RFC 7983 by the first byte; frame_cut looks at the rest of what is plain, OpenSSL at the rest of what is not. */
static void recognise(struct connection *c, struct view in)
{
    const struct streams_config *config = &c->streams->config;
    const enum frame_kind kind = frame_kind_of(in);
    if (config->plain && (kind == FRAME_STUN || kind == FRAME_CHANNEL)) {
        c->state = CONNECTION_OPEN;
    } else if (config->tls && looks_like_tls(in)) {
        tls_begin(c, in);
    } else {
        turn_away(c);
    }
}

/* input: `in` lies among the frames if the connection is known to be plain, else among the bytes of the wire. */
static void input(struct connection *c, struct view in)
{
    uint8_t *frames = c->streams->frames + ENGINE_HEADROOM;
    if (c->header_due)
        in = take_header(c, in);
    if (in.len == 0)
        return;
    if (c->state == CONNECTION_NEW) {
        recognise(c, in);
        if (c->state == CONNECTION_OPEN)
            memcpy(frames, in.at, in.len);
    }
    if (c->state == CONNECTION_OPEN && !c->ssl)
        plain_input(c, frames, in.len);
    else if (c->state == CONNECTION_OPEN || c->state == CONNECTION_HANDSHAKE)
        tls_input(c, in);
}

static void end_of_file(struct connection *c)
{
    c->ended = true;
    watch_stop(&c->readable);
    if (c->state == CONNECTION_OPEN)
        no_more(c);
    else if (c->state == CONNECTION_CLOSING)
        connection_unsettled(c);
    else
        connection_break(c);
}

void connection_continue(struct connection *c)
{
    uint8_t *frames = c->streams->frames + ENGINE_HEADROOM;
    c->streams->busy = true;
    if (c->part_len)
        memcpy(frames, c->part, c->part_len);
    plain_input(c, frames, c->part_len);
    c->streams->busy = false;
}

static size_t receive_room(struct connection *c, size_t most)
{
    const size_t room = c->splice ? splice_client_room(c->splice) : most;
    return room < most ? room : most;
}

void connection_receive(void *owner)
{
    struct connection *c = owner;
    struct streams *s = c->streams;
    const bool plain = c->state == CONNECTION_OPEN && !c->ssl;
    const size_t had = plain || c->state == CONNECTION_NEW ? c->part_len : 0;
    uint8_t *at = plain ? s->frames + ENGINE_HEADROOM : s->wire;
    const size_t room = receive_room(c, plain ? WIRE_BYTES : WIRE_BYTES - had);
    if (room == 0)
        return;
    if (had)
        memcpy(at, c->part, had);
    const ssize_t got = recv(c->fd, at + had, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->busy = true;
    if (got < 0)
        connection_break(c);
    else if (got == 0)
        end_of_file(c);
    else
        input(c, view_of(at, had + (size_t)got)); /* discarded while it closes */
    s->busy = false;
}
