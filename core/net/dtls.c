/* dtls.c: sessions by 5-tuple: OpenSSL's, over memory, until their clients show that they have what they need; then records of our own. */
#include "net/dtls.h"

#include "base/crypto.h"
#include "base/pool.h"
#include "base/table.h"
#include "net/deadline.h"
#include "net/dtls_hello.h"
#include "net/record.h"
#include "net/source.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER_LEN 13
#define HANDSHAKE_MTU 1200   /* passes every path that QUIC passes */
#define COOKIE_SLOT_MS 60000 /* a cookie lives one to two of them */

struct session {
    struct dtls *dtls;
    uint32_t index; /* in the pool */
    uint32_t source;
    struct flow flow;
    struct handshake *handshake; /* until the client sends data: it may not have our last flight before */
    struct records *records;     /* of use once it is established */
    struct deadline deadline;    /* half open, idle; none: kept */
    char *sni;
    bool established, known, kept;
    uint8_t random[HELLO_RANDOM_LEN]; /* of its ClientHello */
    uint8_t cookie[HELLO_COOKIE_LEN];
};

struct dtls {
    struct dtls_config config;
    struct pool sessions;
    struct table table;
    struct sources sources;
    struct deadlines half_open, idle;
    uint32_t half_open_count;
    msec_t now; /* of the last call that told */
    BIO_ADDR *nobody;
    uint64_t shaken;
    uint8_t plain[ENGINE_HEADROOM + DTLS_MAX + ENGINE_TAILROOM], sealed[RECORD_DATAGRAM_MAX];
};

struct dtls *dtls_new(const struct dtls_config *config)
{
    struct dtls *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->config = *config;
    d->nobody = BIO_ADDR_new();
    if (!d->nobody) {
        free(d);
        return NULL;
    }
    pool_init(&d->sessions, sizeof(struct session), config->max_sessions);
    table_init(&d->table);
    sources_init(&d->sources, config->hash_key, config->max_per_source);
    deadlines_init(&d->half_open, (msec_t)config->handshake_s * 1000);
    deadlines_init(&d->idle, (msec_t)config->idle_s * 1000);
    return d;
}

static uint64_t hash_of(const struct dtls *d, const struct flow *flow)
{
    return table_hash(&d->config.hash_key, view_of(flow, FLOW_KEY_LEN));
}

/* flow_of: as the session knows it. */
static struct flow flow_of(const struct flow *received)
{
    struct flow flow = *received;
    flow.transport = TRANSPORT_DTLS;
    flow.sni = flow.alpn = "";
    return flow;
}

static struct session *find(const struct dtls *d, const struct flow *flow)
{
    struct table_cursor cursor;
    for (uint32_t at = table_first(&d->table, hash_of(d, flow), &cursor); at != TABLE_NONE; at = table_next(&d->table, &cursor)) {
        struct session *session = pool_index(&d->sessions, at);
        if (memcmp(&session->flow, flow, FLOW_KEY_LEN) == 0)
            return session;
    }
    return NULL;
}

/* send_out: false: there is nothing to send. */
static bool send_out(void *owner, struct view bytes)
{
    const struct session *session = owner;
    const struct dtls_config *config = &session->dtls->config;
    if (bytes.len)
        config->transmit(config->ctx, &session->flow, bytes);
    return bytes.len > 0;
}

static void not_half_open(struct session *session)
{
    if (!session->established)
        session->dtls->half_open_count--;
}

/* rouse: OpenSSL, before it reads or writes: of an established session it keeps no buffers of 2 x 16 KiB meanwhile, and its DTLS takes them
 * for granted. NULL without memory.  rest: after it did. */
static SSL *rouse(const struct session *session)
{
    SSL *ssl = session->handshake->ssl;
    return SSL_alloc_buffers(ssl) ? ssl : NULL;
}

static void rest(const struct session *session)
{
    if (session->handshake && session->established)
        SSL_free_buffers(session->handshake->ssl);
    ERR_clear_error();
}

static void say_goodbye(struct session *session)
{
    struct dtls *d = session->dtls;
    ERR_clear_error();
    if (!session->established)
        return;
    if (!session->handshake)
        send_out(session, view_of(d->sealed, records_datagram_goodbye(session->records, d->config.crypto, d->sealed)));
    else if (rouse(session))
        SSL_shutdown(session->handshake->ssl);
    ERR_clear_error();
}

