/* dictionary.h: relay.shared: a table of keys and values that all workers share, bounded in entries, each with a deadline.
 *
 * Shards with a lock each, held for a lookup and a copy of at most VALUE_TEXT_MAX bytes. A full table refuses, or forgets what was used
 * longest ago. Time is an argument. Keys hash under a secret key.
 */
#ifndef RELAY_POLICY_DICTIONARY_H
#define RELAY_POLICY_DICTIONARY_H

#include "base/clock.h"
#include "base/table.h"

#define KEY_MAX 1024
#define VALUE_TEXT_MAX 4096
#define DICTIONARY_MAX 10000000
#define DEADLINE_NEVER INT64_MAX

enum value_type { VALUE_NONE, VALUE_INTEGER, VALUE_NUMBER, VALUE_BOOLEAN, VALUE_TEXT };

struct value {
    enum value_type type;
    union {
        int64_t integer;
        double number;
        bool boolean;
        struct view text;
    } as;
};

struct dictionary;

/* dictionary_new: for at most `max` entries (1..DICTIONARY_MAX). NULL without memory. */
struct dictionary *dictionary_new(const struct hash_key *, uint32_t max, bool evict);
void dictionary_free(struct dictionary *);

/* dictionary_get: the live value of `key` (VALUE_NONE if there is none); a text is copied to `text` of VALUE_TEXT_MAX bytes. */
struct value dictionary_get(struct dictionary *, struct view key, msec_t now, uint8_t *text);

/* dictionary_peek: the same, and nobody notices: what is used longest ago stays so.  dictionary_count: how many there are, expired ones
 * that nobody asked for included. */
struct value dictionary_peek(struct dictionary *, struct view key, msec_t now, uint8_t *text);
uint64_t dictionary_count(struct dictionary *);

/* dictionary_set: 0, or ERR_MEMORY: full.  dictionary_add: also ERR_EXISTS.  dictionary_swap: only if the value is `old` (VALUE_NONE:
 * absent), else ERR_DENIED. */
int dictionary_set(struct dictionary *, struct view key, const struct value *, msec_t deadline, msec_t now);
int dictionary_add(struct dictionary *, struct view key, const struct value *, msec_t deadline, msec_t now);
int dictionary_swap(struct dictionary *, struct view key, const struct value *old, const struct value *, msec_t deadline, msec_t now);

/* dictionary_increase: add `n` to the integer of `key`, or to `init` with this deadline if there is none. 0, ERR_MEMORY: full, ERR_BAD: not
 * an integer. */
int dictionary_increase(struct dictionary *, struct view key, int64_t n, int64_t init, msec_t deadline, msec_t now, int64_t *out);

/* dictionary_take: one of `most` places of `key`: 0, ERR_BUSY: all are taken, ERR_MEMORY: full.  dictionary_give: it is free again. For tables of nothing else. */
int dictionary_take(struct dictionary *, struct view key, int64_t most, msec_t now);
void dictionary_give(struct dictionary *, struct view key, msec_t now);

/* dictionary_changed: calls `each` for every entry that was set or increased since the last call; it must not use the dictionary. */
typedef void dictionary_fn(void *ctx, struct view key, const struct value *, msec_t deadline);
void dictionary_changed(struct dictionary *, dictionary_fn *each, void *ctx);

bool dictionary_delete(struct dictionary *, struct view key, msec_t now);

#endif
