/* tls.c: certificates and contexts. */
#include "net/tls_pipe.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The suites of TLS 1.3 are all AEAD; these are those of 1.2 that are, with ephemeral keys. */
#define SUITES                                                                                                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                 \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct tls {
    SSL_CTX *stream, *datagram;
    BIO_METHOD *pipe;
};

/* protocols: RFC 7443, as ALPN has them on the wire. */
static const unsigned char protocols[] = "\x09stun.turn\x12stun.nat-discovery";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in, unsigned int in_len, void *arg)
{
    unsigned char *chosen = NULL;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, len, protocols, sizeof protocols - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* accept_name: any; without a callback OpenSSL forgets the name when a session is resumed. */
static int accept_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl, (void)alert, (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

/* no_passphrase: a key that needs one is refused; nobody is there to type it. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

/* cookie_is_verified: dtls.c has looked at the ClientHello before OpenSSL was shown it. */
static int cookie_is_verified(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    const struct tls_pipe *pipe = SSL_get_app_data(ssl);
    return len > 0 && view_equal(view_of(cookie, len), pipe->cookie);
}

static bool prepare(SSL_CTX *ctx, int oldest)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need no memory here */
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
    SSL_CTX_set_cookie_verify_cb(ctx, cookie_is_verified);
    return SSL_CTX_set_min_proto_version(ctx, oldest) && SSL_CTX_set_cipher_list(ctx, SUITES);
}

static void explain(char *error, size_t cap, const char *path)
{
    const unsigned long code = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    snprintf(error, cap, "%s: %s", path, reason ? reason : "unusable");
    ERR_clear_error();
}

/* load: the key is asked for after the certificate, so that a mismatch is told of the key. */
static bool load(SSL_CTX *ctx, const struct tls_config *config, char *error, size_t cap)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, config->cert) != 1) {
        explain(error, cap, config->cert);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, config->pkey, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        explain(error, cap, config->pkey);
        return false;
    }
    return true;
}

struct tls *tls_new(const struct tls_config *config, char *error, size_t error_cap)
{
    struct tls *tls = calloc(1, sizeof *tls);
    snprintf(error, error_cap, "out of memory");
    if (!tls)
        return NULL;
    tls->pipe = tls_pipe_method();
    tls->stream = SSL_CTX_new(TLS_server_method());
    tls->datagram = SSL_CTX_new(DTLS_server_method());
    if (tls->pipe && tls->stream && tls->datagram && prepare(tls->stream, TLS1_2_VERSION) && prepare(tls->datagram, DTLS1_2_VERSION) &&
        load(tls->stream, config, error, error_cap) && load(tls->datagram, config, error, error_cap))
        return tls;
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->stream);
    SSL_CTX_free(tls->datagram);
    BIO_meth_free(tls->pipe);
    free(tls);
}

SSL *tls_open(const struct tls *tls, struct tls_pipe *pipe)
{
    SSL *ssl = SSL_new(pipe->datagrams ? tls->datagram : tls->stream);
    BIO *bio = BIO_new(tls->pipe);
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, pipe);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, pipe);
    SSL_set_accept_state(ssl);
    return ssl;
}

void tls_move(SSL *ssl, struct tls_pipe *pipe)
{
    BIO_set_data(SSL_get_rbio(ssl), pipe);
    SSL_set_app_data(ssl, pipe);
}

char *tls_sni(const SSL *ssl)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return name ? strdup(name) : NULL;
}

const char *tls_alpn(const SSL *ssl)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    if (len == 0)
        return "";
    return len == strlen("stun.turn") ? "stun.turn" : "stun.nat-discovery";
}
