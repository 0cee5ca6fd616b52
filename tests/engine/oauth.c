/* oauth.c: third-party authorization with access tokens, RFC 7635; what a token says is the host's to find out (server/credentials.c). */
#include "world.h"

#include "turn/state.h"
#include "wire/token.h"

#include <stdlib.h>

#define NAME "turn.example.org"
#define NOW_S (START_UNIX_MS / 1000)

/* struct pass: a token as this host takes it, sealed by nothing: who issued it, until when it is good, and its key. */
struct pass {
    int64_t expires_unix_s;
    uint8_t key[TOKEN_MAC_KEY_SHA256_LEN], key_len;
    char tenant[32];
};

static struct pass pass_for(int64_t seconds, char fill)
{
    struct pass pass = {.expires_unix_s = NOW_S + seconds, .key_len = TOKEN_MAC_KEY_LEN};
    memset(pass.key, fill, sizeof pass.key);
    return pass;
}

static void offering(struct engine_config *config, struct world *w)
{
    (void)w;
    config->oauth = true;
    config->server_name = NAME;
}

/* passes: the kids are k1 and k2; without a token there are the users of the world. */
static void passes(struct world *w, const struct question *question, struct verdict *verdict)
{
    const struct request *request = question->request;
    struct pass pass;
    CHECK_TEXT(request->server_name, NAME);
    if (!request->access_token.at) {
        world_key(w, question, verdict);
        return;
    }
    CHECK_INT(request->access_token.len, sizeof pass);
    memcpy(&pass, request->access_token.at, sizeof pass);
    if (!view_equal(request->username, view_text("k1")) && !view_equal(request->username, view_text("k2")))
        return;
    *verdict = (struct verdict){.kind = VERDICT_KEY, .expires_unix_s = pass.expires_unix_s};
    verdict_take_token(verdict, view_of(pass.key, pass.key_len));
    view_copy(request->username, verdict->user, sizeof verdict->user);
    view_copy(view_text(pass.tenant), verdict->tenant, sizeof verdict->tenant);
}

static struct client start(struct world *w)
{
    world_start(w, offering);
    world_answer(w, HOOK_authenticate, passes);
    struct client c = client_at(w, "198.18.0.1:5000", "k1");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    return c;
}

static void put_names(struct client *c)
{
    build_attr_text(&c->build, ATTR_USERNAME, c->username);
    build_attr_text(&c->build, ATTR_REALM, c->realm);
    build_attr_text(&c->build, ATTR_NONCE, c->nonce);
}

/* finish: the request that was begun, signed with the key of `pass`; with its token, if it is to be shown. The answer's integrity is of the
 * same kind, where there is any. */
static int finish(struct client *c, const struct pass *pass, bool shown)
{
    struct crypto *crypto = c->world->crypto;
    const struct view key = view_of(pass->key, pass->key_len);
    const bool strong = pass->key_len == TOKEN_MAC_KEY_SHA256_LEN;
    if (shown)
        build_attr(&c->build, ATTR_ACCESS_TOKEN, view_of(pass, sizeof *pass));
    put_names(c);
    CHECK_INT((strong ? build_integrity_sha256 : build_integrity)(&c->build, crypto, key), 0);
    const struct send send = engine_from_client(c->world->engine, &c->flow, packet_of(build_end(&c->build)), c->world->now);
    CHECK_INT(send.to, SEND_TO_CLIENT);
    CHECK_INT(message_open(&c->reply, send.bytes), 0);
    int code = 0;
    struct view reason;
    if (c->reply.class == STUN_ERROR)
        CHECK_INT(attr_error(&c->reply, &code, &reason), 0);
    const bool is_signed = (strong ? integrity_check_sha256 : integrity_check)(crypto, &c->reply, key) == 0;
    CHECK_INT(is_signed, code != STUN_UNAUTHENTICATED && code != STUN_STALE_NONCE && code != STUN_BAD_REQUEST &&
                             (code != STUN_UNKNOWN_ATTRIBUTE || message_has(&c->reply, SLOT_MESSAGE_INTEGRITY)));
    attr_u32(&c->reply, SLOT_LIFETIME, &c->lifetime_s);
    return code;
}

static int allocate(struct client *c, const struct pass *pass)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    return finish(c, pass, true);
}

