/* Keys of the admin door: who opens it, until when, how often; what is said while the database is gone. */
#include "server/keyring.h"

#include "base/err.h"
#include "server/api_key.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define KEYS 3
#define NOW_S 1700000000

/* struct house: what the database would say. */
struct house {
    struct keyring *ring;
    struct crypto *crypto;
    struct store_api_key rows[KEYS];
    char tokens[KEYS][API_KEY_TOKEN_MAX + 1];
    int read; /* how often */
    bool is_gone;
    msec_t now;
    struct addr source;
    struct door_pass pass;
};

static int find(void *ctx, struct view id, struct store_api_key *out)
{
    struct house *house = ctx;
    house->read++;
    if (house->is_gone)
        return ERR_SYSTEM;
    for (size_t i = 0; i < KEYS; i++)
        if (*house->rows[i].id && view_equal(view_text(house->rows[i].id), id)) {
            *out = house->rows[i];
            return 0;
        }
    return ERR_NOT_FOUND;
}

static void house_open(struct house *house, uint32_t rate)
{
    static const char *const tenants[KEYS] = {"acme", "acme", "*"}, *const scopes[KEYS] = {"admin", "mint,usage:read",
                                                                                           "mint,usage:read,admin"};
    *house = (struct house){.now = 1000000, .source = addr_v4((const uint8_t[]){192, 0, 2, 1}, 4711), .crypto = crypto_new()};
    for (size_t i = 0; i < KEYS; i++) {
        struct api_key made;
        CHECK_INT(api_key_make(house->crypto, &made), 0);
        snprintf(house->tokens[i], sizeof house->tokens[i], "%s", made.token);
        snprintf(house->rows[i].id, sizeof house->rows[i].id, "%s", made.id);
        snprintf(house->rows[i].tenant, sizeof house->rows[i].tenant, "%s", tenants[i]);
        snprintf(house->rows[i].scopes, sizeof house->rows[i].scopes, "%s", scopes[i]);
        memcpy(house->rows[i].hash, made.hash, sizeof made.hash);
    }
    house->ring = keyring_new(&(struct keyring_config){.find = find, .ctx = house, .rate = rate});
    CHECK(house->ring != NULL);
}

static void house_close(struct house *house)
{
    keyring_free(house->ring);
    crypto_free(house->crypto);
}

static unsigned come(struct house *house, const char *token)
{
    const struct keyring_visit visit = {token, &house->source, house->now, (int64_t)NOW_S * 1000 + (house->now - 1000000)};
    keyring_admit(house->ring, &visit, &house->pass);
    return house->pass.status;
}

TEST(a_key_is_its_tenants_with_its_scopes)
{
    struct house house;
    house_open(&house, 0);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    CHECK_TEXT(house.pass.caller.tenant, "acme");
    CHECK_TEXT(house.pass.caller.key, house.rows[0].id);
    CHECK_INT(house.pass.caller.scopes, DOOR_ADMIN);
    CHECK_INT(come(&house, house.tokens[1]), 0);
    CHECK_INT(house.pass.caller.scopes, DOOR_MINT | DOOR_USAGE_READ);
    CHECK_INT(come(&house, house.tokens[2]), 0);
    CHECK_TEXT(house.pass.caller.tenant, "*");
    CHECK_INT(house.pass.caller.scopes, DOOR_SCOPES);
    house_close(&house);
}

TEST(what_is_no_key_is_refused_alike_and_read_each_time)
{
    struct house house;
    char token[API_KEY_TOKEN_MAX + 8], reason[128];
    house_open(&house, 0);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    snprintf(token, sizeof token, "%s", house.tokens[0]);
    token[strlen(token) - 1] ^= 1;
    house.read = 0;
    CHECK_INT(come(&house, token), 401);
    snprintf(reason, sizeof reason, "%s", house.pass.reason);
    CHECK_INT(house.read, 1);
    token[5] = 'x';
    CHECK_INT(come(&house, token), 401);
    CHECK_TEXT(house.pass.reason, reason);
    CHECK_INT(house.read, 2);
    const char *const none[] = {"", ".", "rk_", "rk_1.", ".secret", "x", house.rows[0].id};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK_INT(come(&house, none[i]), 401);
    snprintf(token, sizeof token, "%sx", house.tokens[0]);
    CHECK_INT(come(&house, token), 401); /* the tenth, and the last */
    CHECK_INT(come(&house, token), 429);
    CHECK_TEXT(house.pass.caller.tenant, "");
    house_close(&house);
}

TEST(a_key_that_is_revoked_opens_nothing_half_a_second_later_and_one_that_is_forgotten_at_once)
{
    struct house house;
    house_open(&house, 0);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    CHECK_INT(come(&house, house.tokens[1]), 0);
    house.rows[0].revoked_ms = house.rows[1].revoked_ms = 1;
    CHECK_INT(house.read, 2);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    CHECK_INT(house.read, 2);
    keyring_forget(house.ring, house.rows[1].id);
    CHECK_INT(come(&house, house.tokens[1]), 401);
    house.now += KEYRING_FRESH_MS;
    CHECK_INT(come(&house, house.tokens[0]), 401);
    house.is_gone = true;
    CHECK_INT(come(&house, house.tokens[0]), 503);
    house_close(&house);
}

