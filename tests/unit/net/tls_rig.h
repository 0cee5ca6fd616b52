/* tls_rig.h: OpenSSL as a client of a rig that speaks TLS. */
#ifndef RELAY_TESTS_TLS_RIG_H
#define RELAY_TESTS_TLS_RIG_H

#include "certificate.h"
#include "stream_rig.h"

#include <openssl/err.h>

struct client {
    struct rig *rig;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd, result;
    bool established, failed;
    size_t wanted, got;
    uint8_t back[4096];
};

static inline struct rig *rig_tls(void)
{
    return rig_new((struct streams_config){.plain = true, .tls = tls_for_test()});
}

static inline void rig_tls_free(struct rig *rig)
{
    struct tls *tls = rig->streams->config.tls;
    rig_free(rig);
    tls_free(tls);
}

static inline struct client *client_new(struct rig *rig)
{
    struct client *client = calloc(1, sizeof *client);
    client->rig = rig;
    client->fd = rig_connect(rig);
    client->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(client->ctx, 0);
    client->ssl = SSL_new(client->ctx);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_connect_state(client->ssl);
    return client;
}

static inline void client_free(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->ctx);
    close(client->fd);
    ERR_clear_error();
    free(client);
}

/* is_shaken: the client's handshake is over, one way or the other. */
static inline bool is_shaken(void *ctx)
{
    struct client *client = ctx;
    if (client->established || client->failed)
        return true;
    ERR_clear_error();
    const int result = SSL_do_handshake(client->ssl);
    const int error = SSL_get_error(client->ssl, result);
    client->established = result == 1;
    client->failed = result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    return client->established || client->failed;
}

/* has_read: `wanted` bytes have come back, or the connection has ended. */
static inline bool has_read(void *ctx)
{
    struct client *client = ctx;
    while (client->got < client->wanted) {
        ERR_clear_error();
        const int got = SSL_read(client->ssl, client->back + client->got, (int)(client->wanted - client->got));
        if (got <= 0) {
            const int error = SSL_get_error(client->ssl, got);
            client->failed = error != SSL_ERROR_WANT_READ;
            return client->failed;
        }
        client->got += (size_t)got;
    }
    return true;
}

static inline bool shake(struct client *client)
{
    CHECK(loop_until(client->rig->loop, is_shaken, client));
    return client->established;
}

static inline void round_trip(struct client *client)
{
    uint8_t bytes[BINDING_LEN];
    binding(bytes, 3);
    CHECK(SSL_write(client->ssl, bytes, sizeof bytes) == sizeof bytes);
    client->wanted = sizeof bytes;
    client->got = 0;
    CHECK(loop_until(client->rig->loop, has_read, client));
    CHECK_INT(client->got, sizeof bytes);
    CHECK_BYTES(client->back, bytes, sizeof bytes);
}

#endif
