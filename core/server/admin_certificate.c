/* admin_certificate.c: see admin_certificate.h. */
#include "server/admin_certificate.h"

#include "base/crypto.h"
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1 << 18)

/* read_file: its text, from malloc; NULL and errno. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? calloc(1, FILE_MAX + 1) : NULL;
    const size_t len = text ? fread(text, 1, FILE_MAX, file) : 0;
    const bool failed = !text || ferror(file) || len == FILE_MAX;
    if (file)
        fclose(file);
    if (!failed)
        return text;
    free(text);
    return NULL;
}

static void drop_texts(struct admin_certificate *own)
{
    if (own->key)
        crypto_wipe(own->key, strlen(own->key));
    free(own->key);
    free(own->chain);
    own->key = own->chain = NULL;
}

/* read_files: false: one of them cannot be read. */
static bool read_files(struct admin_certificate *own)
{
    drop_texts(own);
    own->chain = read_file(own->pair.cert);
    own->key = read_file(own->pair.pkey);
    return own->chain && own->key;
}

int admin_certificate_open(struct admin_certificate *own, const struct config *config, struct refusal *refusal)
{
    struct tls_fault fault;
    *own = (struct admin_certificate){.pair = {config->admin_cert, config->admin_pkey}};
    if (!config->admin_cert)
        return 0;
    own->judge = tls_new(&(struct tls_config){&own->pair, 1}, &fault);
    if (!own->judge) {
        const char *option = fault.in_key ? "admin-pkey" : "admin-cert";
        return refuse(refusal, config, option, "%s", fault.text);
    }
    return read_files(own) ? 0 : refuse(refusal, config, "admin-cert", "%s", strerror(errno));
}

void admin_certificate_close(struct admin_certificate *own)
{
    drop_texts(own);
    tls_free(own->judge);
    *own = (struct admin_certificate){0};
}

/* renew: NULL, or why not; `fault` holds the text. */
static const char *renew(struct admin_certificate *own, struct door *door, struct tls_fault *fault)
{
    if (tls_load(own->judge, &(struct tls_config){&own->pair, 1}, fault) != 0)
        return fault->text;
    if (!read_files(own))
        return strerror(errno);
    return door_certify(door, &(struct door_certificate){own->chain, own->key}) == 0 ? NULL : "GnuTLS does not take it";
}

void admin_certificate_reload(struct admin_certificate *own, struct door *door, struct log *log)
{
    struct tls_fault fault;
    char quote[TLS_TEXT_MAX];
    if (!own->judge)
        return;
    const char *why = renew(own, door, &fault);
    drop_texts(own);
    if (why)
        log_say(log, LOG_ERROR, "admin_certificate_kept", "reason=%s", log_quote(view_text(why), quote, sizeof quote));
    else
        log_say(log, LOG_INFO, "admin_certificate_loaded", "file=%s", log_quote(view_text(own->pair.cert), quote, sizeof quote));
}

void admin_certificate_foresee(const struct admin_certificate *own, struct log *log)
{
    const char *files[] = {own->pair.cert, own->pair.pkey};
    char quote[TLS_TEXT_MAX];
    for (size_t i = 0; own->judge && i < sizeof files / sizeof *files; i++)
        if (access(files[i], R_OK) != 0)
            log_say(log, LOG_WARNING, "certificate",
                    "file=%s reason=\"cannot be read again, as proc-user: it is used as it is until the next start\"",
                    log_quote(view_text(files[i]), quote, sizeof quote));
}
