/* certificate.c: files into certificates, names to certificates. */
#include "net/certificate.h"

#include "base/bytes.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_LEN 255 /* of a name in the DNS */

struct certificate {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* NULL: none */
    bool by_default;
};

struct certificates {
    size_t count;
    struct certificate items[];
};

/* no_passphrase: a key that needs one is refused; nobody is there to type it. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static bool blame(struct tls_fault *fault, const char *path, const char *reason)
{
    snprintf(fault->text, sizeof fault->text, "%s: %s", path, reason ? reason : "unusable");
    ERR_clear_error();
    return false;
}

/* explain: with OpenSSL's reason. */
static bool explain(struct tls_fault *fault, const char *path)
{
    const unsigned long code = ERR_peek_error();
    return blame(fault, path, ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code));
}

/* read_pair: into a context of its own, which knows how; the key after the certificate, so that a mismatch is told of the key. */
static bool read_pair(SSL_CTX *ctx, const struct tls_pair *pair, struct tls_fault *fault)
{
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    fault->in_key = false;
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->cert) != 1)
        return explain(fault, pair->cert);
    fault->in_key = true;
    if (SSL_CTX_use_PrivateKey_file(ctx, pair->pkey, SSL_FILETYPE_PEM) != 1)
        return explain(fault, pair->pkey);
    return SSL_CTX_check_private_key(ctx) == 1 || blame(fault, pair->pkey, "of another kind than the key of the certificate");
}

/* keep: what the context has read, which goes. */
static bool keep(struct certificate *certificate, SSL_CTX *ctx)
{
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(ctx, &chain);
    certificate->leaf = SSL_CTX_get0_certificate(ctx);
    certificate->key = SSL_CTX_get0_privatekey(ctx);
    certificate->chain = chain ? X509_chain_up_ref(chain) : NULL;
    X509_up_ref(certificate->leaf);
    EVP_PKEY_up_ref(certificate->key);
    return certificate->chain || !chain;
}

static bool load(struct certificate *certificate, const struct tls_pair *pair, struct tls_fault *fault)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    const bool loaded = ctx && read_pair(ctx, pair, fault) && keep(certificate, ctx);
    SSL_CTX_free(ctx);
    return loaded;
}

static bool has_name(const struct certificate *certificate, const char *name, unsigned flags)
{
    return X509_check_host(certificate->leaf, name, 0, flags | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* first_name: "" if it has none. */
static void first_name(const struct certificate *certificate, char out[NAME_MAX_LEN + 1])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    out[0] = 0;
    for (int i = 0; !out[0] && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            view_copy(view_of(ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)), out, NAME_MAX_LEN + 1);
    }
    GENERAL_NAMES_free(names);
    if (!out[0])
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate->leaf), NID_commonName, out, NAME_MAX_LEN + 1);
}

static void mark_defaults(struct certificates *set)
{
    char name[NAME_MAX_LEN + 1];
    first_name(&set->items[0], name);
    set->items[0].by_default = true;
    for (size_t i = 1; i < set->count; i++)
        set->items[i].by_default = name[0] && has_name(&set->items[i], name, X509_CHECK_FLAG_NO_WILDCARDS);
}

struct certificates *certificates_new(const struct tls_config *config, struct tls_fault *fault)
{
    struct certificates *set = calloc(1, sizeof *set + config->count * sizeof *set->items);
    *fault = (struct tls_fault){.text = "out of memory"};
    if (!set)
        return NULL;
    for (; set->count < config->count; set->count++) {
        fault->pair = set->count;
        if (!load(&set->items[set->count], &config->pairs[set->count], fault)) {
            set->count++;
            certificates_free(set);
            return NULL;
        }
    }
    mark_defaults(set);
    ERR_clear_error();
    return set;
}

void certificates_free(struct certificates *set)
{
    for (size_t i = 0; set && i < set->count; i++) {
        X509_free(set->items[i].leaf);
        EVP_PKEY_free(set->items[i].key);
        sk_X509_pop_free(set->items[i].chain, X509_free);
    }
    free(set);
}

/* show: false also if an earlier one has the same kind of key. */
static bool show(SSL *ssl, const struct certificate *certificate)
{
    return SSL_use_cert_and_key(ssl, certificate->leaf, certificate->key, certificate->chain, 0) == 1;
}

static bool show_named(const struct certificates *set, SSL *ssl, const char *name, unsigned flags)
{
    bool shown = false;
    for (size_t i = 0; i < set->count; i++)
        if (has_name(&set->items[i], name, flags))
            shown |= show(ssl, &set->items[i]);
    return shown;
}

static bool show_default(const struct certificates *set, SSL *ssl)
{
    bool shown = false;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].by_default)
            shown |= show(ssl, &set->items[i]);
    return shown;
}

bool certificates_show(const struct certificates *set, SSL *ssl)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const bool named = name && *name;
    SSL_certs_clear(ssl);
    const bool shown = (named && show_named(set, ssl, name, X509_CHECK_FLAG_NO_WILDCARDS)) || (named && show_named(set, ssl, name, 0)) ||
                       show_default(set, ssl);
    ERR_clear_error();
    return shown;
}

bool certificates_doubt(const struct certificates *set, size_t pair, int64_t unix_s, char out[TLS_TEXT_MAX])
{
    const ASN1_TIME *from = X509_get0_notBefore(set->items[pair].leaf), *to = X509_get0_notAfter(set->items[pair].leaf);
    time_t now = (time_t)unix_s;
    struct tm day = {0};
    const bool early = X509_cmp_time(from, &now) > 0, late = X509_cmp_time(to, &now) < 0;
    if (!early && !late)
        return false;
    ASN1_TIME_to_tm(early ? from : to, &day);
    const size_t len = strftime(out, TLS_TEXT_MAX, early ? "is not valid before %F" : "has expired: it was valid until %F", &day);
    out[len] = 0;
    return true;
}

int64_t certificates_expiry(const struct certificates *set, size_t pair)
{
    struct tm day = {0};
    ASN1_TIME_to_tm(X509_get0_notAfter(set->items[pair].leaf), &day);
    return timegm(&day);
}
