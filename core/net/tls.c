/* tls.c: contexts, and the certificates of the moment. */
#include "base/crypto.h"
#include "base/err.h"
#include "net/certificate.h"
#include "net/tls_pipe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The suites of TLS 1.3 are all AEAD; these are those of 1.2 that are, with ephemeral keys. Of the two that RFC 8489 section 6.2.3 asks
 * for, the one with finite-field Diffie-Hellman is left out: BCP 195, which it also asks for, has since advised against it (RFC 9325
 * section 4.1), and it lets strangers cause much arithmetic. */
#define SUITES                                                                                                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                 \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* struct contexts: each has keys for tickets of its own, made when it is made. */
struct contexts {
    SSL_CTX *stream, *datagram;
};

struct tls {
    BIO_METHOD *pipe;
    pthread_rwlock_t lock; /* of what follows; readers: handshakes, for as long as taking or choosing one takes */
    struct contexts contexts;
    struct certificates *certificates;
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

/* show_certificates: OpenSSL asks when it knows the client's name and signature algorithms, but not for sessions that are resumed. */
static int show_certificates(SSL *ssl, void *arg)
{
    struct tls *tls = arg;
    pthread_rwlock_rdlock(&tls->lock);
    const bool shown = certificates_show(tls->certificates, ssl);
    pthread_rwlock_unlock(&tls->lock);
    return shown;
}

/* cookie_is_verified: dtls.c has looked at the ClientHello before OpenSSL was shown it. */
static int cookie_is_verified(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    const struct handshake *handshake = SSL_get_app_data(ssl);
    return len > 0 && view_equal(view_of(cookie, len), handshake->pipe.cookie);
}

/* learn_secret: of OpenSSL's lines for those who debug: LABEL CLIENT-RANDOM SECRET, the last two in hex. */
static void learn_secret(const SSL *ssl, const char *line)
{
    struct tls_secrets *secrets = &((struct handshake *)SSL_get_app_data(ssl))->secrets;
    const struct view secret = view_text(strrchr(line, ' ') + 1);
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0 && crypto_hex_decode(secret, secrets->in, sizeof secrets->in) == 0)
        secrets->next_in = 0;
    if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0 && crypto_hex_decode(secret, secrets->out, sizeof secrets->out) == 0)
        secrets->next_out = 0;
}

/* count_record: DTLS says the number in each header; of TLS they are counted since the keys changed, which in 1.2 is behind
 * ChangeCipherSpec. */
static void count_record(int is_write, int version, int type, const void *header, size_t len, SSL *ssl, void *arg)
{
    struct handshake *handshake = SSL_get_app_data(ssl);
    struct tls_secrets *secrets = &handshake->secrets;
    uint64_t *next = is_write ? &secrets->next_out : &secrets->next_in;
    (void)version, (void)len, (void)arg;
    if (type != SSL3_RT_HEADER)
        return;
    if (!handshake->pipe.datagrams)
        *next = *(const uint8_t *)header == SSL3_RT_CHANGE_CIPHER_SPEC ? 0 : *next + 1;
    else if (is_write && get_u64((const uint8_t *)header + 3) >= *next)
        *next = get_u64((const uint8_t *)header + 3) + 1;
}

static bool prepare(struct tls *tls, SSL_CTX *ctx, int oldest)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need no memory here */
    SSL_CTX_set_cert_cb(ctx, show_certificates, tls);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
    SSL_CTX_set_cookie_verify_cb(ctx, cookie_is_verified);
    SSL_CTX_set_keylog_callback(ctx, learn_secret);
    SSL_CTX_set_msg_callback(ctx, count_record);
    return SSL_CTX_set_min_proto_version(ctx, oldest) && SSL_CTX_set_cipher_list(ctx, SUITES);
}

static void contexts_close(struct contexts *contexts)
{
    SSL_CTX_free(contexts->stream);
    SSL_CTX_free(contexts->datagram);
}

static bool contexts_init(struct contexts *contexts, struct tls *tls)
{
    *contexts = (struct contexts){SSL_CTX_new(TLS_server_method()), SSL_CTX_new(DTLS_server_method())};
    if (contexts->stream && contexts->datagram && prepare(tls, contexts->stream, TLS1_2_VERSION) &&
        prepare(tls, contexts->datagram, DTLS1_2_VERSION))
        return true;
    contexts_close(contexts);
    return false;
}

struct tls *tls_new(const struct tls_config *config, struct tls_fault *fault)
{
    struct tls *tls = calloc(1, sizeof *tls);
    *fault = (struct tls_fault){.text = "out of memory"};
    if (!tls)
        return NULL;
    pthread_rwlock_init(&tls->lock, NULL);
    tls->pipe = tls_pipe_method();
    if (tls->pipe && tls_load(tls, config, fault) == 0)
        return tls;
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    contexts_close(&tls->contexts);
    BIO_meth_free(tls->pipe);
    certificates_free(tls->certificates);
    pthread_rwlock_destroy(&tls->lock);
    free(tls);
}

int tls_renew(struct tls *tls)
{
    struct contexts old, contexts;
    if (!contexts_init(&contexts, tls))
        return ERR_MEMORY;
    pthread_rwlock_wrlock(&tls->lock);
    old = tls->contexts;
    tls->contexts = contexts;
    pthread_rwlock_unlock(&tls->lock);
    contexts_close(&old); /* sessions hold theirs */
    return 0;
}

int tls_load(struct tls *tls, const struct tls_config *config, struct tls_fault *fault)
{
    struct certificates *old, *set = certificates_new(config, fault);
    if (!set || tls_renew(tls) != 0) {
        certificates_free(set);
        return ERR_BAD;
    }
    pthread_rwlock_wrlock(&tls->lock);
    old = tls->certificates;
    tls->certificates = set;
    pthread_rwlock_unlock(&tls->lock);
    certificates_free(old);
    return 0;
}

bool tls_doubt(const struct tls *tls, size_t pair, int64_t unix_s, char out[TLS_TEXT_MAX])
{
    return certificates_doubt(tls->certificates, pair, unix_s, out);
}

int64_t tls_expiry(const struct tls *tls, size_t pair)
{
    return certificates_expiry(tls->certificates, pair);
}

static SSL *session_over(struct tls *tls, struct tls_pipe *pipe)
{
    pthread_rwlock_rdlock(&tls->lock);
    SSL *ssl = SSL_new(pipe->datagrams ? tls->contexts.datagram : tls->contexts.stream);
    pthread_rwlock_unlock(&tls->lock);
    BIO *bio = BIO_new(tls->pipe);
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, pipe);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

struct handshake *handshake_new(struct tls *tls, const struct tls_pipe *pipe)
{
    struct handshake *handshake = calloc(1, sizeof *handshake);
    if (!handshake)
        return NULL;
    handshake->pipe = *pipe;
    handshake->ssl = session_over(tls, &handshake->pipe);
    if (!handshake->ssl) {
        free(handshake);
        return NULL;
    }
    SSL_set_app_data(handshake->ssl, handshake);
    return handshake;
}

void handshake_free(struct handshake *handshake)
{
    if (!handshake)
        return;
    SSL_free(handshake->ssl);
    crypto_wipe(handshake, sizeof *handshake);
    free(handshake);
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