static int refresh(struct client *c, uint32_t lifetime_s, const struct pass *pass, bool shown)
{
    client_begin(c, METHOD_REFRESH);
    build_attr_u32(&c->build, ATTR_LIFETIME, lifetime_s);
    return finish(c, pass, shown);
}

static int permit(struct client *c, const struct pass *pass)
{
    client_begin(c, METHOD_CREATE_PERMISSION);
    client_peer(c, PEER);
    return finish(c, pass, false);
}

TEST(section_6_1_a_challenge_names_the_server)
{
    struct world w;
    struct client c = start(&w);
    const struct pass pass = pass_for(600, 'a');
    CHECK(view_equal(message_attr(&c.reply, SLOT_THIRD_PARTY_AUTHORIZATION), view_text(NAME)));
    CHECK(message_has(&c.reply, SLOT_REALM) && message_has(&c.reply, SLOT_NONCE));
    world_skip(&w, 600000);
    CHECK_INT(allocate(&c, &pass), STUN_STALE_NONCE);
    CHECK(view_equal(message_attr(&c.reply, SLOT_THIRD_PARTY_AUTHORIZATION), view_text(NAME)));
    world_end(&w);
}

static void without_a_name(struct engine_config *config, struct world *w)
{
    (void)w;
    config->oauth = true;
}

TEST(section_6_1_a_server_without_a_name_goes_by_its_realm)
{
    struct world w;
    world_start(&w, without_a_name);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK(view_equal(message_attr(&c.reply, SLOT_THIRD_PARTY_AUTHORIZATION), view_text(REALM)));
    world_end(&w);
}

TEST(section_7_a_token_that_nobody_asked_for_is_420)
{
    struct world w;
    world_start(&w, NULL);
    world_answer(&w, HOOK_authenticate, passes);
    struct client c = client_at(&w, "198.18.0.1:5000", "k1");
    const struct pass pass = pass_for(600, 'a');
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK(!message_has(&c.reply, SLOT_THIRD_PARTY_AUTHORIZATION));
    CHECK_INT(allocate(&c, &pass), STUN_UNKNOWN_ATTRIBUTE);
    const struct view unknown = message_attr(&c.reply, SLOT_UNKNOWN_ATTRIBUTES);
    CHECK_INT(unknown.len, 2);
    CHECK_INT(get_u16(unknown.at), ATTR_ACCESS_TOKEN);
    CHECK_INT(w.asked[HOOK_authenticate], 0);

    client_begin(&c, METHOD_BINDING);
    build_attr(&c.build, ATTR_ACCESS_TOKEN, view_text("token"));
    const struct view binding = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, binding.at, binding.len), STUN_UNKNOWN_ATTRIBUTE);
    world_end(&w);
}

TEST(section_7_the_key_of_the_token_signs_both_ways)
{
    struct world w;
    struct client c = start(&w);
    const struct pass pass = pass_for(1200, 'a');
    CHECK_INT(allocate(&c, &pass), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].user, "k1");
    CHECK_INT(permit(&c, &pass), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 1); /* the allocation remembers the key */
    CHECK_INT(refresh(&c, 0, &pass, true), 0);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(section_7_whoever_has_no_good_token_is_401)
{
    struct world w;
    struct client c = start(&w);
    struct pass pass = pass_for(600, 'a'), forged = pass;
    snprintf(c.username, sizeof c.username, "k3");
    CHECK_INT(allocate(&c, &pass), STUN_UNAUTHENTICATED); /* a kid that nobody knows */
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "unknown_user");
    const size_t len = c.reply.bytes.len;
    snprintf(c.username, sizeof c.username, "k1");
    pass.expires_unix_s = NOW_S;
    CHECK_INT(allocate(&c, &pass), STUN_UNAUTHENTICATED); /* expired */
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "expired");
    CHECK_INT(c.reply.bytes.len, len);

    client_begin(&c, METHOD_ALLOCATE); /* somebody's token, without its key */
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_ACCESS_TOKEN, view_of(&forged, sizeof forged));
    memset(forged.key, 'b', sizeof forged.key);
    CHECK_INT(finish(&c, &forged, false), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "bad_integrity");
    CHECK_INT(c.reply.bytes.len, len);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(section_6_2_each_length_of_key_goes_with_its_integrity)
{
    struct world w;
    struct client c = start(&w);
    struct pass pass = pass_for(600, 'a');
    pass.key_len = TOKEN_MAC_KEY_SHA256_LEN;
    CHECK_INT(allocate(&c, &pass), 0);
    CHECK_INT(permit(&c, &pass), 0);
    CHECK_INT(refresh(&c, 600, &pass, false), 0);

    struct client other = client_at(&w, "198.18.0.2:5000", "k1");
    CHECK_INT(client_challenge(&other), STUN_UNAUTHENTICATED);
    client_begin(&other, METHOD_ALLOCATE); /* 32 bytes under MESSAGE-INTEGRITY */
    client_wish_udp(&other);
    build_attr(&other.build, ATTR_ACCESS_TOKEN, view_of(&pass, sizeof pass));
    put_names(&other);
    CHECK_INT(build_integrity(&other.build, w.crypto, view_of(pass.key, pass.key_len)), 0);
    const struct view whole = build_end(&other.build);
    CHECK_INT(client_send_bytes(&other, whole.at, whole.len), STUN_UNAUTHENTICATED);
    world_end(&w);
}

