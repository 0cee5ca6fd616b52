/* mint.c: orders become credentials or refusals: rates, keys that are used again, what may be named, and the forms of the answer. */
#include "server/mint_answer.h"

#include "base/err.h"
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASTER "0123456789abcdef0123456789abcdef"
#define UNIX_MS INT64_C(1588297377000) /* Fri, 01 May 2020 01:42:57 */

struct stage {
    struct config config;
    struct service service;
    struct mint *mint;
    char path[64];
    const char *files[1];
};

static void stage_open(struct stage *stage)
{
    char why[256];
    struct refusal refusal;
    *stage = (struct stage){.path = "/tmp/relay-mint-XXXXXX"};
    const int fd = mkstemp(stage->path);
    CHECK(fd >= 0 && dprintf(fd, "%s\n", MASTER) > 0);
    close(fd);
    stage->files[0] = stage->path;
    stage->config.mint_secret_files = stage->files;
    stage->config.mint_secret_file_count = 1;
    stage->config.no_tls = stage->config.no_dtls = true;
    stage->config.listening_port = 3478;
    stage->config.tls_listening_port = 5349;
    stage->service.config = &stage->config;
    stage->service.ledger.tenants = tenants_new(8);
    tenants_tell(stage->service.ledger.tenants, view_text("acme"), &(struct tenant_news){0});
    CHECK_INT(mint_secrets_open(&stage->config, &stage->service.mint_secrets, &refusal), 0);
    CHECK_INT(mint_open(&stage->service, &stage->mint, why, sizeof why), 0);
}

static void stage_close(struct stage *stage)
{
    mint_close(stage->mint);
    mint_secrets_free(stage->service.mint_secrets);
    tenants_free(stage->service.ledger.tenants);
    unlink(stage->path);
}

static struct mint_order order_of(const char *tenant)
{
    return (struct mint_order){.tenant = tenant, .kid = "k1", .tag = "ann", .room = "", .ttl_s = 600};
}

TEST(an_order_becomes_a_credential_that_verifies)
{
    struct stage stage;
    struct minted minted;
    struct mint_credential credential;
    struct mint_refusal refusal;
    char key[MINTED_KEY_LEN + 1], password[MINTED_PASSWORD_LEN + 1];
    struct mint_order order = order_of("acme");
    order.room = "red";
    order.max_bps = 5;
    order.max_allocations = 6;
    stage_open(&stage);
    CHECK_INT(mint_make(stage.mint, &order, &credential, &refusal), 0);
    CHECK_INT(minted_parse(view_text(credential.username), &minted), 0);
    CHECK_TEXT(minted.tenant, "acme");
    CHECK_TEXT(minted.room, "red");
    CHECK_TEXT(minted.cid, credential.cid);
    CHECK_INT(minted.max_bps, 5);
    CHECK_INT(minted.max_allocations, 6);
    CHECK_INT(minted.expires_unix_s - credential.made_unix_s, 600);
    CHECK_INT(minted_key(stage.mint->crypto, MASTER, "acme", "k1", key), 0);
    CHECK_INT(minted_password(stage.mint->crypto, view_text(key), view_text(credential.username), password), 0);
    CHECK_TEXT(credential.password, password);
    CHECK_INT(tenants_at(stage.service.ledger.tenants, 0)->counts[TENANT_MINTED], 1);
    stage_close(&stage);
}

static void refused(struct stage *stage, const struct mint_order *order, enum mint_no no, const char *field)
{
    struct mint_credential credential;
    struct mint_refusal refusal;
    const uint64_t before = stage->mint->refused[no];
    CHECK(mint_make(stage->mint, order, &credential, &refusal) != 0);
    CHECK_TEXT(mint_noes[refusal.no], mint_noes[no]);
    CHECK_TEXT(refusal.field ? refusal.field : "", field);
    CHECK_INT(stage->mint->refused[no], before + 1);
}

