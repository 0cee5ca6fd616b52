/* account.h: a decision as JSON: what a hook was shown, as relay eval takes it, and what was answered, as relay eval prints it.
 *
 * Both are made of rows (argument.c, account.c): what hooks are shown one day is in the records of that day. Secrets, passwords, keys and access tokens are in none;
 * of a key there is how many it was. A name that is a signed token (a compact JWS) goes without its signature, and a text of more than ACCOUNT_TEXT_MAX bytes is cut.
 */
#ifndef RELAY_POLICY_ACCOUNT_H
#define RELAY_POLICY_ACCOUNT_H

#include "base/crypto.h"
#include "policy/fact.h"
#include "turn/verdict.h"

#define ACCOUNT_TEXT_MAX 1024

/* struct veil: names of clients appear as "hmac:" and the first 32 digits of HMAC-SHA256(key, name). */
struct veil {
    struct crypto *crypto;
    struct view key; /* at NULL: as they are */
};

/* account_put_question: {"user": "ann", "src": "198.51.100.7:5000", ...}: the members of the hook's first argument, the others by their name.
 * account_put_event: those of `ev`.  account_put_answer: {"decision": "deny", "code": 403, ...}. The slab may overflow. */
void account_put_question(struct slab *, const struct question *, const struct veil *);
void account_put_event(struct slab *, const struct event *, const struct veil *);
void account_put_answer(struct slab *, const struct verdict *, const struct veil *);

/* account_answer: the n-th member of what was answered: its name, NULL behind the last one; FACT_NIL: not said. */
const char *account_answer(const struct verdict *, size_t n, struct fact *);

/* account_put_name: the name of a client, as a record has it. */
void account_put_name(struct slab *, struct view name, const struct veil *);

#endif
