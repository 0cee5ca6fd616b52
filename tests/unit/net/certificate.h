/* certificate.h: self-signed certificates for a test, in files of a directory of its own. */
#ifndef RELAY_TESTS_CERTIFICATE_H
#define RELAY_TESTS_CERTIFICATE_H

#include "net/tls.h"
#include "test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

struct certificate {
    char directory[64], cert[96], pkey[96];
};

/* certificate_named: for `names` ("DNS:a,DNS:*.b"; NULL: none but the common name turn.example.org), good from and until so many seconds
 * from now. `key` is EVP_EC_gen("P-256") or EVP_RSA_gen(2048); `passphrase` NULL or what the key file is encrypted with. */
static inline struct certificate certificate_named(EVP_PKEY *key, const char *names, const char *passphrase, const long dates[2])
{
    struct certificate made = {.directory = "/tmp/relay-net-XXXXXX"};
    CHECK(key && mkdtemp(made.directory));
    snprintf(made.cert, sizeof made.cert, "%s/cert.pem", made.directory);
    snprintf(made.pkey, sizeof made.pkey, "%s/pkey.pem", made.directory);
    X509 *x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), dates[0]);
    X509_gmtime_adj(X509_getm_notAfter(x509), dates[1]);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, (const unsigned char *)"turn.example.org", -1, -1, 0);
    for (int i = 0; i < 20; i++) /* long enough for a flight of several datagrams */
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "OU", MBSTRING_ASC,
                                   (const unsigned char *)"a unit of an organisation with a name of nearly sixty letters", -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_set_pubkey(x509, key);
    X509_EXTENSION *extension = names ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names) : NULL;
    CHECK(!names || (extension && X509_add_ext(x509, extension, -1)));
    X509_EXTENSION_free(extension);
    CHECK(X509_sign(x509, key, EVP_sha256()) > 0);
    FILE *file = fopen(made.cert, "w");
    CHECK(file && PEM_write_X509(file, x509));
    fclose(file);
    file = fopen(made.pkey, "w");
    CHECK(file && PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL, (const unsigned char *)passphrase,
                                       passphrase ? (int)strlen(passphrase) : 0, NULL, NULL));
    fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
    return made;
}

static inline struct certificate certificate_new(EVP_PKEY *key, const char *passphrase)
{
    return certificate_named(key, NULL, passphrase, (const long[]){-3600, 86400});
}

static inline void certificate_remove(const struct certificate *made)
{
    unlink(made->cert);
    unlink(made->pkey);
    rmdir(made->directory);
}

/* TLS_OF: the configuration of one pair of files. */
#define TLS_OF(made) ((struct tls_config){.pairs = &(struct tls_pair){(made).cert, (made).pkey}, .count = 1})

/* tls_for_test: contexts of a new certificate, whose files are gone again. */
static inline struct tls *tls_for_test(void)
{
    struct tls_fault fault;
    const struct certificate made = certificate_new(EVP_EC_gen("P-256"), NULL);
    struct tls *tls = tls_new(&TLS_OF(made), &fault);
    certificate_remove(&made);
    CHECK(tls);
    return tls;
}

#endif