TEST(what_is_wrong_is_refused_with_its_field)
{
    struct stage stage;
    char long_name[MINTED_NAME_MAX + 2] = "";
    memset(long_name, ':', MINTED_NAME_MAX);
    stage_open(&stage);
    const struct mint_order good = order_of("acme");
    struct mint_order bad = good;
    bad.ttl_s = MINT_TTL_MAX_S + 1;
    refused(&stage, &bad, MINT_BAD, "ttl");
    bad.ttl_s = 0;
    refused(&stage, &bad, MINT_BAD, "ttl");
    bad = good;
    bad.tag = "a,b";
    refused(&stage, &bad, MINT_BAD, "tag");
    bad.tag = long_name;
    bad.room = long_name;
    refused(&stage, &bad, MINT_BAD, "room");
    bad = good;
    bad.tenant = "";
    refused(&stage, &bad, MINT_BAD, "tenant");
    bad = good;
    bad.kid = "\n";
    refused(&stage, &bad, MINT_BAD, "key");
    bad = good;
    bad.again = "";
    refused(&stage, &bad, MINT_BAD, "Idempotency-Key");
    stage.service.drains_until = INT64_MAX;
    refused(&stage, &good, MINT_DRAINING, "");
    stage_close(&stage);
}

TEST(a_key_that_is_used_again_gives_the_same)
{
    struct stage stage;
    struct mint_credential first, again;
    struct mint_refusal refusal;
    stage_open(&stage);
    struct mint_order order = order_of("acme");
    order.again = "request-1";
    CHECK_INT(mint_make(stage.mint, &order, &first, &refusal), 0);
    CHECK_INT(mint_make(stage.mint, &order, &again, &refusal), 0);
    CHECK_TEXT(again.username, first.username);
    CHECK_TEXT(again.password, first.password);
    order.tag = "bob";
    refused(&stage, &order, MINT_REUSED, "Idempotency-Key");
    order.kid = "k2"; /* another caller's is another */
    CHECK_INT(mint_make(stage.mint, &order, &again, &refusal), 0);
    order = order_of("other");
    order.again = "request-1";
    CHECK_INT(mint_make(stage.mint, &order, &again, &refusal), 0);
    CHECK(strcmp(again.cid, first.cid) != 0);
    stage_close(&stage);
}

TEST(a_key_is_forgotten_in_time_and_by_number)
{
    struct mint_memory *memory = mint_memory_new();
    struct mint_asked asked = {.tenant = "acme", .key = {1}};
    struct mint_made made = {"c1", 1000, 1000 + MINT_TTL_MAX_S}, found;
    CHECK_INT(mint_memory_put(memory, &asked, &made), 0);
    CHECK_INT(mint_memory_find(memory, &asked, 1000 + MINT_DAY_S - 1, &found), 0);
    CHECK_TEXT(found.cid, "c1");
    CHECK_INT(mint_memory_find(memory, &asked, 1000 + MINT_DAY_S, &found), ERR_NOT_FOUND);
    asked.key[0] = 2;
    made.expires_unix_s = 1010;
    CHECK_INT(mint_memory_put(memory, &asked, &made), 0);
    CHECK_INT(mint_memory_find(memory, &asked, 1009, &found), 0);
    CHECK_INT(mint_memory_find(memory, &asked, 1010, &found), ERR_NOT_FOUND);
    for (int i = 0; i < MINT_REMEMBERED; i++) {
        asked.key[0] = 3;
        memcpy(asked.key + 1, &i, sizeof i);
        CHECK_INT(mint_memory_put(memory, &asked, &made), 0);
    }
    CHECK_INT(mint_memory_find(memory, &asked, 1000, &found), 0);
    CHECK_INT(mint_memory_find(memory, &(struct mint_asked){.tenant = "acme", .key = {1}}, 1001, &found), ERR_NOT_FOUND);
    mint_memory_free(memory);
}

