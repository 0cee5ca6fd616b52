/* command_master.c: relay secret new: the master secrets of minted credentials. They are in their file alone: never in argv, in the environment or on the
 * screen. */
#include "server/command_line.h"

#include "base/err.h"
#include "server/mint_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH_LEN 32
#define PATH_CAP 4096

static void fresh(struct mint_secret *out)
{
    uint8_t bytes[FRESH_LEN];
    crypto_random(bytes, sizeof bytes);
    crypto_hex(view_of(bytes, sizeof bytes), out->text);
    crypto_wipe(bytes, sizeof bytes);
}

/* write_all: a new file beside it takes the place of the old one: who reads sees one or the other whole. Its owner stays the owner. */
static int write_all(const char *path, const struct mint_secret *secrets, size_t count)
{
    char beside[PATH_CAP];
    struct stat old;
    const bool is_there = stat(path, &old) == 0;
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside) {
        errno = ENAMETOOLONG;
        return ERR_SYSTEM;
    }
    const int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return ERR_SYSTEM;
    bool good = !is_there || fchown(fd, old.st_uid, old.st_gid) == 0;
    for (size_t i = 0; i < count && good; i++)
        good = dprintf(fd, "%s\n", secrets[i].text) > 0;
    good = good && fsync(fd) == 0;
    const int why = errno;
    close(fd);
    if (good && rename(beside, path) == 0)
        return 0;
    errno = good ? errno : why;
    unlink(beside);
    return ERR_SYSTEM;
}

/* read_old: those that are there already, behind the first place; none if there is no file. */
static int read_old(const struct command_line *line, const char *path, struct mint_secret *secrets, size_t *count)
{
    struct mint_secret old[MINT_SECRETS_MAX];
    char why[512];
    size_t had = 0;
    *count = 1;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return 0;
    if (mint_secret_file(path, old, &had, why, sizeof why) != 0)
        return command_fail(line, COMMAND_FAILED, "%s", why);
    for (size_t i = 0; i < had && *count < MINT_SECRETS_MAX; i++)
        secrets[(*count)++] = old[i];
    crypto_wipe(old, sizeof old);
    return had < MINT_SECRETS_MAX ? 0 : command_fail(line, COMMAND_FAILED, "%s: there are 8 secrets already: take the oldest away, which is the last line", path);
}

int command_secret_new(const struct command_line *line)
{
    struct mint_secret secrets[MINT_SECRETS_MAX];
    const char *path = line->words[0];
    size_t count;
    int code = read_old(line, path, secrets, &count);
    if (!code) {
        fresh(&secrets[0]);
        code = write_all(path, secrets, count) == 0 ? COMMAND_DONE : command_fail(line, COMMAND_FAILED, "%s: %s", path, strerrordesc_np(errno));
    }
    crypto_wipe(secrets, sizeof secrets);
    return code;
}
