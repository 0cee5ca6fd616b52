/* certificate.h: self-signed certificates for a test, in files of a directory of its own. */
#ifndef RELAY_TESTS_CERTIFICATE_H
#define RELAY_TESTS_CERTIFICATE_H

#include "net/tls.h"
#include "test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

struct certificate {
    char directory[64], cert[96], pkey[96];
};

/* certificate_new: `key` is EVP_EC_gen("P-256") or EVP_RSA_gen(2048); `passphrase` NULL or what the key file is encrypted with. */
static inline struct certificate certificate_new(EVP_PKEY *key, const char *passphrase)
{
    struct certificate made = {.directory = "/tmp/relay-net-XXXXXX"};
    CHECK(key && mkdtemp(made.directory));
    snprintf(made.cert, sizeof made.cert, "%s/cert.pem", made.directory);
    snprintf(made.pkey, sizeof made.pkey, "%s/pkey.pem", made.directory);
    X509 *x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, (const unsigned char *)"turn.example.org", -1, -1, 0);
    for (int i = 0; i < 20; i++) /* long enough for a flight of several datagrams */
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "OU", MBSTRING_ASC,
                                   (const unsigned char *)"a unit of an organisation with a name of nearly sixty letters", -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_set_pubkey(x509, key);
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

static inline void certificate_remove(const struct certificate *made)
{
    unlink(made->cert);
    unlink(made->pkey);
    rmdir(made->directory);
}

/* tls_for_test: contexts of a new certificate, whose files are gone again. */
static inline struct tls *tls_for_test(void)
{
    char error[256];
    const struct certificate made = certificate_new(EVP_EC_gen("P-256"), NULL);
    struct tls *tls = tls_new(&(struct tls_config){made.cert, made.pkey}, error, sizeof error);
    certificate_remove(&made);
    CHECK(tls);
    return tls;
}

#endif
