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

/* deliver: the whole frames at the front of `len` bytes, and all that follows the request to be a data connection; returns how many bytes
 * they were. */
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

/* keep_parts: what is incomplete, in a buffer of its size: of the first TLS record while NEW, of a frame, and of a record behind it, while
 * OPEN; of one that is LEAVING all. */
static void keep_parts(struct connection *c, struct view frame, struct view record)
{
    const size_t len = frame.len + record.len;
    if (len == 0 && !c->part)
        return;
    if ((frame.len > STRANGER_PART_MAX || record.len > STRANGER_PART_MAX) && !c->kept && c->state != CONNECTION_LEAVING)
        connection_break(c);
    const bool none = len == 0 || c->state > CONNECTION_LEAVING;
    uint8_t *part = none ? NULL : len == (size_t)c->part_len + c->record_len ? c->part : realloc(c->part, len);
    if (!part) {
        free(c->part);
        c->part = NULL;
        c->part_len = c->record_len = 0;
        if (!none)
            connection_break(c);
        return;
    }
    memcpy(part, frame.at, frame.len);
    if (record.len)
        memcpy(part + frame.len, record.at, record.len);
    c->part = part;
    c->part_len = (uint32_t)frame.len;
    c->record_len = (uint32_t)record.len;
}

static void keep_part(struct connection *c, struct view frame)
{
    keep_parts(c, frame, view_of(NULL, 0));
}

static void plain_input(struct connection *c, uint8_t *frames, size_t len)
{
    const size_t done = deliver(c, frames, len);
    keep_part(c, view_of(frames + done, len - done));
}

/* no_more: its bytes have ended. */
static void no_more(struct connection *c)
{
    if (c->splice)
        splice_client_ended(c->splice);
    else
        connection_finish(c); /* replies to what came before are still sent */
}

/* ---- TLS ---- */

static bool pipe_out(void *owner, struct view bytes)
{
    struct connection *c = owner;
    connection_unsettled(c);
    return outbox_put(&c->out, &c->streams->spare, bytes);
}

/* established: what has to be known of the handshake is taken, and OpenSSL is done. */
static void established(struct connection *c)
{
    struct handshake *handshake = c->handshake;
    c->sni = tls_sni(handshake->ssl);
    if (c->sni)
        c->flow.sni = c->sni;
    c->flow.alpn = tls_alpn(handshake->ssl);
    c->records = records_new();
    const bool good = c->records && records_begin(c->records, c->streams->config.crypto, handshake);
    c->handshake = NULL;
    handshake_free(handshake);
    c->streams->counts.shaken++;
    c->state = CONNECTION_OPEN;
    if (!good)
        connection_break(c);
}

/* shake: with the bytes of *in, of which those stay that come behind the handshake. */
static void shake(struct connection *c, struct view *in)
{
    struct handshake *handshake = c->handshake;
    ERR_clear_error();
    handshake->pipe.in = *in;
    const int result = SSL_do_handshake(handshake->ssl);
    *in = handshake->pipe.in;
    if (result == 1)
        established(c);
    else if (SSL_get_error(handshake->ssl, result) != SSL_ERROR_WANT_READ)
        connection_break(c);
    ERR_clear_error();
}

/* records_ended: after what came before it was delivered. */
static void records_ended(struct connection *c, enum record_end end)
{
    const struct record_way way = connection_way(c);
    if (!c->silent && c->state == CONNECTION_OPEN && !records_answer(c->records, &way))
        end = RECORDS_BROKEN;
    if (c->out.len)
        connection_unsettled(c);
    if (end == RECORDS_CLOSED)
        no_more(c);
    else if (end == RECORDS_BROKEN)
        connection_break(c);
}

/* tls_input: the parts of a frame and of a record go before what was received now, each where it belongs. */
static void tls_input(struct connection *c, struct view in)
{
    uint8_t *frames = c->streams->frames + ENGINE_HEADROOM;
    struct slab data = slab_over(frames, FRAME_MAX + WIRE_BYTES);
    slab_put(&data, view_of(c->part, c->part_len));
    const enum record_end end = records_read(c->records, c->streams->config.crypto, &in, &data);
    const size_t done = deliver(c, frames, data.len);
    records_ended(c, end);
    keep_parts(c, view_of(frames + done, data.len - done), in);
}

static bool looks_like_tls(struct view in)
{
    return in.at[0] == TLS_HANDSHAKE && (in.len < 2 || in.at[1] == TLS_MAJOR) &&
           (in.len < TLS_HEADER_LEN || get_u16(in.at + 3) <= RECORD_PLAIN_MAX);
}

/* tls_begin: not before the whole first record is here: what OpenSSL needs for a handshake is a hundred times what a connection costs until
 * then. */
static void tls_begin(struct connection *c, struct view in)
{
    if (in.len < TLS_HEADER_LEN || in.len - TLS_HEADER_LEN < get_u16(in.at + 3)) {
        keep_part(c, in);
        return;
    }
    keep_part(c, view_of(NULL, 0));
    c->state = CONNECTION_HANDSHAKE;
    c->flow.transport = TRANSPORT_TLS;
    c->handshake = handshake_new(c->streams->config.tls, &(struct tls_pipe){.owner = c, .out = pipe_out});
    if (!c->handshake)
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
        keep_part(c, in);
        return view_of(NULL, 0);
    }
    keep_part(c, view_of(NULL, 0));
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
    if (c->state == CONNECTION_HANDSHAKE)
        shake(c, &in);
    if (c->state == CONNECTION_OPEN && c->records)
        tls_input(c, in);
    else if (c->state == CONNECTION_OPEN)
        plain_input(c, frames, in.len);
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
    struct streams *s = c->streams;
    s->busy = true;
    if (c->records) {
        memcpy(s->wire, c->part + c->part_len, c->record_len);
        tls_input(c, view_of(s->wire, c->record_len));
    } else if (c->part_len) {
        memcpy(s->frames + ENGINE_HEADROOM, c->part, c->part_len);
        plain_input(c, s->frames + ENGINE_HEADROOM, c->part_len);
    }
    s->busy = false;
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
    const bool plain = c->state == CONNECTION_OPEN && !c->records;
    const size_t had = c->records ? c->record_len : c->part_len; /* of what is received; there is none during a handshake */
    uint8_t *at = plain ? s->frames + ENGINE_HEADROOM : s->wire;
    const size_t room = receive_room(c, plain ? WIRE_BYTES : WIRE_BYTES - had);
    if (room == 0)
        return;
    if (had)
        memcpy(at, c->part + (c->records ? c->part_len : 0), had);
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