TEST(a_name_has_its_rate)
{
    struct mint_rates *rates = mint_rates_new();
    int passed = 0;
    for (int i = 0; i < 100; i++)
        passed += mint_rates_take(rates, view_text("acme"), 10, 5000);
    CHECK_INT(passed, 10);
    CHECK(mint_rates_take(rates, view_text("other"), 10, 5000));
    CHECK(mint_rates_take(rates, view_text("acme"), 0, 5000));
    for (int i = 0; i < 100; i++)
        passed += mint_rates_take(rates, view_text("acme"), 10, 5500);
    CHECK(passed >= 14 && passed <= 15);
    for (int i = 0; i < 100 * MINT_RATE_PLACES; i++) /* names without end take no more memory */
        mint_rates_take(rates, view_of(&i, sizeof i), 10, 6000);
    mint_rates_free(rates);
}

TEST(the_rate_of_a_key_is_that_of_the_configuration)
{
    struct stage stage;
    struct mint_credential credential;
    struct mint_refusal refusal;
    int made = 0;
    stage_open(&stage);
    stage.config.mint_rate = 4;
    struct mint_order order = order_of("acme");
    for (int i = 0; i < 10; i++)
        made += mint_make(stage.mint, &order, &credential, &refusal) == 0;
    CHECK(made >= 4 && made <= 5);
    CHECK_INT(refusal.status, 429);
    CHECK_INT(refusal.retry_s, 1);
    order.kid = "k2";
    CHECK_INT(mint_make(stage.mint, &order, &credential, &refusal), 0);
    stage_close(&stage);
}

TEST(a_link_expires_and_is_good_once)
{
    struct test_links *links = test_links_new();
    struct crypto *crypto = crypto_new();
    const struct test_link acme = {.tenant = "acme", .kid = "k1", .expires_unix_s = 1010};
    struct test_link found;
    char token[TEST_TOKEN_LEN + 1], other[TEST_TOKEN_LEN + 1];
    CHECK_INT(test_link_make(links, crypto, &acme, 1000, token), 0);
    CHECK_INT(strlen(token), TEST_TOKEN_LEN);
    CHECK_INT(test_link_find(links, crypto, token, 1009, &found), 0);
    CHECK_TEXT(found.tenant, "acme");
    CHECK_INT(test_link_find(links, crypto, token, 1010, &found), ERR_NOT_FOUND);
    CHECK_INT(test_link_find(links, crypto, "", 1000, &found), ERR_NOT_FOUND);
    test_link_use(links, crypto, token);
    test_link_use(links, crypto, token);
    CHECK_INT(test_link_find(links, crypto, token, 1009, &found), ERR_NOT_FOUND);
    for (int i = 0; i < TEST_LINKS_EACH; i++)
        CHECK_INT(test_link_make(links, crypto, &acme, 1000, other), 0);
    CHECK_INT(test_link_make(links, crypto, &acme, 1000, token), ERR_BUSY);
    CHECK_INT(test_link_make(links, crypto, &(struct test_link){.tenant = "b", .expires_unix_s = 1010}, 1000, token), 0);
    CHECK_INT(test_link_make(links, crypto, &(struct test_link){.tenant = "acme", .expires_unix_s = 1020}, 1010, token), 0);
    crypto_free(crypto);
    test_links_free(links);
}

static void check_urls(const struct config *config, unsigned transports, const char *want)
{
    json_t *urls = mint_urls(config, transports);
    char *text = json_dumps(urls, JSON_COMPACT);
    CHECK_TEXT(text, want);
    free(text);
    json_decref(urls);
}

