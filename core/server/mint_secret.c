/* mint_secret.c: see mint_secret.h. */
#include "server/mint_secret.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS (S_IRWXG | S_IRWXO)
#define LINE_ROOM (MINT_SECRET_MAX + 3) /* its end, and a byte that shows a line that is too long */

struct mint_secrets {
    pthread_rwlock_t lock;
    const char *const *files;
    size_t file_count;
    struct mint_secret secrets[MINT_SECRETS_MAX];
    size_t count;
};

/* ---- files ---- */

/* check_mode: what is wrong with who may read it; NULL: nothing. */
static const char *check_mode(FILE *file)
{
    struct stat info;
    if (fstat(fileno(file), &info) != 0)
        return strerrordesc_np(errno);
    if (!S_ISREG(info.st_mode))
        return "it is no file";
    return info.st_mode & OTHERS ? "others than its owner may open it: chmod 600 it" : NULL;
}

static const char *add_line(const char *line, struct mint_secret out[MINT_SECRETS_MAX], size_t *count)
{
    const size_t len = strcspn(line, "\r\n");
    if (len == 0)
        return NULL;
    if (len < MINT_SECRET_MIN || len > MINT_SECRET_MAX)
        return "a line is shorter than 32 bytes or longer than 255: relay secret new makes good ones";
    if (*count == MINT_SECRETS_MAX)
        return "there are more than 8 secrets: take the oldest away";
    view_copy(view_of(line, len), out[*count].text, sizeof out[*count].text);
    ++*count;
    return NULL;
}

int mint_secret_file(const char *path, struct mint_secret out[MINT_SECRETS_MAX], size_t *count, char *why, size_t cap)
{
    char line[LINE_ROOM];
    const size_t before = *count;
    FILE *file = fopen(path, "re");
    const char *wrong = file ? check_mode(file) : errno == ENOENT ? "there is no such file: relay secret new makes one" : strerrordesc_np(errno);
    while (!wrong && fgets(line, sizeof line, file))
        wrong = add_line(line, out, count);
    if (!wrong && *count == before)
        wrong = "there is no secret in it: relay secret new makes one";
    crypto_wipe(line, sizeof line);
    if (file)
        fclose(file);
    if (wrong)
        snprintf(why, cap, "%s: %s", path, wrong);
    return wrong ? ERR_BAD : 0;
}

/* ---- those of the server ---- */

int mint_secrets_read(struct mint_secrets *secrets, char *why, size_t cap)
{
    struct mint_secret read[MINT_SECRETS_MAX] = {0};
    size_t count = 0;
    int err = 0;
    for (size_t i = 0; i < secrets->file_count && !err; i++)
        err = mint_secret_file(secrets->files[i], read, &count, why, cap);
    if (!err) {
        pthread_rwlock_wrlock(&secrets->lock);
        memcpy(secrets->secrets, read, sizeof read);
        secrets->count = count;
        pthread_rwlock_unlock(&secrets->lock);
    }
    crypto_wipe(read, sizeof read);
    return err;
}

int mint_secrets_open(const struct config *config, struct mint_secrets **out, struct refusal *refusal)
{
    char why[REFUSAL_MAX];
    *out = NULL;
    if (!config->mint_secret_file_count)
        return 0;
    struct mint_secrets *secrets = calloc(1, sizeof *secrets);
    if (!secrets)
        return ERR_MEMORY;
    pthread_rwlock_init(&secrets->lock, NULL);
    secrets->files = config->mint_secret_files;
    secrets->file_count = config->mint_secret_file_count;
    *out = secrets;
    return mint_secrets_read(secrets, why, sizeof why) ? refuse(refusal, config, "mint-secret-file", "%s", why) : 0;
}

void mint_secrets_free(struct mint_secrets *secrets)
{
    if (!secrets)
        return;
    pthread_rwlock_destroy(&secrets->lock);
    crypto_wipe(secrets->secrets, sizeof secrets->secrets);
    free(secrets);
}

int mint_secrets_keys(struct mint_secrets *secrets, struct crypto *crypto, const char *tenant, const char *kid,
                      char keys[MINT_SECRETS_MAX][MINTED_KEY_LEN + 1])
{
    int err = 0;
    pthread_rwlock_rdlock(&secrets->lock);
    const size_t count = secrets->count;
    for (size_t i = 0; i < count && !err; i++)
        err = minted_key(crypto, secrets->secrets[i].text, tenant, kid, keys[i]);
    pthread_rwlock_unlock(&secrets->lock);
    return err ? err : (int)count;
}
