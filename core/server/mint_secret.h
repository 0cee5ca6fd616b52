/* mint_secret.h: the master secrets of minted credentials (wire/minted.h): whoever has one can mint for every tenant.
 *
 * Masters are lines of the files that mint-secret-file names, of MINT_SECRET_MIN bytes at least, the newest first; all of them verify, the first mints.
 * Files are for their owner alone. SIGHUP reads them anew: what is wrong with one keeps all as they were.
 */
#ifndef RELAY_SERVER_MINT_SECRET_H
#define RELAY_SERVER_MINT_SECRET_H

#include "server/refusal.h"
#include "wire/minted.h"

#define MINT_SECRETS_MAX VERDICT_KEYS_MAX
#define MINT_SECRET_MIN 32
#define MINT_SECRET_MAX 255

struct mint_secrets;

/* mint_secrets_open: reads the files that the configuration names. 0 and *out, NULL if it names none; or negative with the refusal.  mint_secrets_read:
 * reads them anew: 0, or negative and why.  Any thread may use them at any time. */
int mint_secrets_open(const struct config *, struct mint_secrets **out, struct refusal *);
int mint_secrets_read(struct mint_secrets *, char *why, size_t cap);
void mint_secrets_free(struct mint_secrets *);

/* mint_secrets_keys: K under each master, the newest first: how many, or ERR_SYSTEM. */
int mint_secrets_keys(struct mint_secrets *, struct crypto *, const char *tenant, const char *kid, char keys[MINT_SECRETS_MAX][MINTED_KEY_LEN + 1]);

/* mint_secret_file: the masters of one file, without a server: the lines into `out`, from `count` on, which is counted up. 0, or negative and why. */
struct mint_secret {
    char text[MINT_SECRET_MAX + 1];
};
int mint_secret_file(const char *path, struct mint_secret out[MINT_SECRETS_MAX], size_t *count, char *why, size_t cap);

#endif
