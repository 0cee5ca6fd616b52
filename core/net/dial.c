/* dial.c: a connected socket, and OpenSSL on it where the transport wants that. */
#include "net/dial.h"

#include "base/err.h"
#include "wire/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_MAX (2 * (FRAME_MAX + 4))
#define SEND_MS 2000
#define DATAGRAM_MTU 1400

struct dial {
    int fd;
    bool is_stream, is_connected, is_open;
    short wants; /* POLLIN, POLLOUT: until it is open */
    SSL *ssl;    /* NULL: plain */
    size_t start, end; /* of `in`: what came and was not handed out yet */
    uint8_t in[IN_MAX];
};

struct dial_trust {
    SSL_CTX *context;
};

/* ---- waiting ---- */

static bool wait_for(int fd, short events, msec_t until)
{
    struct pollfd at = {.fd = fd, .events = events};
    const msec_t left = until - clock_monotonic_ms();
    return poll(&at, 1, left > 0 ? (int)left : 0) > 0;
}

void dial_wait(const struct dial *a, const struct dial *b, msec_t timeout_ms)
{
    struct pollfd at[2] = {{.fd = a->fd, .events = POLLIN}, {.fd = b ? b->fd : -1, .events = POLLIN}};
    if ((a->ssl && SSL_pending(a->ssl)) || (b && b->ssl && SSL_pending(b->ssl)))
        return;
    poll(at, 2, timeout_ms > 0 ? (int)timeout_ms : 0);
}

/* ---- opening ---- */

static int say(char why[DIAL_WHY_MAX], int err, const char *text)
{
    snprintf(why, DIAL_WHY_MAX, "%s", text);
    return err;
}

static int open_socket(struct dial *dial, const struct dial_config *config, char why[DIAL_WHY_MAX])
{
    struct sockaddr_storage at, from;
    const socklen_t len = addr_to_sockaddr(&config->server, &at);
    const int on = 1;
    dial->fd = socket(at.ss_family, (dial->is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        return say(why, ERR_SYSTEM, strerror(errno));
    setsockopt(dial->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on); /* the port is chosen when the server is known: one address has more of them so */
    if (config->from.family && bind(dial->fd, (const struct sockaddr *)&from, addr_to_sockaddr(&config->from, &from)) != 0)
        return say(why, ERR_SYSTEM, strerror(errno));
    if (connect(dial->fd, (const struct sockaddr *)&at, len) != 0 && errno != EINPROGRESS)
        return say(why, ERR_SYSTEM, strerror(errno));
    if (dial->is_stream)
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    dial->is_connected = !dial->is_stream;
    dial->wants = POLLOUT;
    return 0;
}

static int say_tls(const struct dial *dial, char why[DIAL_WHY_MAX])
{
    const long verified = SSL_get_verify_result(dial->ssl);
    const unsigned long code = ERR_peek_last_error();
    if (verified != X509_V_OK)
        return say(why, ERR_DENIED, X509_verify_cert_error_string(verified));
    snprintf(why, DIAL_WHY_MAX, "the handshake failed: %s", code ? ERR_reason_error_string(code) : "the server closed it");
    return ERR_SYSTEM;
}

/* expect_name: an address or a host name. */
static bool expect_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct addr address;
    if (addr_parse_ip(view_text(name), &address) == 0)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static BIO *bio_of(const struct dial *dial, const struct dial_config *config)
{
    if (dial->is_stream)
        return BIO_new_socket(dial->fd, BIO_NOCLOSE);
    struct sockaddr_storage at;
    addr_to_sockaddr(&config->server, &at);
    BIO *bio = BIO_new_dgram(dial->fd, BIO_NOCLOSE);
    if (bio)
        BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &at);
    return bio;
}

struct dial_trust *dial_trust_new(enum dial_transport transport, bool trusts_everybody)
{
    struct dial_trust *trust = calloc(1, sizeof *trust);
    if (!trust)
        return NULL;
    trust->context = SSL_CTX_new(transport == DIAL_DTLS ? DTLS_client_method() : TLS_client_method());
    if (!trust->context || SSL_CTX_set_default_verify_paths(trust->context) != 1) {
        dial_trust_free(trust);
        return NULL;
    }
    SSL_CTX_set_verify(trust->context, trusts_everybody ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return trust;
}

void dial_trust_free(struct dial_trust *trust)
{
    if (trust)
        SSL_CTX_free(trust->context);
    free(trust);
}

static bool make_session(struct dial *dial, const struct dial_config *config, struct dial_trust *trust)
{
    dial->ssl = trust ? SSL_new(trust->context) : NULL;
    BIO *bio = dial->ssl ? bio_of(dial, config) : NULL;
    if (!bio)
        return false;
    SSL_set_bio(dial->ssl, bio, bio);
    SSL_set_connect_state(dial->ssl);
    SSL_set_mode(dial->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!dial->is_stream) {
        SSL_set_options(dial->ssl, SSL_OP_NO_QUERY_MTU);
        SSL_set_mtu(dial->ssl, DATAGRAM_MTU);
    }
    return expect_name(dial->ssl, config->name);
}

static int begin_session(struct dial *dial, const struct dial_config *config, char why[DIAL_WHY_MAX])
{
    struct dial_trust *own = config->trust ? NULL : dial_trust_new(config->transport, config->trusts_everybody);
    const bool made = make_session(dial, config, config->trust ? config->trust : own);
    dial_trust_free(own); /* the session keeps it */
    return made ? 0 : say(why, ERR_MEMORY, "out of memory");
}

int dial_begin(const struct dial_config *config, struct dial **out, char why[DIAL_WHY_MAX])
{
    struct dial *dial = calloc(1, sizeof *dial);
    *out = NULL;
    if (!dial)
        return say(why, ERR_MEMORY, "out of memory");
    dial->fd = -1;
    dial->is_stream = config->transport == DIAL_TCP || config->transport == DIAL_TLS;
    int err = open_socket(dial, config, why);
    if (!err && (config->transport == DIAL_TLS || config->transport == DIAL_DTLS))
        err = begin_session(dial, config, why);
    if (err)
        dial_close(dial);
    else
        *out = dial;
    return err;
}

/* connected: of a stream: ERR_PARTIAL: not yet. */
static int connected(struct dial *dial, char why[DIAL_WHY_MAX])
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!wait_for(dial->fd, POLLOUT, 0))
        return ERR_PARTIAL;
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    dial->is_connected = !error;
    return error ? say(why, ERR_SYSTEM, strerror(error)) : 0;
}

