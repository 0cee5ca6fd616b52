/* certificates: which of them whom is shown, over TLS and DTLS, and what happens when their files change */
#include "certificate.h"
#include "net/tls_pipe.h"

#include "base/err.h"

#include <dirent.h>
#include <malloc.h>
#include <openssl/err.h>
#include <pthread.h>
#include <time.h>

#define PAIRS_MAX 8
#define QUEUE_MAX 64

/* struct end: of a connection in memory: what it says waits in the other's queue. */
struct end {
    struct end *other;
    SSL *ssl;
    struct tls_pipe pipe, *reads; /* reads: the one that `ssl` has: a handshake's is a copy */
    unsigned count, next;
    struct {
        size_t len;
        uint8_t bytes[4096];
    } queue[QUEUE_MAX];
};

static bool end_out(void *owner, struct view bytes)
{
    struct end *to = ((struct end *)owner)->other;
    CHECK(to->count < QUEUE_MAX && bytes.len <= sizeof to->queue[0].bytes);
    memcpy(to->queue[to->count].bytes, bytes.at, bytes.len);
    to->queue[to->count++].len = bytes.len;
    return true;
}

/* end_run: true when its handshake is done. */
static bool end_run(struct end *end)
{
    do {
        if (end->next < end->count) {
            end->reads->in = view_of(end->queue[end->next].bytes, end->queue[end->next].len);
            end->next++;
        }
        ERR_clear_error();
        if (SSL_do_handshake(end->ssl) == 1)
            return true;
    } while (end->next < end->count);
    return false;
}

/* struct wish: what a client asks for; NULL: whatever OpenSSL does. */
struct wish {
    const char *name, *algorithms;
    bool datagrams;
    int version;
    SSL_SESSION **session; /* to come back with, and the one for the next time */
};

/* shown: the certificate that a client with this wish is shown, to be freed; NULL: no handshake came to be, or an old session went on. */
static X509 *shown(struct tls *tls, const struct wish *wish)
{
    struct end *server = calloc(1, sizeof *server), *client = calloc(1, sizeof *client);
    SSL_CTX *ctx = SSL_CTX_new(wish->datagrams ? DTLS_client_method() : TLS_client_method());
    BIO_METHOD *method = tls_pipe_method();
    BIO *bio = BIO_new(method);
    server->other = client;
    client->other = server;
    server->pipe = (struct tls_pipe){.owner = server, .out = end_out, .datagrams = wish->datagrams};
    client->pipe = (struct tls_pipe){.owner = client, .out = end_out, .datagrams = wish->datagrams};
    struct handshake *handshake = handshake_new(tls, &server->pipe);
    server->ssl = handshake->ssl;
    server->reads = &handshake->pipe;
    client->reads = &client->pipe;
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU);
    client->ssl = SSL_new(ctx);
    BIO_set_data(bio, &client->pipe);
    SSL_set_bio(client->ssl, bio, bio);
    SSL_set_mtu(server->ssl, 1200);
    SSL_set_mtu(client->ssl, 1200);
    SSL_set_connect_state(client->ssl);
    CHECK(!wish->name || SSL_set_tlsext_host_name(client->ssl, wish->name));
    CHECK(!wish->algorithms || SSL_set1_sigalgs_list(client->ssl, wish->algorithms));
    CHECK(!wish->session || !*wish->session || SSL_set_session(client->ssl, *wish->session));
    CHECK(!wish->version || SSL_set_max_proto_version(client->ssl, wish->version));
    for (int round = 0; round < 6 && !end_run(client); round++)
        end_run(server);
    X509 *peer = SSL_is_init_finished(client->ssl) ? SSL_get1_peer_certificate(client->ssl) : NULL;
    if (wish->session) {
        const bool resumed = SSL_session_reused(client->ssl);
        SSL_SESSION_free(*wish->session);
        *wish->session = SSL_get1_session(client->ssl);
        SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN); /* a session that ends without a goodbye is not for coming back */
        X509_free(resumed ? peer : NULL);
        peer = resumed ? NULL : peer;
    }
    SSL_free(client->ssl);
    handshake_free(handshake);
    SSL_CTX_free(ctx);
    BIO_meth_free(method);
    ERR_clear_error();
    free(server);
    free(client);
    return peer;
}

static bool is_of_file(X509 *x509, const char *path)
{
    FILE *file = fopen(path, "r");
    X509 *other = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    const bool same = x509 && other && X509_cmp(x509, other) == 0;
    X509_free(other);
    if (file)
        fclose(file);
    return same;
}

