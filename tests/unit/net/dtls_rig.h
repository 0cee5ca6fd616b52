/* dtls_rig.h: a DTLS server and clients of OpenSSL's joined by queues of datagrams in memory, on a clock that only the test moves. */
#ifndef RELAY_TESTS_DTLS_RIG_H
#define RELAY_TESTS_DTLS_RIG_H

#include "base/crypto.h"
#include "certificate.h"
#include "loopback.h"
#include "net/dtls.h"
#include "net/dtls_hello.h"
#include "net/tls_pipe.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <sys/time.h>

#define QUEUE_MAX 64
#define CLIENTS_MAX 128

struct datagram {
    size_t len;
    uint8_t bytes[2048];
};

struct queue {
    unsigned count, next;
    struct datagram items[QUEUE_MAX];
};

struct client {
    struct rig *rig;
    struct flow flow;
    SSL_CTX *ctx;
    SSL *ssl;
    struct tls_pipe pipe;
    struct queue inbox, outbox;
    bool established, failed;
    size_t got;
    uint8_t back[2048];
};

struct rig {
    struct tls *tls;
    struct crypto *crypto;
    struct dtls *dtls;
    BIO_METHOD *method;
    struct client *clients[CLIENTS_MAX];
    unsigned client_count;
    unsigned packets, drop, doubled, longest; /* of all packets: count; which is lost (from 1); whether all come twice; the longest one */
    unsigned datagrams, closed, transmitted, transmitted_bytes;
    bool echo, keep;
    struct flow last;
    char sni[64], alpn[64];
    uint8_t log[2048];
    size_t log_len;
};

/* the clock of OpenSSL's retransmission and ours: libssl finds this gettimeofday before the C library's */
static msec_t clock_ms = 1000000000;
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    *now = (struct timeval){.tv_sec = clock_ms / 1000, .tv_usec = clock_ms % 1000 * 1000};
    return 0;
}

static inline void enqueue(struct rig *rig, struct queue *queue, struct view bytes)
{
    if (bytes.len > rig->longest)
        rig->longest = (unsigned)bytes.len;
    if (++rig->packets == rig->drop)
        return;
    for (unsigned i = 0; i < (rig->doubled ? 2 : 1); i++) {
        CHECK(queue->count < QUEUE_MAX && bytes.len <= sizeof queue->items[0].bytes);
        struct datagram *item = &queue->items[queue->count++];
        item->len = bytes.len;
        memcpy(item->bytes, bytes.at, bytes.len);
    }
}

static inline struct view dequeue(struct queue *queue)
{
    if (queue->next == queue->count) {
        queue->next = queue->count = 0;
        return view_of(NULL, 0);
    }
    const struct datagram *item = &queue->items[queue->next++];
    return view_of(item->bytes, item->len);
}

static inline void rig_transmit(void *ctx, const struct flow *flow, struct view bytes)
{
    struct rig *rig = ctx;
    CHECK_INT(flow->transport, TRANSPORT_DTLS);
    CHECK_INT(flow->link, 77);
    rig->transmitted++;
    rig->transmitted_bytes += (unsigned)bytes.len;
    for (unsigned i = rig->client_count; i-- > 0;)
        if (rig->clients[i] && addr_equal(&rig->clients[i]->flow.client, &flow->client)) {
            enqueue(rig, &rig->clients[i]->inbox, bytes);
            return;
        }
}

static inline void rig_datagram(void *ctx, const struct flow *flow, struct packet packet)
{
    struct rig *rig = ctx;
    rig->datagrams++;
    rig->last = *flow;
    snprintf(rig->sni, sizeof rig->sni, "%s", flow->sni);
    snprintf(rig->alpn, sizeof rig->alpn, "%s", flow->alpn);
    rig->log_len = packet.len < sizeof rig->log ? packet.len : sizeof rig->log;
    memcpy(rig->log, packet.at, rig->log_len);
    if (rig->echo)
        CHECK(dtls_send(rig->dtls, flow, view_of(packet.at, packet.len)));
    if (rig->keep)
        dtls_keep(rig->dtls, flow, true);
    memset(packet.at - ENGINE_HEADROOM, 0xEE, ENGINE_HEADROOM);
    memset(packet.at + packet.len, 0xEE, ENGINE_TAILROOM);
}

static inline void rig_closed(void *ctx, const struct flow *flow)
{
    struct rig *rig = ctx;
    rig->closed++;
    dtls_keep(rig->dtls, flow, false); /* as an engine does whose allocation ends */
    CHECK(!dtls_send(rig->dtls, flow, view_text("late")));
}

static inline struct rig *rig_limited(uint32_t max_sessions, uint32_t max_half_open, uint32_t max_per_source)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->tls = tls_for_test();
    rig->crypto = crypto_new();
    rig->method = tls_pipe_method();
    rig->echo = true;
    rig->dtls = dtls_new(&(struct dtls_config){.tls = rig->tls,
                                               .hash_key = {1, 2},
                                               .cookie_key = "a key for tests",
                                               .crypto = rig->crypto,
                                               .max_sessions = max_sessions,
                                               .max_half_open = max_half_open,
                                               .max_per_source = max_per_source,
                                               .handshake_s = 10,
                                               .idle_s = 60,
                                               .ctx = rig,
                                               .transmit = rig_transmit,
                                               .datagram = rig_datagram,
                                               .closed = rig_closed});
    CHECK(rig->dtls && rig->method);
    return rig;
}

