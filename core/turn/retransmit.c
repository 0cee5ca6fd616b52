/* retransmit.c: answers of the last 40 s, in sets of four. */
#include "turn/retransmit.h"

#include <stdlib.h>
#include <string.h>

#define SETS 1024u /* a power of two */
#define WAYS 4u
#define KEY_LEN (FLOW_KEY_LEN + 2 + STUN_TID_LEN)

struct entry {
    int64_t at;
    uint16_t len;
    uint8_t key[KEY_LEN], answer[RETRANSMIT_ANSWER_MAX];
};

struct retransmit {
    struct hash_key key;
    uint32_t tags[SETS][WAYS]; /* of the entries: a part of the key's hash; 0: empty. Most requests are new, and look no further */
    struct entry entries[SETS][WAYS];
};

/* struct place: where a transaction is kept. */
struct place {
    size_t set;
    uint32_t tag;
};

struct retransmit *retransmit_new(const struct hash_key *key)
{
    struct retransmit *answers = calloc(1, sizeof *answers);
    if (answers)
        answers->key = *key;
    return answers;
}

void retransmit_free(struct retransmit *answers)
{
    free(answers);
}

static struct place retransmit_place(const struct retransmit *answers, const struct flow *flow, const struct message *message, uint8_t key[KEY_LEN])
{
    memcpy(key, flow, FLOW_KEY_LEN);
    put_u16(key + FLOW_KEY_LEN, message->method);
    memcpy(key + FLOW_KEY_LEN + 2, message->tid, STUN_TID_LEN);
    const uint64_t hash = table_hash(&answers->key, view_of(key, KEY_LEN));
    return (struct place){hash & (SETS - 1), (uint32_t)(hash >> 32) | 1};
}

struct view retransmit_find(const struct retransmit *answers, const struct flow *flow, const struct message *message, int64_t now)
{
    uint8_t key[KEY_LEN];
    const struct place place = retransmit_place(answers, flow, message, key);
    const uint32_t *tags = answers->tags[place.set];
    for (size_t i = 0; i < WAYS; i++) {
        const struct entry *entry = &answers->entries[place.set][i];
        if (tags[i] == place.tag && now - entry->at < RETRANSMIT_MS && memcmp(entry->key, key, KEY_LEN) == 0)
            return view_of(entry->answer, entry->len);
    }
    return (struct view){0};
}

void retransmit_keep(struct retransmit *answers, const struct flow *flow, const struct message *message, struct view answer, int64_t now)
{
    if (answer.len > RETRANSMIT_ANSWER_MAX)
        return;
    uint8_t key[KEY_LEN];
    const struct place place = retransmit_place(answers, flow, message, key);
    uint32_t *tags = answers->tags[place.set];
    struct entry *set = answers->entries[place.set], *oldest = set;
    for (size_t i = 0; i < WAYS && tags[oldest - set]; i++)
        if (!tags[i] || set[i].at < oldest->at)
            oldest = &set[i];
    tags[oldest - set] = place.tag;
    oldest->at = now;
    oldest->len = (uint16_t)answer.len;
    memcpy(oldest->key, key, KEY_LEN);
    memcpy(oldest->answer, answer.at, answer.len);
}