/* struct shop: certificates in files, and a server that shows them. */
struct shop {
    struct certificate made[PAIRS_MAX];
    struct tls_pair pairs[PAIRS_MAX];
    struct tls_config config;
    struct tls *tls;
};

static const long today[] = {-3600, 86400};

static void shop_add(struct shop *shop, EVP_PKEY *key, const char *names)
{
    const size_t i = shop->config.count++;
    shop->made[i] = certificate_named(key, names, NULL, today);
    shop->pairs[i] = (struct tls_pair){shop->made[i].cert, shop->made[i].pkey};
    shop->config.pairs = shop->pairs;
}

static void shop_open(struct shop *shop)
{
    struct tls_fault fault;
    shop->tls = tls_new(&shop->config, &fault);
    if (!shop->tls)
        test_failed(__FILE__, __LINE__, "%s", fault.text);
}

static void shop_close(struct shop *shop)
{
    tls_free(shop->tls);
    for (size_t i = 0; i < shop->config.count; i++)
        certificate_remove(&shop->made[i]);
}

#define NOBODY PAIRS_MAX

/* which: the number of the pair that a client with this wish is shown. */
static size_t which(const struct shop *shop, struct wish wish)
{
    X509 *x509 = shown(shop->tls, &wish);
    size_t i = 0;
    while (x509 && i < shop->config.count && !is_of_file(x509, shop->pairs[i].cert))
        i++;
    X509_free(x509);
    return x509 ? i : NOBODY;
}

TEST(the_name_that_a_client_asks_for_chooses_the_certificate)
{
    struct shop shop = {0};
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:turn.example.org,DNS:stun.example.org,IP:192.0.2.1");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:*.example.net");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:turn.example.net");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:*.a.example.com,DNS:x*.example.com");
    shop_open(&shop);
    const struct {
        const char *name;
        size_t want;
    } rows[] = {{NULL, 0},
                {"turn.example.org", 0},
                {"STUN.Example.Org", 0},
                {"any.example.net", 1},
                {"TURN.example.net", 2}, /* the exact one, although the wildcard comes first */
                {"two.labels.example.net", 0},
                {"example.net", 0},
                {"x.a.example.com", 3},
                {"xy.example.com", 0}, /* a wildcard is a whole label */
                {"unknown.example", 0},
                {"192.0.2.1", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int datagrams = 0; datagrams < 2; datagrams++)
            CHECK_INT(which(&shop, (struct wish){.name = rows[i].name, .datagrams = datagrams}), rows[i].want);
    shop_close(&shop);
}

TEST(the_kind_of_key_follows_the_clients_signature_algorithms)
{
    struct shop shop = {0};
    shop_add(&shop, EVP_RSA_gen(2048), "DNS:one.example");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example,DNS:more.example");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:two.example");
    shop_add(&shop, EVP_RSA_gen(2048), "DNS:*.example.org");
    shop_open(&shop);
    const char *const rsa = "RSA+SHA256:RSA-PSS+SHA256", *const ecdsa = "ECDSA+SHA256";
    const struct {
        const char *name, *algorithms;
        size_t want;
    } rows[] = {{"one.example", rsa, 0},
                {"one.example", ecdsa, 1},
                {NULL, rsa, 0},
                {NULL, ecdsa, 1},
                {"more.example", NULL, 1},
                {"two.example", ecdsa, 2},
                {"two.example", rsa, NOBODY},
                {"three.example.org", rsa, 3},
                {"elsewhere", ecdsa, 1}};
    const struct wish ways[] = {{.version = TLS1_3_VERSION}, {.version = TLS1_2_VERSION}, {.version = DTLS1_2_VERSION, .datagrams = true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            struct wish wish = ways[k];
            wish.name = rows[i].name;
            wish.algorithms = rows[i].algorithms;
            CHECK_INT(which(&shop, wish), rows[i].want);
        }
    shop_close(&shop);
}

TEST(without_a_subject_alt_name_the_common_name_counts)
{
    struct shop shop = {0};
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:other.example.org");
    shop_add(&shop, EVP_EC_gen("P-256"), NULL);
    shop_open(&shop);
    CHECK_INT(which(&shop, (struct wish){.name = "turn.example.org"}), 1);
    CHECK_INT(which(&shop, (struct wish){.name = "other.example.org"}), 0);
    shop_close(&shop);
}

