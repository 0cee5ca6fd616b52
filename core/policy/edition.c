/* edition.c: files become texts, and texts a revision. */
#include "policy/edition.h"

#include "policy/sandbox.h"

#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* struct document: text: NULL if there was no such file.  state: of the file, just before it was read. */
struct document {
    char *path, *text;
    size_t len;
    uint64_t state;
    struct document *next;
};

struct policy_edition {
    struct document *scripts;
    size_t script_count;
    struct hash_key hash_key;
    pthread_mutex_t lock; /* for what follows: */
    struct document *modules;
    bool is_sealed;
    char revision[POLICY_REVISION_LEN + 1];
};

/* state_of: a number that changes with the file at `path`. */
static uint64_t state_of(const struct policy_edition *edition, const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return 0;
    const int64_t parts[] = {(int64_t)file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec};
    return table_digest(&edition->hash_key, view_of(parts, sizeof parts));
}

static int document_read(const struct policy_edition *edition, struct document *document, const char *path)
{
    document->path = strdup(path);
    if (!document->path)
        return ERR_MEMORY;
    document->state = state_of(edition, path);
    document->text = sandbox_read(path, &document->len);
    return document->text ? 0 : ERR_SYSTEM;
}

static void document_close(struct document *document)
{
    free(document->path);
    free(document->text);
}

static int read_scripts(struct policy_edition *edition, const struct policy_config *config, char *error, size_t error_cap)
{
    edition->scripts = calloc(config->file_count + 1, sizeof *edition->scripts);
    if (!edition->scripts)
        return ERR_MEMORY;
    for (; edition->script_count < config->file_count; edition->script_count++) {
        const char *path = config->files[edition->script_count];
        if (document_read(edition, &edition->scripts[edition->script_count], path)) {
            snprintf(error, error_cap, "%s:1: %s", path, strerror(errno));
            edition->script_count++;
            return ERR_SYSTEM;
        }
    }
    return 0;
}

struct policy_edition *policy_edition_new(const struct policy_config *config, char *error, size_t error_cap)
{
    struct policy_edition *edition = calloc(1, sizeof *edition);
    view_copy(view_text("policy: not enough memory"), error, error_cap);
    if (!edition || pthread_mutex_init(&edition->lock, NULL)) {
        free(edition);
        return NULL;
    }
    edition->hash_key = config->hash_key;
    if (read_scripts(edition, config, error, error_cap)) {
        policy_edition_free(edition);
        return NULL;
    }
    return edition;
}

void policy_edition_free(struct policy_edition *edition)
{
    if (!edition)
        return;
    for (size_t i = 0; i < edition->script_count; i++)
        document_close(&edition->scripts[i]);
    for (struct document *module = edition->modules, *next; module; module = next) {
        next = module->next;
        document_close(module);
        free(module);
    }
    pthread_mutex_destroy(&edition->lock);
    free(edition->scripts);
    free(edition);
}

const char *edition_script(const struct policy_edition *edition, size_t n, size_t *len)
{
    *len = edition->scripts[n].len;
    return edition->scripts[n].text;
}

/* find_module: under the lock: the one at `path`, or where the next is to be put. */
static struct document **find_module(struct policy_edition *edition, const char *path)
{
    struct document **at = &edition->modules;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

const char *edition_module(struct policy_edition *edition, const char *path, size_t *len)
{
    pthread_mutex_lock(&edition->lock);
    struct document **at = find_module(edition, path), *module = *at;
    if (!module && (module = calloc(1, sizeof *module))) {
        if (document_read(edition, module, path) == ERR_MEMORY) {
            free(module);
            module = NULL;
        }
        *at = module;
    }
    pthread_mutex_unlock(&edition->lock);
    *len = module ? module->len : 0;
    return module ? module->text : NULL;
}

/* digest: of the scripts and modules, in the order in which they were read, with a zero byte between. */
static int digest(struct policy_edition *edition, struct crypto *crypto)
{
    uint8_t hash[CRYPTO_HASH_MAX];
    size_t most = edition->script_count, count = 0;
    for (const struct document *module = edition->modules; module; module = module->next)
        most++;
    struct view *parts = calloc(2 * most + 1, sizeof *parts);
    if (!parts)
        return ERR_MEMORY;
    for (size_t i = 0; i < edition->script_count; i++) {
        parts[count++] = view_of(edition->scripts[i].text, edition->scripts[i].len);
        parts[count++] = view_of("", 1);
    }
    for (const struct document *module = edition->modules; module; module = module->next)
        if (module->text) {
            parts[count++] = view_of(module->text, module->len);
            parts[count++] = view_of("", 1);
        }
    const int status = crypto_digest(crypto, CRYPTO_SHA256, parts, count ? count - 1 : 0, hash);
    crypto_hex(view_of(hash, POLICY_REVISION_LEN / 2), edition->revision);
    free(parts);
    return status;
}

int edition_seal(struct policy_edition *edition, struct crypto *crypto, char revision[POLICY_REVISION_LEN + 1])
{
    pthread_mutex_lock(&edition->lock);
    const int status = edition->is_sealed ? 0 : digest(edition, crypto);
    edition->is_sealed = status == 0;
    memcpy(revision, edition->revision, sizeof edition->revision);
    pthread_mutex_unlock(&edition->lock);
    return status;
}

/* look: adds what the file is now to *now; whether it is another than the one that was read. */
static bool look(const struct policy_edition *edition, const struct document *document, uint64_t *now)
{
    const uint64_t parts[] = {*now, state_of(edition, document->path)};
    *now = table_digest(&edition->hash_key, view_of(parts, sizeof parts));
    return parts[1] != document->state;
}

uint64_t policy_edition_stale(struct policy_edition *edition)
{
    uint64_t now = 0;
    bool differs = false;
    for (size_t i = 0; i < edition->script_count; i++)
        differs |= look(edition, &edition->scripts[i], &now);
    pthread_mutex_lock(&edition->lock);
    for (const struct document *module = edition->modules; module; module = module->next)
        differs |= look(edition, module, &now);
    pthread_mutex_unlock(&edition->lock);
    return differs ? now | 1 : 0;
}
