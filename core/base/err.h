/* err.h: the errors that functions of the core return: 0, or one of these negative values.
 *
 * Input errors are values, never asserts. What a client sees is a STUN code (wire/stun.h), not one of these.
 */
#ifndef RELAY_BASE_ERR_H
#define RELAY_BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_PARTIAL = -1,   /* more bytes are needed to tell */
    ERR_BAD = -2,       /* malformed, for good */
    ERR_MEMORY = -3,    /* an allocation failed or a fixed-size table is full */
    ERR_NOT_FOUND = -4, /* no such thing */
    ERR_EXISTS = -5,    /* already there */
    ERR_RANGE = -6,     /* a number outside its range */
    ERR_SYSTEM = -7,    /* the operating system said no; errno tells why */
    ERR_BUSY = -8,      /* try again later: a queue is full, a port is taken */
    ERR_DENIED = -9,    /* not allowed */
};

/* err_text: one short English phrase for `err`; static, never NULL. */
const char *err_text(int err);

#endif