TEST(a_key_ends_at_its_time)
{
    struct house house;
    house_open(&house, 0);
    house.rows[0].expires_ms = (int64_t)NOW_S * 1000 + 300;
    CHECK_INT(come(&house, house.tokens[0]), 0);
    house.now += 299;
    CHECK_INT(come(&house, house.tokens[0]), 0);
    house.now++;
    CHECK_INT(come(&house, house.tokens[0]), 401);
    house_close(&house);
}

TEST(while_the_database_is_gone_keys_that_were_good_go_on_for_a_while)
{
    struct house house;
    char token[API_KEY_TOKEN_MAX + 1];
    house_open(&house, 0);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    house.is_gone = true;
    house.now += KEYRING_GRACE_MS - 1;
    CHECK_INT(come(&house, house.tokens[0]), 0);
    CHECK_INT(come(&house, house.tokens[1]), 503);
    CHECK(house.pass.retry_s > 0);
    snprintf(token, sizeof token, "%s", house.tokens[0]);
    token[strlen(token) - 1] ^= 1;
    CHECK_INT(come(&house, token), 503);
    house.now++;
    CHECK_INT(come(&house, house.tokens[0]), 503);
    house.is_gone = false;
    CHECK_INT(come(&house, house.tokens[0]), 0);
    house_close(&house);
}

TEST(a_key_has_its_rate_also_when_it_is_read_anew)
{
    struct house house;
    int passed = 0;
    house_open(&house, 5);
    for (int i = 0; i < 100; i++, house.now += 20) /* two seconds */
        passed += come(&house, house.tokens[0]) == 0;
    CHECK(passed >= 13 && passed <= 15);
    come(&house, house.tokens[0]);
    CHECK_INT(come(&house, house.tokens[0]), 429);
    CHECK_INT(house.pass.retry_s, 1);
    CHECK_INT(come(&house, house.tokens[1]), 0);
    house_close(&house);
}

TEST(a_source_is_told_so_often_that_its_key_is_wrong_and_others_are_not_disturbed)
{
    struct house house;
    int told = 0;
    house_open(&house, 0);
    for (int i = 0; i < 100; i++, house.source.port++)
        told += come(&house, "rk_x.y") == 401;
    CHECK_INT(told, KEYRING_WRONG);
    CHECK_INT(house.pass.retry_s, 1);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    house.source = addr_v6((const uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, 0, 1, 2}, 1);
    for (told = 0; told < 99 && come(&house, "rk_x.y") == 401; told++)
        house.source.ip[7]++; /* all of one /56 */
    CHECK_INT(told, KEYRING_WRONG);
    house.now += 1000;
    CHECK_INT(come(&house, "rk_x.y"), 401);
    CHECK_INT(come(&house, "rk_x.y"), 429);
    house.source = (struct addr){0};
    for (int i = 0; i < 50; i++)
        CHECK_INT(come(&house, "rk_x.y"), 401);
    house_close(&house);
}

TEST(more_keys_than_there_is_room_for_take_turns)
{
    struct house house;
    house_open(&house, 0);
    CHECK_INT(come(&house, house.tokens[0]), 0);
    for (int i = 0; i < KEYRING_KEYS + 10; i++) {
        snprintf(house.rows[1].id, sizeof house.rows[1].id, "rk_%d", i);
        char token[API_KEY_TOKEN_MAX + 1];
        snprintf(token, sizeof token, "rk_%d.%s", i, strchr(house.tokens[1], '.') + 1);
        CHECK_INT(come(&house, token), 0);
    }
    house.read = 0;
    CHECK_INT(come(&house, house.tokens[0]), 0);
    CHECK_INT(house.read, 1);
    house_close(&house);
}

TEST(scopes_are_words_with_commas)
{
    unsigned scopes;
    CHECK(api_key_scopes("usage:read", &scopes) && scopes == DOOR_USAGE_READ);
    CHECK(api_key_scopes("admin,mint", &scopes) && scopes == (DOOR_ADMIN | DOOR_MINT));
    CHECK(!api_key_scopes("", &scopes) && !api_key_scopes("mint,", &scopes) && !api_key_scopes("mint admin", &scopes));
    CHECK(!api_key_scopes("usage", &scopes) && !api_key_scopes("operator", &scopes));
}

TEST_LIST(RUN(a_key_is_its_tenants_with_its_scopes) RUN(what_is_no_key_is_refused_alike_and_read_each_time)
              RUN(a_key_that_is_revoked_opens_nothing_half_a_second_later_and_one_that_is_forgotten_at_once) RUN(a_key_ends_at_its_time)
                  RUN(while_the_database_is_gone_keys_that_were_good_go_on_for_a_while) RUN(a_key_has_its_rate_also_when_it_is_read_anew)
                      RUN(a_source_is_told_so_often_that_its_key_is_wrong_and_others_are_not_disturbed)
                          RUN(more_keys_than_there_is_room_for_take_turns) RUN(scopes_are_words_with_commas))