/* shake_hands: a lost datagram of DTLS is sent again by its own timer. */
static int shake_hands(struct dial *dial, char why[DIAL_WHY_MAX])
{
    ERR_clear_error();
    if (!dial->is_stream)
        DTLSv1_handle_timeout(dial->ssl);
    const int result = SSL_connect(dial->ssl), wants = result == 1 ? SSL_ERROR_NONE : SSL_get_error(dial->ssl, result);
    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE)
        return result == 1 ? 0 : say_tls(dial, why);
    dial->wants = wants == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return ERR_PARTIAL;
}

int dial_go_on(struct dial *dial, char why[DIAL_WHY_MAX])
{
    int err = dial->is_connected ? 0 : connected(dial, why);
    if (!err && dial->ssl && !dial->is_open)
        err = shake_hands(dial, why);
    if (!err) {
        dial->is_open = true;
        dial->wants = POLLIN;
    }
    return err;
}

int dial_fd(const struct dial *dial)
{
    return dial->fd;
}

short dial_wants(const struct dial *dial)
{
    return dial->wants;
}

/* turn_of: until when to wait: for DTLS no longer than its timer runs. */
static msec_t turn_of(const struct dial *dial, msec_t until)
{
    struct timeval lapse;
    if (!dial->ssl || dial->is_stream || !DTLSv1_get_timeout(dial->ssl, &lapse))
        return until;
    const msec_t turn = clock_monotonic_ms() + lapse.tv_sec * 1000 + lapse.tv_usec / 1000 + 1;
    return turn < until ? turn : until;
}