static void not_loaded(const char *cert, const char *pkey, const char *blamed)
{
    const struct certificate good = certificate_new(EVP_EC_gen("P-256"), NULL);
    const struct tls_pair pairs[] = {{good.cert, good.pkey}, {cert, pkey}};
    struct tls_fault fault;
    CHECK(tls_new(&(struct tls_config){pairs, 2}, &fault) == NULL);
    const size_t len = strlen(blamed);
    if (strncmp(fault.text, blamed, len) != 0 || fault.text[len] != ':' || strlen(fault.text) < len + 5)
        test_failed(__FILE__, __LINE__, "\"%s\" does not blame %s", fault.text, blamed);
    CHECK_INT(fault.pair, 1);
    CHECK_INT(fault.in_key, blamed == pkey && blamed != cert);
    certificate_remove(&good);
}

TEST(a_certificate_that_cannot_be_used_is_blamed_by_name)
{
    const struct certificate one = certificate_new(EVP_EC_gen("P-256"), NULL), other = certificate_new(EVP_EC_gen("P-256"), NULL),
                             locked = certificate_new(EVP_EC_gen("P-256"), "secret"), weak = certificate_new(EVP_RSA_gen(512), NULL);
    not_loaded("/nowhere/cert.pem", one.pkey, "/nowhere/cert.pem");
    not_loaded(one.cert, "/nowhere/pkey.pem", "/nowhere/pkey.pem");
    not_loaded(one.pkey, other.pkey, one.pkey);
    not_loaded(one.cert, other.cert, other.cert);
    not_loaded(one.cert, other.pkey, other.pkey);
    not_loaded(locked.cert, locked.pkey, locked.pkey);
    not_loaded(weak.cert, weak.pkey, weak.cert);
    certificate_remove(&one);
    certificate_remove(&other);
    certificate_remove(&locked);
    certificate_remove(&weak);
}

TEST(a_certificate_out_of_its_time_is_used_and_doubted)
{
    const long past[] = {-86400, -3600}, future[] = {86400, 2 * 86400};
    const int64_t now = time(NULL);
    const struct certificate made[] = {certificate_named(EVP_EC_gen("P-256"), NULL, NULL, today),
                                       certificate_named(EVP_EC_gen("P-256"), NULL, NULL, past),
                                       certificate_named(EVP_EC_gen("P-256"), NULL, NULL, future)};
    const struct tls_pair pairs[] = {{made[0].cert, made[0].pkey}, {made[1].cert, made[1].pkey}, {made[2].cert, made[2].pkey}};
    struct tls_fault fault;
    char text[TLS_TEXT_MAX];
    struct tls *tls = tls_new(&(struct tls_config){pairs, 3}, &fault);
    CHECK(tls && !tls_doubt(tls, 0, now, text));
    CHECK(tls_doubt(tls, 1, now, text) && strncmp(text, "has expired: it was valid until 2", 33) == 0);
    CHECK(tls_doubt(tls, 2, now, text) && strncmp(text, "is not valid before 2", 21) == 0);
    CHECK(tls_doubt(tls, 0, now + 90000, text));
    tls_free(tls);
    for (size_t i = 0; i < 3; i++)
        certificate_remove(&made[i]);
}

TEST(a_file_that_changed_is_shown_after_it_is_loaded_and_a_bad_one_changes_nothing)
{
    struct shop shop = {0}, later = {0};
    struct tls_fault fault;
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example");
    shop_open(&shop);
    shop_add(&later, EVP_EC_gen("P-256"), "DNS:one.example");
    shop_add(&later, EVP_RSA_gen(2048), "DNS:two.example");
    CHECK_INT(tls_load(shop.tls, &later.config, &fault), 0);
    later.tls = shop.tls;
    CHECK_INT(which(&later, (struct wish){.name = "one.example"}), 0);
    CHECK_INT(which(&later, (struct wish){.name = "two.example", .datagrams = true}), 1);
    CHECK(truncate(later.pairs[1].pkey, 20) == 0);
    CHECK_INT(tls_load(shop.tls, &later.config, &fault), ERR_BAD);
    CHECK_INT(fault.pair, 1);
    CHECK(fault.in_key);
    CHECK_INT(which(&later, (struct wish){.name = "one.example"}), 0);
    CHECK_INT(which(&later, (struct wish){.name = "two.example"}), 1);
    shop_close(&shop);
    later.tls = NULL;
    shop_close(&later);
}

struct reloads {
    struct shop *shop;
    unsigned failed;
};

