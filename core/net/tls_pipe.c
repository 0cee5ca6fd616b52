/* tls_pipe.c: a BIO over memory. OpenSSL 3.0 has none that keeps the borders of datagrams. */
#include "net/tls_pipe.h"

#include <string.h>

static int pipe_read(BIO *bio, char *out, int room)
{
    struct tls_pipe *pipe = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (pipe->in.len == 0 || room <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const struct view part = view_cut(pipe->in, (size_t)room);
    memcpy(out, part.at, part.len);
    pipe->in = pipe->datagrams ? view_of(NULL, 0) : view_from(pipe->in, part.len);
    return (int)part.len;
}

static int pipe_write(BIO *bio, const char *in, int len)
{
    const struct tls_pipe *pipe = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return len > 0 && pipe->out(pipe->owner, view_of(in, (size_t)len)) ? len : -1;
}

/* pipe_control: all is flushed always; of timeouts dtls_tick asks; what else OpenSSL wants to know of a socket is not known. */
static long pipe_control(BIO *bio, int command, long number, void *at)
{
    (void)bio, (void)number, (void)at;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT;
}

static int pipe_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_pipe_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pipe");
    if (method && BIO_meth_set_read(method, pipe_read) && BIO_meth_set_write(method, pipe_write) &&
        BIO_meth_set_ctrl(method, pipe_control) && BIO_meth_set_create(method, pipe_create))
        return method;
    BIO_meth_free(method);
    return NULL;
}