int dial_open(const struct dial_config *config, struct dial **out, char why[DIAL_WHY_MAX])
{
    const msec_t until = clock_monotonic_ms() + config->timeout_ms;
    struct dial *dial;
    int err = dial_begin(config, &dial, why);
    *out = NULL;
    if (err)
        return err;
    while ((err = dial_go_on(dial, why)) == ERR_PARTIAL && clock_monotonic_ms() < until)
        wait_for(dial->fd, dial->wants, turn_of(dial, until));
    if (err == ERR_PARTIAL)
        err = say(why, ERR_BUSY, dial->is_connected ? "no answer to the handshake in time" : "no answer to the connection in time");
    if (err)
        dial_close(dial);
    else
        *out = dial;
    return err;
}

void dial_close(struct dial *dial)
{
    if (!dial)
        return;
    if (dial->ssl && SSL_is_init_finished(dial->ssl))
        SSL_shutdown(dial->ssl);
    SSL_free(dial->ssl);
    if (dial->fd >= 0)
        close(dial->fd);
    free(dial);
}

struct addr dial_local(const struct dial *dial)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    getsockname(dial->fd, (struct sockaddr *)&at, &len);
    return addr_from_sockaddr(&at);
}

bool dial_is_stream(const struct dial *dial)
{
    return dial->is_stream;
}

/* ---- frames ---- */

/* A datagram that the system has no room for is lost, as on the way. */
ssize_t dial_put(struct dial *dial, struct view bytes)
{
    ssize_t put;
    if (dial->ssl) {
        ERR_clear_error();
        const int result = SSL_write(dial->ssl, bytes.at, (int)bytes.len);
        const int wants = result > 0 ? SSL_ERROR_NONE : SSL_get_error(dial->ssl, result);
        put = result > 0 ? result : wants == SSL_ERROR_WANT_WRITE || wants == SSL_ERROR_WANT_READ ? 0 : -1;
    } else {
        put = send(dial->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (put < 0)
            put = errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    if (put <= 0 && !dial->is_stream)
        return put < 0 && errno == ECONNREFUSED ? ERR_SYSTEM : (ssize_t)bytes.len;
    return put < 0 ? ERR_SYSTEM : put;
}

int dial_send(struct dial *dial, struct view frame)
{
    const msec_t until = clock_monotonic_ms() + SEND_MS;
    while (frame.len) {
        const ssize_t put = dial_put(dial, frame);
        if (put < 0)
            return ERR_SYSTEM;
        frame = view_from(frame, (size_t)put);
        if (put == 0 && !wait_for(dial->fd, POLLOUT, until))
            return ERR_BUSY;
    }
    return 0;
}

int dial_fill(struct dial *dial)
{
    memmove(dial->in, dial->in + dial->start, dial->end - dial->start);
    dial->end -= dial->start;
    dial->start = 0;
    uint8_t *at = dial->in + dial->end;
    const size_t room = sizeof dial->in - dial->end;
    ssize_t got;
    if (dial->ssl) {
        ERR_clear_error();
        const int result = SSL_read(dial->ssl, at, (int)room);
        const int wants = result > 0 ? SSL_ERROR_NONE : SSL_get_error(dial->ssl, result);
        if (wants == SSL_ERROR_WANT_READ || wants == SSL_ERROR_WANT_WRITE)
            return ERR_NOT_FOUND;
        got = result;
    } else {
        got = recv(dial->fd, at, room, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return ERR_NOT_FOUND;
    }
    if (got <= 0)
        return got == 0 && !dial->is_stream && !dial->ssl ? ERR_NOT_FOUND : ERR_SYSTEM;
    dial->end += (size_t)got;
    return 0;
}

int dial_take(struct dial *dial, struct view *frame)
{
    const struct view in = view_of(dial->in + dial->start, dial->end - dial->start);
    size_t used = in.len;
    int err = in.len ? 0 : ERR_PARTIAL;
    *frame = in;
    if (dial->is_stream && in.len)
        err = frame_cut(in, frame, &used);
    if (!err)
        dial->start += used;
    return err;
}

int dial_receive(struct dial *dial, msec_t timeout_ms, struct view *frame)
{
    const msec_t until = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        int err = dial_take(dial, frame);
        if (err != ERR_PARTIAL)
            return err;
        err = dial_fill(dial);
        if (err == ERR_NOT_FOUND && (timeout_ms <= 0 || !wait_for(dial->fd, POLLIN, until)))
            return ERR_NOT_FOUND;
        if (err == ERR_SYSTEM)
            return ERR_SYSTEM;
    }
}
