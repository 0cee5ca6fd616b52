/* source.h: the files that policies read: one copy for all workers, read again when they change, swapped for everybody, never under a hook.
 *
 * A reader (a policy) sees every file as it was at its last turn, which it takes between hooks. A file that has changed and then stayed the
 * same from one look to the next is read whole and parsed; only then its content takes the place of the one before, which is freed when
 * every reader has taken a turn since. A file that cannot be read changes nothing. Readers take no lock.
 */
#ifndef RELAY_POLICY_SOURCE_H
#define RELAY_POLICY_SOURCE_H

#include "base/log.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* struct source_kind: how a file becomes content: NULL with a reason in `error` if it does not. Content is constant. */
struct source_kind {
    void *(*read)(const char *path, char *error, size_t error_cap);
    void (*free)(void *content);
};

struct sources; /* all files of the process */
struct source;  /* one of them; lives as long */

/* struct source_reader: the serial number of the newest content that this reader sees. */
struct source_reader {
    _Atomic uint64_t serial;
    struct source_reader *next;
};

struct sources *sources_new(void); /* NULL without memory */
void sources_free(struct sources *);

/* sources_look: read what has changed, free what nobody sees; says in the log what came of it. Once a second, in one thread, which may wait for
 * the disk. */
void sources_look(struct sources *, struct log *);

/* source_open: the file of that kind and path, read if nobody did so before. NULL: it cannot be read, with a reason in `error`. */
struct source *source_open(struct sources *, const struct source_kind *, const char *path, char *error, size_t error_cap);

/* source_join, source_turn, source_leave: the life of a reader, in its own thread. */
void source_join(struct sources *, struct source_reader *);
void source_turn(struct sources *, struct source_reader *);
void source_leave(struct sources *, struct source_reader *);

/* source_content: what the reader sees of it; valid until its next turn. *serial, if it is not NULL: another number for other content. */
const void *source_content(const struct source *, const struct source_reader *, uint64_t *serial);

#endif