static void session_end(struct session *session)
{
    struct dtls *d = session->dtls;
    say_goodbye(session);
    not_half_open(session);
    handshake_free(session->handshake);
    records_free(session->records);
    session->established = false; /* nothing more is sent */
    if (session->known)
        d->config.closed(d->config.ctx, &session->flow);
    deadline_clear(&session->deadline);
    free(session->sni);
    sources_give(&d->sources, session->source);
    table_drop(&d->table, hash_of(d, &session->flow), session->index);
    pool_give(&d->sessions, session->index);
    ERR_clear_error();
}

void dtls_free(struct dtls *d)
{
    if (!d)
        return;
    for (uint32_t at = 0; (at = pool_next(&d->sessions, at)) != POOL_NONE; at++)
        session_end(pool_index(&d->sessions, at));
    pool_close(&d->sessions);
    table_close(&d->table);
    sources_close(&d->sources);
    BIO_ADDR_free(d->nobody);
    free(d);
}

/* cookie_make: bound to both addresses, to the client's random (it must not change, RFC 6347 section 4.2.1) and to a slot of time. */
static bool cookie_make(const struct dtls *d, const struct flow *flow, const struct hello *hello, msec_t slot,
                        uint8_t out[HELLO_COOKIE_LEN])
{
    uint8_t time[8], mac[CRYPTO_HASH_MAX];
    put_u64(time, (uint64_t)slot);
    const struct view parts[] = {view_of(flow, FLOW_KEY_LEN), view_of(time, sizeof time), view_of(hello->random, HELLO_RANDOM_LEN)};
    if (crypto_hmac(d->config.crypto, CRYPTO_SHA256, view_of(d->config.cookie_key, sizeof d->config.cookie_key), parts, 3, mac) != 0)
        return false;
    memcpy(out, mac, HELLO_COOKIE_LEN);
    return true;
}

static bool cookie_is_good(const struct dtls *d, const struct flow *flow, const struct hello *hello, msec_t now)
{
    uint8_t cookie[HELLO_COOKIE_LEN];
    if (hello->cookie.len != sizeof cookie)
        return false;
    for (msec_t slot = now / COOKIE_SLOT_MS, last = slot - 1; slot >= last; slot--)
        if (cookie_make(d, flow, hello, slot, cookie) && crypto_equal(view_of(cookie, sizeof cookie), hello->cookie))
            return true;
    return false;
}

static void ask_for_cookie(const struct dtls *d, const struct flow *flow, const struct hello *hello, msec_t now)
{
    uint8_t cookie[HELLO_COOKIE_LEN], out[HELLO_VERIFY_LEN];
    if (!cookie_make(d, flow, hello, now / COOKIE_SLOT_MS, cookie))
        return;
    hello_verify(hello, cookie, out);
    d->config.transmit(d->config.ctx, flow, view_of(out, sizeof out));
}

/* begin: OpenSSL takes up the handshake behind the HelloVerifyRequest, which it did not send; DTLSv1_listen is its only door to that state.
 */
static bool begin(struct session *session, const struct hello *hello, struct view in)
{
    struct dtls *d = session->dtls;
    memcpy(session->random, hello->random, HELLO_RANDOM_LEN);
    memcpy(session->cookie, hello->cookie.at, HELLO_COOKIE_LEN);
    const struct tls_pipe pipe = {
        .in = in, .owner = session, .out = send_out, .datagrams = true, .cookie = view_of(session->cookie, HELLO_COOKIE_LEN)};
    session->handshake = handshake_new(d->config.tls, &pipe);
    session->records = records_new(); /* now: who has shaken hands has a session */
    if (!session->handshake || !session->records)
        return false;
    SSL *ssl = session->handshake->ssl;
    SSL_set_options(ssl, SSL_OP_COOKIE_EXCHANGE);
    SSL_set_mtu(ssl, HANDSHAKE_MTU);
    ERR_clear_error();
    return DTLSv1_listen(ssl, d->nobody) == 1;
}