static void *reload_while(void *arg)
{
    struct reloads *reloads = arg;
    struct tls_fault fault;
    for (int i = 0; i < 50; i++)
        reloads->failed += tls_load(reloads->shop->tls, &reloads->shop->config, &fault) != 0;
    return NULL;
}

TEST(handshakes_go_on_while_another_thread_replaces_the_certificates)
{
    struct shop shop = {0};
    struct reloads reloads = {.shop = &shop};
    pthread_t thread;
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example");
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:two.example");
    shop_open(&shop);
    CHECK(pthread_create(&thread, NULL, reload_while, &reloads) == 0);
    size_t wrong = 0;
    for (int i = 0; i < 50; i++)
        wrong += which(&shop, (struct wish){.name = "two.example", .datagrams = i % 2}) != 1;
    pthread_join(thread, NULL);
    CHECK_INT(wrong, 0);
    CHECK_INT(reloads.failed, 0);
    shop_close(&shop);
}

TEST(a_session_goes_on_with_its_ticket_until_the_keys_are_new)
{
    const struct wish ways[] = {{.version = TLS1_2_VERSION}, {.version = DTLS1_2_VERSION, .datagrams = true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (int load = 0; load < 2; load++) {
            struct shop shop = {0};
            struct tls_fault fault;
            SSL_SESSION *session = NULL;
            struct wish wish = ways[i];
            wish.session = &session;
            shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example");
            shop_open(&shop);
            CHECK_INT(which(&shop, wish), 0);
            CHECK_INT(which(&shop, wish), NOBODY); /* shown none: resumed */
            CHECK_INT(load ? tls_load(shop.tls, &shop.config, &fault) : tls_renew(shop.tls), 0);
            CHECK_INT(which(&shop, wish), 0);
            CHECK_INT(which(&shop, wish), NOBODY);
            SSL_SESSION_free(session);
            shop_close(&shop);
        }
}

static unsigned descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void reload_often(struct shop *shop)
{
    const struct tls_pair bad[] = {shop->pairs[0], {shop->pairs[1].cert, shop->pairs[0].pkey}};
    struct tls_fault fault;
    for (int i = 0; i < 200; i++) {
        CHECK_INT(tls_load(shop->tls, &shop->config, &fault), 0);
        CHECK_INT(tls_load(shop->tls, &(struct tls_config){bad, 2}, &fault), ERR_BAD);
        if (i % 20 == 0)
            CHECK_INT(which(shop, (struct wish){.name = "two.example"}), 1);
    }
}

TEST(two_hundred_reloads_leave_nothing_behind)
{
    struct shop shop = {0};
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example");
    shop_add(&shop, EVP_RSA_gen(2048), "DNS:two.example");
    shop_open(&shop);
    reload_often(&shop); /* OpenSSL fills its caches */
    const size_t before = mallinfo2().uordblks;
    const unsigned open = descriptors();
    reload_often(&shop);
    CHECK_INT(descriptors(), open);
    CHECK(mallinfo2().uordblks < before + 20000);
    shop_close(&shop);
}

TEST(a_set_without_memory_is_none_and_the_old_one_stays)
{
    struct shop shop = {0};
    struct tls_fault fault;
    shop_add(&shop, EVP_EC_gen("P-256"), "DNS:one.example");
    shop_open(&shop);
    test_fail_malloc_after(0);
    CHECK_INT(tls_load(shop.tls, &shop.config, &fault), ERR_BAD);
    test_fail_malloc_after(-1);
    CHECK_TEXT(fault.text, "out of memory");
    CHECK_INT(which(&shop, (struct wish){0}), 0);
    shop_close(&shop);
}

TEST_LIST(RUN(the_name_that_a_client_asks_for_chooses_the_certificate) RUN(the_kind_of_key_follows_the_clients_signature_algorithms)
              RUN(without_a_subject_alt_name_the_common_name_counts) RUN(a_certificate_that_cannot_be_used_is_blamed_by_name)
                  RUN(a_certificate_out_of_its_time_is_used_and_doubted)
                      RUN(a_file_that_changed_is_shown_after_it_is_loaded_and_a_bad_one_changes_nothing)
                          RUN(handshakes_go_on_while_another_thread_replaces_the_certificates)
                              RUN(a_session_goes_on_with_its_ticket_until_the_keys_are_new) RUN(two_hundred_reloads_leave_nothing_behind)
                                  RUN(a_set_without_memory_is_none_and_the_old_one_stays))
