/* retransmit.c: answers of the last 40 s, in sets of four. */
#include "turn/retransmit.h"

#include <stdlib.h>
#include <string.h>

#define SETS 1024u /* a power of two */
#define WAYS 4u
#define KEY_LEN (FLOW_KEY_LEN + 2 + STUN_TID_LEN)

struct entry {
    int64_t at;
    uint16_t len; /* 0: empty */
    uint8_t key[KEY_LEN], answer[RETRANSMIT_ANSWER_MAX];
};

struct retransmit {
    struct hash_key key;
    struct entry entries[SETS][WAYS];
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

static size_t retransmit_set(const struct retransmit *answers, const struct flow *flow, const struct message *message, uint8_t key[KEY_LEN])
{
    memcpy(key, flow, FLOW_KEY_LEN);
    put_u16(key + FLOW_KEY_LEN, message->method);
    memcpy(key + FLOW_KEY_LEN + 2, message->tid, STUN_TID_LEN);
    return table_hash(&answers->key, view_of(key, KEY_LEN)) & (SETS - 1);
}

struct view retransmit_find(const struct retransmit *answers, const struct flow *flow, const struct message *message, int64_t now)
{
    uint8_t key[KEY_LEN];
    const struct entry *set = answers->entries[retransmit_set(answers, flow, message, key)];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].len && now - set[i].at < RETRANSMIT_MS && memcmp(set[i].key, key, KEY_LEN) == 0)
            return view_of(set[i].answer, set[i].len);
    return (struct view){0};
}

void retransmit_keep(struct retransmit *answers, const struct flow *flow, const struct message *message, struct view answer, int64_t now)
{
    if (answer.len > RETRANSMIT_ANSWER_MAX)
        return;
    uint8_t key[KEY_LEN];
    struct entry *set = answers->entries[retransmit_set(answers, flow, message, key)], *oldest = set;
    for (size_t i = 0; i < WAYS && oldest->len; i++)
        if (!set[i].len || set[i].at < oldest->at)
            oldest = &set[i];
    oldest->at = now;
    oldest->len = (uint16_t)answer.len;
    memcpy(oldest->key, key, KEY_LEN);
    memcpy(oldest->answer, answer.at, answer.len);
}