/* session_place: its place in the pool and in the table, for a source that has not all that it may. */
static struct session *session_place(struct dtls *d, const struct flow *flow)
{
    struct handle handle;
    const uint32_t source = sources_take(&d->sources, &flow->client);
    if (source == SOURCE_NONE)
        return NULL;
    if (d->config.max_half_open && d->half_open_count >= d->config.max_half_open)
        session_end(deadlines_oldest(&d->half_open));
    struct session *session = pool_take(&d->sessions, &handle);
    if (session && table_put(&d->table, hash_of(d, flow), handle.index) == 0) {
        session->dtls = d;
        session->index = handle.index;
        session->source = source;
        session->flow = *flow;
        return session;
    }
    if (session)
        pool_give(&d->sessions, handle.index);
    sources_give(&d->sources, source);
    return NULL;
}

static struct session *session_new(struct dtls *d, const struct flow *flow, const struct hello *hello, struct view in)
{
    struct session *session = session_place(d, flow);
    if (!session)
        return NULL;
    d->half_open_count++;
    deadline_set(&d->half_open, &session->deadline, session, d->now);
    if (begin(session, hello, in))
        return session;
    session_end(session);
    return NULL;
}

/* greet: a ClientHello: the session that it begins or belongs to, NULL if it is to come again with a cookie. */
static struct session *greet(struct dtls *d, struct session *session, const struct flow *flow, struct view in)
{
    struct hello hello;
    if (hello_open(&hello, in) != 0)
        return session;
    if (!cookie_is_good(d, flow, &hello, d->now)) {
        ask_for_cookie(d, flow, &hello, d->now);
        return NULL;
    }
    if (session && memcmp(session->random, hello.random, HELLO_RANDOM_LEN) == 0)
        return session; /* sent again */
    if (session)
        session_end(session);
    return session_new(d, flow, &hello, in);
}

/* is_over: what OpenSSL's last result means: there is no more for now, or there never will be. */
static bool is_over(const struct session *session, int result)
{
    const int error = SSL_get_error(session->handshake->ssl, result);
    ERR_clear_error();
    return error != SSL_ERROR_WANT_READ;
}

/* overhead: what the session's suite adds to a record: RFC 5288 section 3 has a nonce and a tag, RFC 7905 a tag alone. */
static size_t overhead(const struct session *session)
{
    const SSL_CIPHER *suite = SSL_get_pending_cipher(session->handshake->ssl);
    return suite && SSL_CIPHER_get_cipher_nid(suite) == NID_chacha20_poly1305 ? 16 : 8 + 16;
}

/* is_stunted: a record that claims to be encrypted and is shorter than that makes it. Anybody can send one, and OpenSSL gives up the
 * session over it, where RFC 6347 section 4.1.2.7 wants it dropped. */
static bool is_stunted(const struct session *session, struct view in)
{
    while (in.len >= RECORD_HEADER_LEN) {
        const size_t length = get_u16(in.at + RECORD_HEADER_LEN - 2);
        if (get_u16(in.at + 3) != 0 && length < overhead(session))
            return true;
        in = view_from(in, RECORD_HEADER_LEN);
        in = view_from(in, length < in.len ? length : in.len);
    }
    return false;
}

static bool establish(struct session *session)
{
    const SSL *ssl = session->handshake->ssl;
    if (!records_begin(session->records, session->dtls->config.crypto, session->handshake))
        return false;
    not_half_open(session);
    session->established = true;
    session->sni = tls_sni(ssl);
    if (session->sni)
        session->flow.sni = session->sni;
    session->flow.alpn = tls_alpn(ssl);
    return true;
}

static void give(struct session *session, size_t len)
{
    struct dtls *d = session->dtls;
    session->known = true;
    d->config.datagram(d->config.ctx, &session->flow, (struct packet){.at = d->plain + ENGINE_HEADROOM, .len = len});
}

/* let_go: the client has sent data, so it has all that OpenSSL would have to send again. Whatever OpenSSL sent has its numbers. */
static void let_go(struct session *session)
{
    if (!session->handshake)
        return;
    session->records->out.sequence = session->handshake->secrets.next_out;
    handshake_free(session->handshake);
    session->handshake = NULL;
    session->dtls->shaken++;
}