static inline struct rig *rig_new(uint32_t max_sessions, uint32_t max_half_open)
{
    return rig_limited(max_sessions, max_half_open, 0);
}

static inline bool client_out(void *owner, struct view bytes)
{
    struct client *client = owner;
    enqueue(client->rig, &client->outbox, bytes);
    return true;
}

/* client_new: on port `port`; two of one port are one 5-tuple, and the newer gets what is sent to it. */
static inline struct client *client_new(struct rig *rig, uint16_t port)
{
    struct client *client = calloc(1, sizeof *client);
    CHECK(rig->client_count < CLIENTS_MAX);
    rig->clients[rig->client_count++] = client;
    client->rig = rig;
    client->flow =
        (struct flow){.client = loopback(2, port), .server = loopback(1, 3478), .transport = TRANSPORT_UDP, .listener = 3, .link = 77};
    client->flow.sni = client->flow.alpn = "";
    client->ctx = SSL_CTX_new(DTLS_client_method());
    SSL_CTX_set_options(client->ctx, SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_security_level(client->ctx, 0);
    client->ssl = SSL_new(client->ctx);
    client->pipe = (struct tls_pipe){.owner = client, .out = client_out, .datagrams = true};
    BIO *bio = BIO_new(rig->method);
    BIO_set_data(bio, &client->pipe);
    SSL_set_bio(client->ssl, bio, bio);
    SSL_set_mtu(client->ssl, 1200);
    SSL_set_connect_state(client->ssl);
    return client;
}

static inline void client_free(struct client *client)
{
    for (unsigned i = 0; i < client->rig->client_count; i++)
        if (client->rig->clients[i] == client)
            client->rig->clients[i] = NULL;
    SSL_free(client->ssl);
    SSL_CTX_free(client->ctx);
    ERR_clear_error();
    free(client);
}

static inline void rig_free(struct rig *rig)
{
    dtls_free(rig->dtls);
    for (unsigned i = 0; i < rig->client_count; i++)
        if (rig->clients[i])
            client_free(rig->clients[i]);
    BIO_meth_free(rig->method);
    crypto_free(rig->crypto);
    tls_free(rig->tls);
    free(rig);
}

/* client_run: let the client read what has come and say what it has to say. */
static inline void client_run(struct client *client, struct view in)
{
    client->pipe.in = in;
    ERR_clear_error();
    if (!client->established) {
        const int result = SSL_do_handshake(client->ssl);
        client->established = result == 1;
        client->failed = result != 1 && SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ;
        if (result != 1)
            return;
    }
    int got;
    while ((got = SSL_read(client->ssl, client->back, sizeof client->back)) > 0)
        client->got = (size_t)got;
    ERR_clear_error();
}

/* rig_pump: carry datagrams until there are none under way; false if there were none at all. */
static inline bool rig_pump(struct rig *rig)
{
    bool moved = false;
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < rig->client_count; i++) {
            struct client *client = rig->clients[i];
            struct view in;
            while (client && (in = dequeue(&client->outbox)).len) {
                dtls_receive(rig->dtls, &client->flow, in, clock_ms);
                again = true;
            }
            while (client && (in = dequeue(&client->inbox)).len) {
                client_run(client, in);
                again = true;
            }
        }
        moved |= again;
    }
    return moved;
}

/* rig_wait: time goes by in steps of 100 ms, as the worker ticks. */
static inline void rig_wait(struct rig *rig, msec_t ms)
{
    for (const msec_t end = clock_ms + ms; clock_ms < end;) {
        clock_ms += 100;
        dtls_tick(rig->dtls, clock_ms);
        for (unsigned i = 0; i < rig->client_count; i++)
            if (rig->clients[i] && !rig->clients[i]->failed)
                DTLSv1_handle_timeout(rig->clients[i]->ssl);
        rig_pump(rig);
    }
}

/* shake: the whole handshake; true if it came to be. */
static inline bool shake(struct client *client)
{
    client_run(client, view_of(NULL, 0));
    rig_pump(client->rig);
    for (int seconds = 0; seconds < 8 && !client->established && !client->failed; seconds++)
        rig_wait(client->rig, 1000);
    return client->established;
}

static inline void say(struct client *client, const char *text)
{
    CHECK(SSL_write(client->ssl, text, (int)strlen(text)) == (int)strlen(text));
    rig_pump(client->rig);
}

static inline void round_trip(struct client *client, const char *text)
{
    client->got = 0;
    say(client, text);
    CHECK_INT(client->got, strlen(text));
    CHECK_BYTES(client->back, text, strlen(text));
}

/* next_of: the datagram that the client says next, taken away from the queue. */
static inline struct datagram next_of(struct client *client)
{
    const struct view bytes = dequeue(&client->outbox);
    struct datagram datagram = {.len = bytes.len};
    CHECK(bytes.len > 0);
    memcpy(datagram.bytes, bytes.at, bytes.len);
    return datagram;
}

#endif