/* coturn's clients, of every version, sign with the first 16 of 20 bytes */
TEST(a_key_that_the_client_shortens_to_16_bytes_signs_too)
{
    struct world w;
    struct client c = start(&w);
    const struct pass whole = pass_for(600, 'a');
    struct pass shortened = whole;
    shortened.key_len = 16;
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_ACCESS_TOKEN, view_of(&whole, sizeof whole));
    CHECK_INT(finish(&c, &shortened, false), 0);
    CHECK_INT(permit(&c, &shortened), 0);
    CHECK_INT(permit(&c, &whole), STUN_UNAUTHENTICATED); /* one of them, not now this and now that */
    CHECK_INT(w.asked[HOOK_authenticate], 1);
    world_end(&w);
}

TEST(section_9_no_allocation_outlives_its_token)
{
    struct world w;
    struct client c = start(&w);
    const struct pass pass = pass_for(277, 'a');
    CHECK_INT(allocate(&c, &pass), 0);
    CHECK_INT(c.lifetime_s, 277); /* less than the least that is granted otherwise */
    world_pass(&w, 100500);
    CHECK_INT(refresh(&c, 3600, &pass, false), 0);
    CHECK_INT(c.lifetime_s, 176); /* whole seconds */
    CHECK_INT(refresh(&c, 3600, &pass, true), 0);
    CHECK_INT(c.lifetime_s, 176);
    world_pass(&w, 175400);
    CHECK_INT(engine_allocations(w.engine), 1);
    CHECK_INT(refresh(&c, 3600, &pass, false), 0);
    CHECK_INT(c.lifetime_s, 1);
    world_pass(&w, 1100);
    CHECK_INT(engine_allocations(w.engine), 0);
    CHECK_INT(allocate(&c, &pass), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(section_9_a_new_token_refreshes_what_an_old_one_made)
{
    struct world w;
    struct client c = start(&w);
    const struct pass old = pass_for(300, 'a'), young = pass_for(900, 'b');
    CHECK_INT(allocate(&c, &old), 0);
    world_skip(&w, 200000);
    CHECK_INT(refresh(&c, 600, &young, true), 0);
    CHECK_INT(c.lifetime_s, 600);
    CHECK_INT(permit(&c, &young), 0);
    CHECK_INT(permit(&c, &old), STUN_UNAUTHENTICATED);
    world_pass(&w, 300000);
    CHECK_INT(engine_allocations(w.engine), 1);
    world_end(&w);
}

TEST(section_9_a_shorter_token_shortens_what_is_left)
{
    struct world w;
    struct client c = start(&w);
    const struct pass longer = pass_for(3600, 'a'), shorter = pass_for(60, 'b');
    CHECK_INT(allocate(&c, &longer), 0);
    CHECK_INT(refresh(&c, 600, &shorter, true), 0);
    CHECK_INT(c.lifetime_s, 60);
    world_pass(&w, 60001);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(section_9_the_new_token_may_be_under_a_new_key)
{
    struct world w;
    struct client c = start(&w);
    const struct pass old = pass_for(600, 'a'), young = pass_for(900, 'b');
    CHECK_INT(allocate(&c, &old), 0);
    snprintf(c.username, sizeof c.username, "k2");
    CHECK_INT(permit(&c, &old), STUN_UNAUTHENTICATED); /* nobody has said that k2 is this client */
    CHECK_INT(refresh(&c, 600, &young, true), 0);
    CHECK_INT(permit(&c, &young), 0);
    CHECK_INT(quota_user(w.shared.quota, view_text(""), view_text("k1")), 1); /* it counts where it began */
    CHECK_INT(quota_user(w.shared.quota, view_text(""), view_text("k2")), 0);
    snprintf(c.username, sizeof c.username, "k1");
    CHECK_INT(permit(&c, &old), STUN_UNAUTHENTICATED);
    snprintf(c.username, sizeof c.username, "k2");
    CHECK_INT(refresh(&c, 0, &young, true), 0);
    world_end(&w);
}

TEST(section_9_no_memory_for_a_new_name_leaves_the_old_one)
{
    struct world w;
    struct client c = start(&w);
    const struct pass old = pass_for(600, 'a'), young = pass_for(900, 'b');
    CHECK_INT(allocate(&c, &old), 0);
    snprintf(c.username, sizeof c.username, "k2");
    client_begin(&c, METHOD_REFRESH);
    test_fail_malloc_after(0);
    const int code = finish(&c, &young, true);
    test_fail_malloc_after(-1);
    CHECK_INT(code, STUN_CAPACITY);
    snprintf(c.username, sizeof c.username, "k1");
    CHECK_INT(permit(&c, &old), 0);
    world_end(&w);
}

TEST(a_reservation_is_claimed_by_another_token_of_the_same_tenant_alone)
{
    struct world w;
    struct client c = start(&w), other = client_at(&w, "198.18.0.2:5000", "k2");
    struct pass one = pass_for(600, 'a'), two = pass_for(600, 'b');
    uint64_t token;
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_EVEN_PORT, view_of("\x80", 1));
    CHECK_INT(finish(&c, &one, true), 0);
    CHECK_INT(attr_u64(&c.reply, SLOT_RESERVATION_TOKEN, &token), 0);
    CHECK_INT(client_challenge(&other), STUN_UNAUTHENTICATED);
    for (int is_same = 0; is_same < 2; is_same++) {
        snprintf(two.tenant, sizeof two.tenant, "%s", is_same ? "" : "other");
        client_begin(&other, METHOD_ALLOCATE);
        client_wish_udp(&other);
        build_attr_u64(&other.build, ATTR_RESERVATION_TOKEN, token);
        CHECK_INT(finish(&other, &two, true), is_same ? 0 : STUN_CAPACITY);
    }
    world_end(&w);
}

TEST(a_token_of_another_tenant_refreshes_nothing)
{
    struct world w;
    struct client c = start(&w);
    struct pass one = pass_for(600, 'a'), other = pass_for(900, 'b');
    snprintf(one.tenant, sizeof one.tenant, "one");
    snprintf(other.tenant, sizeof other.tenant, "other");
    CHECK_INT(allocate(&c, &one), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].tenant, "one");
    snprintf(c.username, sizeof c.username, "k2");
    CHECK_INT(refresh(&c, 600, &other, true), STUN_WRONG_CREDENTIALS);
    CHECK_INT(refresh(&c, 0, &other, true), STUN_WRONG_CREDENTIALS);
    snprintf(other.tenant, sizeof other.tenant, "one");
    CHECK_INT(refresh(&c, 600, &other, true), 0);
    world_end(&w);
}

TEST(tokens_and_passwords_do_not_mix)
{
    struct world w;
    struct client c = start(&w), ann = client_at(&w, "198.18.0.2:5000", "ann");
    struct pass pass = pass_for(600, 'a');
    CHECK_INT(client_allocate(&ann), 0); /* a password is as good as ever */
    CHECK_INT(client_refresh(&ann, 600), 0);
    snprintf(ann.username, sizeof ann.username, "k1");
    CHECK_INT(refresh(&ann, 600, &pass, true), STUN_WRONG_CREDENTIALS);
    snprintf(ann.username, sizeof ann.username, "ann");
    CHECK_INT(client_refresh(&ann, 600), 0);

    CHECK_INT(allocate(&c, &pass), 0);
    CHECK_INT(client_refresh(&c, 600), STUN_UNAUTHENTICATED); /* signed with a password */
    CHECK_INT(refresh(&c, 600, &pass, false), 0);
    world_end(&w);
}

TEST(a_refused_refresh_leaves_the_old_token_in_force)
{
    struct world w;
    struct client c = start(&w);
    const struct pass old = pass_for(600, 'a'), young = pass_for(60, 'b');
    CHECK_INT(allocate(&c, &old), 0);
    w.verdict = verdict_deny(STUN_FORBIDDEN, "no more");
    world_answer(&w, HOOK_refresh, world_says);
    CHECK_INT(refresh(&c, 600, &young, true), STUN_FORBIDDEN);
    CHECK_INT(permit(&c, &old), 0);
    CHECK_INT(allocate(&c, &young), STUN_MISMATCH);
    CHECK_INT(permit(&c, &old), 0);
    world_end(&w);
}

TEST(a_token_may_be_judged_later)
{
    struct world w;
    struct client c = start(&w);
    const struct pass pass = pass_for(300, 'a');
    struct verdict verdict = {.kind = VERDICT_KEY, .expires_unix_s = pass.expires_unix_s, .user = "k1"};
    verdict_take_token(&verdict, view_of(pass.key, pass.key_len));
    world_answer(&w, HOOK_authenticate, world_later);
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_ACCESS_TOKEN, view_of(&pass, sizeof pass));
    put_names(&c);
    CHECK_INT(build_integrity(&c.build, w.crypto, view_of(pass.key, pass.key_len)), 0);
    const struct view whole = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, whole.at, whole.len), NO_ANSWER);
    world_skip(&w, 2000);
    const struct send send = engine_resume(w.engine, w.ticket, &verdict, w.now);
    CHECK_INT(message_open(&c.reply, send.bytes), 0);
    CHECK_INT(integrity_check(w.crypto, &c.reply, view_of(pass.key, pass.key_len)), 0);
    CHECK_INT(attr_u32(&c.reply, SLOT_LIFETIME, &c.lifetime_s), 0);
    CHECK_INT(c.lifetime_s, 298);
    world_end(&w);
}