static void not_idle(struct session *session)
{
    if (!session->kept)
        deadline_set(&session->dtls->idle, &session->deadline, session, session->dtls->now);
}

/* shake: with OpenSSL; of an established session when the client repeats its last flight, or data overtook it. False when the session is
 * over. */
static bool shake(struct session *session, struct view in)
{
    bool heard = false;
    int got;
    if (is_stunted(session, in) || !rouse(session))
        return true; /* as if it had been lost */
    SSL *ssl = session->handshake->ssl;
    session->handshake->pipe.in = in;
    if (!session->established) {
        const int result = SSL_do_handshake(ssl);
        if (result != 1)
            return !is_over(session, result);
        if (!establish(session))
            return false;
    }
    not_idle(session);
    for (; (got = SSL_read(ssl, session->dtls->plain + ENGINE_HEADROOM, DTLS_MAX)) > 0; heard = true)
        give(session, (size_t)got);
    const bool over = is_over(session, got);
    if (heard)
        let_go(session);
    rest(session);
    return !over;
}

/* hear: all that a datagram holds of data; whether there was any, or the end. */
static enum record_found hear(struct session *session, struct view in)
{
    struct dtls *d = session->dtls;
    enum record_found found, all = RECORD_NONE;
    do {
        struct slab data = slab_over(d->plain + ENGINE_HEADROOM, DTLS_MAX);
        found = records_next(session->records, d->config.crypto, &in, &data);
        if (found == RECORD_DATA) {
            let_go(session);
            not_idle(session);
            give(session, data.len);
        }
        all = found == RECORD_NONE ? all : found;
    } while (found == RECORD_DATA);
    return all;
}

/* session_receive: false when the session is over. */
static bool session_receive(struct session *session, struct view in)
{
    ERR_clear_error();
    const enum record_found found = session->established ? hear(session, in) : RECORD_NONE;
    return found == RECORD_NONE && session->handshake ? shake(session, in) : found != RECORD_CLOSED;
}

void dtls_receive(struct dtls *d, const struct flow *received, struct view in, msec_t now)
{
    const struct flow flow = flow_of(received);
    d->now = now;
    struct session *session = greet(d, find(d, &flow), &flow, in);
    if (!session)
        return;
    session->flow.mark = received->mark;
    if (!session_receive(session, in))
        session_end(session);
    else if (session->handshake)
        session->handshake->pipe.in = view_of(NULL, 0);
}

bool dtls_send(struct dtls *d, const struct flow *to, struct view bytes)
{
    const struct flow flow = flow_of(to);
    struct session *session = find(d, &flow);
    if (!session || !session->established || bytes.len == 0 || bytes.len > DTLS_MAX)
        return false;
    if (!session->handshake)
        return send_out(session, view_of(d->sealed, records_datagram(session->records, d->config.crypto, bytes, d->sealed)));
    ERR_clear_error();
    return rouse(session) && SSL_write(session->handshake->ssl, bytes.at, (int)bytes.len) == (int)bytes.len;
}

void dtls_close(struct dtls *d, const struct flow *of)
{
    const struct flow flow = flow_of(of);
    struct session *session = find(d, &flow);
    if (session)
        session_end(session);
}

void dtls_keep(struct dtls *d, const struct flow *of, bool keep)
{
    const struct flow flow = flow_of(of);
    struct session *session = find(d, &flow);
    if (!session || !session->established)
        return;
    session->kept = keep;
    if (keep)
        deadline_clear(&session->deadline);
    else
        deadline_set(&d->idle, &session->deadline, session, d->now);
}

void dtls_tick(struct dtls *d, msec_t now)
{
    struct session *session;
    d->now = now;
    while ((session = deadlines_due(&d->half_open, now)) || (session = deadlines_due(&d->idle, now)))
        session_end(session);
    for (struct deadline *at = deadlines_after(&d->half_open, NULL), *next; at; at = next) {
        next = deadlines_after(&d->half_open, at);
        session = at->owner;
        ERR_clear_error();
        if (DTLSv1_handle_timeout(session->handshake->ssl) < 0)
            session_end(session);
    }
}

uint64_t dtls_shaken(const struct dtls *d)
{
    return d->shaken;
}

uint32_t dtls_sessions(const struct dtls *d)
{
    return d->sessions.live;
}