TEST(urls_name_what_is_listened_for)
{
    struct addr listening = addr_v4((const uint8_t[]){192, 0, 2, 1}, 0), any = addr_v4((const uint8_t[4]){0}, 0);
    struct config_external external = {.shown = addr_v4((const uint8_t[]){198, 51, 100, 1}, 0)};
    struct config config = {.listening_port = 3478, .tls_listening_port = 443, .listening_ips = &any, .listening_ip_count = 1};
    config.no_tls = config.no_dtls = true;
    check_urls(&config, 0, "[\"turn:localhost:3478?transport=udp\"]");
    config.listening_ips = &listening;
    check_urls(&config, MINT_TCP | MINT_UDP, "[\"turn:192.0.2.1:3478?transport=udp\",\"turn:192.0.2.1:3478?transport=tcp\"]");
    config.externals = &external;
    config.external_count = 1;
    config.no_udp = true;
    check_urls(&config, 0, "[\"turn:198.51.100.1:3478?transport=tcp\"]");
    CHECK_INT(mint_transports(&config), MINT_TCP);
    config.public_host = "2001:db8::1";
    check_urls(&config, 0, "[\"turn:[2001:db8::1]:3478?transport=tcp\"]");
    config.public_host = "turn.example.org";
    config.no_udp = config.no_tls = config.no_dtls = false;
    config.cert_count = 1;
    check_urls(&config, 0, "[\"turn:turn.example.org:3478?transport=udp\",\"turns:turn.example.org:443?transport=tcp\"]");
    check_urls(&config, MINT_DTLS, "[\"turns:turn.example.org:443?transport=udp\"]");
}

TEST(a_link_names_the_door_as_it_is_reached)
{
    char out[MINT_DOOR_MAX];
    struct config_door doors[] = {{.path = "door"}, {.at = addr_v4((const uint8_t[4]){0}, 8443)}, {.at = addr_v4((const uint8_t[]){192, 0, 2, 1}, 80)}};
    struct config config = {.doors = doors, .door_count = 1, .public_host = "relay.example.org", .admin_cert = "cert.pem"};
    CHECK_TEXT(mint_door(&config, out), "");
    config.door_count = 3;
    CHECK_TEXT(mint_door(&config, out), "https://relay.example.org:8443");
    doors[1] = doors[2];
    config.admin_cert = NULL;
    CHECK_TEXT(mint_door(&config, out), "http://192.0.2.1:80");
}

static void check_answer(enum mint_format format, const char *want)
{
    const struct config config = {.listening_port = 3478, .public_host = "h", .no_tls = true, .no_dtls = true};
    const struct mint_order order = order_of("acme");
    struct mint_credential credential = {.username = "u", .password = "p", .cid = "c", .made_unix_s = UNIX_MS / 1000, .expires_unix_s = 7};
    json_t *answer = mint_answer(&config, &order, &credential, format);
    char *text = json_dumps(answer, JSON_COMPACT);
    CHECK_TEXT(text, want);
    free(text);
    json_decref(answer);
}

#define URL "\"turn:h:3478?transport=udp\""

TEST(an_answer_has_the_form_that_was_asked_for)
{
    check_answer(mint_format(NULL), "{\"iceServers\":[{\"urls\":[" URL "],\"username\":\"u\",\"credential\":\"p\"}],\"credentialId\":\"c\",\"expiresAt\":7}");
    check_answer(mint_format("uberti"), "{\"username\":\"u\",\"password\":\"p\",\"ttl\":600,\"uris\":[" URL "]}");
    check_answer(mint_format("twilio"),
                 "{\"account_sid\":\"acme\",\"username\":\"u\",\"password\":\"p\",\"ttl\":\"600\",\"date_created\":\"Fri, 01 May 2020 01:42:57 +0000\","
                 "\"date_updated\":\"Fri, 01 May 2020 01:42:57 +0000\",\"ice_servers\":[{\"url\":" URL ",\"urls\":" URL ",\"username\":\"u\",\"credential\":\"p\"}]}");
    CHECK_INT(mint_format("xml"), MINT_FORMAT_COUNT);
}

TEST_LIST(RUN(an_order_becomes_a_credential_that_verifies) RUN(what_is_wrong_is_refused_with_its_field) RUN(a_key_that_is_used_again_gives_the_same)
              RUN(a_key_is_forgotten_in_time_and_by_number) RUN(a_name_has_its_rate) RUN(the_rate_of_a_key_is_that_of_the_configuration)
                  RUN(a_link_expires_and_is_good_once) RUN(urls_name_what_is_listened_for) RUN(a_link_names_the_door_as_it_is_reached) RUN(an_answer_has_the_form_that_was_asked_for))