/* Many have tokens under one key's name: beside the mobility ticket the key of the token that made the allocation has to be there. */
TEST(a_mobility_ticket_moves_the_allocation_of_its_token_alone)
{
    struct world w;
    struct client c = start(&w);
    const struct pass mine = pass_for(300, 'a'), others = pass_for(900, 'b');
    char ticket[64];
    w.config.mobility = true; /* the engine reads it here */
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_text(&c.build, ATTR_MOBILITY_TICKET, "");
    CHECK_INT(finish(&c, &mine, true), 0);
    view_copy(message_attr(&c.reply, SLOT_MOBILITY_TICKET), ticket, sizeof ticket);
    static const struct {
        bool is_mine, shown;
        int code;
    } moves[] = {{false, true, STUN_WRONG_CREDENTIALS}, {false, false, STUN_UNAUTHENTICATED}, {true, false, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct client away = client_at(&w, "198.18.7.7:6000", "k1");
        CHECK_INT(client_challenge(&away), STUN_UNAUTHENTICATED);
        client_begin(&away, METHOD_REFRESH);
        build_attr_text(&away.build, ATTR_MOBILITY_TICKET, ticket);
        CHECK_INT(finish(&away, moves[i].is_mine ? &mine : &others, moves[i].shown), moves[i].code);
        CHECK_INT(w.held, moves[i].code ? 1 : 2);
    }
    world_end(&w);
}

TEST_LIST(RUN(a_mobility_ticket_moves_the_allocation_of_its_token_alone) RUN(section_6_1_a_challenge_names_the_server) RUN(section_6_1_a_server_without_a_name_goes_by_its_realm)
              RUN(section_7_a_token_that_nobody_asked_for_is_420) RUN(section_7_the_key_of_the_token_signs_both_ways)
                  RUN(section_7_whoever_has_no_good_token_is_401) RUN(section_6_2_each_length_of_key_goes_with_its_integrity)
                      RUN(a_key_that_the_client_shortens_to_16_bytes_signs_too) RUN(section_9_no_allocation_outlives_its_token)
                          RUN(section_9_a_new_token_refreshes_what_an_old_one_made) RUN(section_9_a_shorter_token_shortens_what_is_left)
                              RUN(section_9_the_new_token_may_be_under_a_new_key) RUN(section_9_no_memory_for_a_new_name_leaves_the_old_one)
                                  RUN(a_reservation_is_claimed_by_another_token_of_the_same_tenant_alone)
                                      RUN(a_token_of_another_tenant_refreshes_nothing) RUN(tokens_and_passwords_do_not_mix)
                                          RUN(a_refused_refresh_leaves_the_old_token_in_force) RUN(a_token_may_be_judged_later))
