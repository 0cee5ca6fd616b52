/* outbox.c: a queue of chunks, written with as few calls as possible. */
#include "net/outbox.h"

#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define CHUNK_BYTES OUTBOX_ROW_MAX /* with its header less than a page */
#define SPARE_MAX 64
#define WRITE_PARTS 32

struct chunk {
    struct chunk *next;
    uint32_t from, to; /* what of `bytes` waits */
    uint8_t bytes[CHUNK_BYTES];
};

static struct chunk *chunk_take(struct chunks *spare)
{
    struct chunk *chunk = spare->first;
    if (chunk) {
        spare->first = chunk->next;
        spare->count--;
    } else {
        chunk = malloc(sizeof *chunk);
    }
    if (chunk) {
        chunk->next = NULL;
        chunk->from = chunk->to = 0;
    }
    return chunk;
}

static void chunk_give(struct chunks *spare, struct chunk *chunk)
{
    if (spare->count >= SPARE_MAX) {
        free(chunk);
        return;
    }
    chunk->next = spare->first;
    spare->first = chunk;
    spare->count++;
}

void chunks_close(struct chunks *spare)
{
    while (spare->first) {
        struct chunk *chunk = spare->first;
        spare->first = chunk->next;
        free(chunk);
    }
    spare->count = 0;
}

static bool grow(struct outbox *box, struct chunks *spare)
{
    struct chunk *chunk = chunk_take(spare);
    if (!chunk)
        return false;
    if (box->last)
        box->last->next = chunk;
    else
        box->first = chunk;
    box->last = chunk;
    return true;
}

bool outbox_put(struct outbox *box, struct chunks *spare, struct view bytes)
{
    while (bytes.len) {
        if ((!box->last || box->last->to == CHUNK_BYTES) && !grow(box, spare))
            return false;
        struct chunk *chunk = box->last;
        const struct view part = view_cut(bytes, CHUNK_BYTES - chunk->to);
        memcpy(chunk->bytes + chunk->to, part.at, part.len);
        chunk->to += (uint32_t)part.len;
        box->len += part.len;
        bytes = view_from(bytes, part.len);
    }
    return true;
}

uint8_t *outbox_room(struct outbox *box, struct chunks *spare, size_t least, size_t *room)
{
    assert(least <= CHUNK_BYTES);
    if ((!box->last || CHUNK_BYTES - box->last->to < least) && !grow(box, spare))
        return NULL;
    *room = CHUNK_BYTES - box->last->to;
    return box->last->bytes + box->last->to;
}

void outbox_fill(struct outbox *box, size_t len)
{
    assert(len <= CHUNK_BYTES - box->last->to);
    box->last->to += (uint32_t)len;
    box->len += len;
}

static void drop_first(struct outbox *box, struct chunks *spare)
{
    struct chunk *chunk = box->first;
    box->first = chunk->next;
    if (!box->first)
        box->last = NULL;
    chunk_give(spare, chunk);
}

void outbox_clear(struct outbox *box, struct chunks *spare)
{
    while (box->first)
        drop_first(box, spare);
    box->len = 0;
}

static void written(struct outbox *box, struct chunks *spare, size_t len)
{
    box->len -= len;
    for (struct chunk *chunk; len && (chunk = box->first);) {
        const size_t part = chunk->to - chunk->from;
        if (len < part) {
            chunk->from += (uint32_t)len;
            return;
        }
        len -= part;
        drop_first(box, spare);
    }
}

int outbox_write(struct outbox *box, struct chunks *spare, int fd)
{
    while (box->len) {
        struct iovec parts[WRITE_PARTS];
        size_t count = 0;
        for (struct chunk *chunk = box->first; chunk && count < WRITE_PARTS; chunk = chunk->next)
            parts[count++] = (struct iovec){chunk->bytes + chunk->from, chunk->to - chunk->from};
        const ssize_t sent = sendmsg(fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = count}, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            written(box, spare, (size_t)sent);
        else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
            return ERR_BUSY;
        else if (errno != EINTR)
            return ERR_SYSTEM;
    }
    return 0;
}
