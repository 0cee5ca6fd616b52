/* sha256.c: password algorithms, bid-down protection, MESSAGE-INTEGRITY-SHA256 and USERHASH. RFC 8489 sections 9.2 and 14.6. */
#include "world.h"

#include "base/err.h"

static const uint8_t offer[] = {0, STUN_SHA256, 0, 0, 0, STUN_MD5, 0, 0};
static const uint8_t sha256[] = {0, STUN_SHA256, 0, 0}, md5[] = {0, STUN_MD5, 0, 0};

/* struct how: what a client puts into a request; an empty view is left out. */
struct how {
    struct view offered, taken;
    bool sha256_key, weak_mac, strong_mac, userhash;
};

#define OFFER view_of(offer, sizeof offer)
#define TAKE(algorithm) view_of(algorithm, sizeof algorithm)
#define STRONG ((struct how){.offered = OFFER, .taken = TAKE(sha256), .sha256_key = true, .strong_mac = true})
#define PLAIN ((struct how){.weak_mac = true})

static void offering(struct engine_config *config, struct world *w)
{
    (void)w;
    config->offer_sha256 = true;
}

/* both_keys: ann's and bob's key of the kind that the client wants. */
static void both_keys(struct world *w, const struct question *question, struct verdict *verdict)
{
    const struct request *request = question->request;
    world_key(w, question, verdict);
    if (verdict->kind != VERDICT_KEY || !request->wants_sha256)
        return;
    char password[sizeof verdict->user + 16];
    snprintf(password, sizeof password, "secret of %s", verdict->user);
    verdict->keys[0].len = INTEGRITY_KEY_SHA256_LEN;
    CHECK_INT(integrity_key_sha256(w->crypto, request->username, view_text(REALM), view_text(password), verdict->keys[0].bytes), 0);
}

static int ann_of_hash(void *ctx, const char *realm, struct view hash, char name[UNHASHED_MAX_LEN + 1])
{
    struct world *w = ctx;
    if (!integrity_is_userhash(w->crypto, view_text("ann"), view_text(realm), hash))
        return ERR_NOT_FOUND;
    snprintf(name, UNHASHED_MAX_LEN + 1, "ann");
    return 0;
}

static struct client start(struct world *w)
{
    world_start(w, offering);
    world_answer(w, HOOK_authenticate, both_keys);
    w->host.unhash = ann_of_hash;
    struct client c = client_at(w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    return c;
}

static struct view key_for(const struct client *c, bool strong, uint8_t key[INTEGRITY_KEY_SHA256_LEN])
{
    const struct view user = view_text(c->username), realm = view_text(c->realm), password = view_text(c->password);
    CHECK_INT((strong ? integrity_key_sha256 : integrity_key)(c->world->crypto, user, realm, password, key), 0);
    return view_of(key, strong ? INTEGRITY_KEY_SHA256_LEN : INTEGRITY_KEY_LEN);
}

/* finish: credentials on the request that was begun, as `how` says; and the answer is signed with the same kind of integrity. */
static int finish(struct client *c, struct how how)
{
    struct crypto *crypto = c->world->crypto;
    uint8_t bytes[INTEGRITY_KEY_SHA256_LEN], hash[INTEGRITY_USERHASH_LEN];
    const struct view key = key_for(c, how.sha256_key, bytes);
    CHECK_INT(integrity_userhash(crypto, view_text(c->username), view_text(c->realm), hash), 0);
    if (how.userhash)
        build_attr(&c->build, ATTR_USERHASH, view_of(hash, sizeof hash));
    else
        build_attr_text(&c->build, ATTR_USERNAME, c->username);
    build_attr_text(&c->build, ATTR_REALM, c->realm);
    build_attr_text(&c->build, ATTR_NONCE, c->nonce);
    if (how.offered.at)
        build_attr(&c->build, ATTR_PASSWORD_ALGORITHMS, how.offered);
    if (how.taken.at)
        build_attr(&c->build, ATTR_PASSWORD_ALGORITHM, how.taken);
    if (how.weak_mac)
        CHECK_INT(build_integrity(&c->build, crypto, key), 0);
    if (how.strong_mac)
        CHECK_INT(build_integrity_sha256(&c->build, crypto, key), 0);
    const struct view whole = build_end(&c->build);
    const struct send send = engine_from_client(c->world->engine, &c->flow, packet_of(whole), c->world->now); /* client_take knows MD5 keys alone */
    CHECK_INT(send.to, SEND_TO_CLIENT);
    CHECK_INT(message_open(&c->reply, send.bytes), 0);
    int code = 0;
    struct view reason;
    if (c->reply.class == STUN_ERROR)
        CHECK_INT(attr_error(&c->reply, &code, &reason), 0);
    const bool is_signed = code != STUN_UNAUTHENTICATED && code != STUN_BAD_REQUEST && code != STUN_STALE_NONCE;
    CHECK_INT(integrity_check_sha256(crypto, &c->reply, key) == 0, is_signed && how.strong_mac);
    CHECK_INT(integrity_check(crypto, &c->reply, key) == 0, is_signed && !how.strong_mac);
    return code;
}

static int allocate(struct client *c, struct how how)
{
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    return finish(c, how);
}

static int refresh(struct client *c, uint32_t lifetime_s, struct how how)
{
    client_begin(c, METHOD_REFRESH);
    build_attr_u32(&c->build, ATTR_LIFETIME, lifetime_s);
    return finish(c, how);
}

TEST(a_challenge_offers_both_and_says_so_in_the_nonce)
{
    struct world w;
    struct client c = start(&w);
    CHECK(view_equal(message_attr(&c.reply, SLOT_PASSWORD_ALGORITHMS), OFFER));
    CHECK_INT(strlen(c.nonce), 37);
    CHECK(memcmp(c.nonce, "obMatJos2gAAB", 13) == 0); /* 0x800001: bit 0 of 24, from the left and from the right */
    CHECK(!message_has(&c.reply, SLOT_USERNAME));
    world_skip(&w, 600000);
    CHECK_INT(allocate(&c, STRONG), STUN_STALE_NONCE);
    CHECK(view_equal(message_attr(&c.reply, SLOT_PASSWORD_ALGORITHMS), OFFER));
    world_end(&w);
}

static void hashing(struct engine_config *config, struct world *w)
{
    (void)w;
    config->offer_userhash = true;
}

static void hashing_and_offering(struct engine_config *config, struct world *w)
{
    hashing(config, w);
    offering(config, w);
}

TEST(each_feature_is_a_bit_of_the_nonce)
{
    static const struct {
        void (*change)(struct engine_config *, struct world *);
        const char *cookie;
    } cases[] = {{offering, "obMatJos2gAAB"}, {hashing, "obMatJos2QAAC"}, {hashing_and_offering, "obMatJos2wAAD"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        world_start(&w, cases[i].change);
        struct client c = client_at(&w, "198.18.0.1:5000", "ann");
        CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
        CHECK(strncmp(c.nonce, cases[i].cookie, 13) == 0);
        CHECK_INT(client_allocate(&c), 0); /* with USERNAME, as older clients go on to send it */
        world_end(&w);
    }
}

TEST(unless_told_to_nothing_is_offered)
{
    struct world w;
    world_start(&w, NULL);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK(!message_has(&c.reply, SLOT_PASSWORD_ALGORITHMS));
    CHECK_INT(strlen(c.nonce), 24);
    CHECK_INT(allocate(&c, STRONG), STUN_BAD_REQUEST);
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    CHECK_INT(allocate(&c, (struct how){.strong_mac = true}), 0); /* the HMAC is the client's choice */
    world_end(&w);
}

TEST(every_pair_of_key_and_integrity_logs_in)
{
    const struct how ways[] = {
        PLAIN,
        STRONG,
        {.strong_mac = true},
        {.offered = OFFER, .taken = TAKE(sha256), .sha256_key = true, .weak_mac = true},
        {.offered = OFFER, .taken = TAKE(md5), .strong_mac = true},
        {.offered = OFFER, .taken = TAKE(md5), .weak_mac = true},
        {.offered = OFFER, .taken = TAKE(sha256), .sha256_key = true, .weak_mac = true, .strong_mac = true},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct world w;
        struct client c = start(&w);
        CHECK_INT(allocate(&c, ways[i]), 0);
        CHECK_INT(refresh(&c, 600, ways[i]), 0);
        CHECK_INT(w.asked[HOOK_authenticate], 1);
        CHECK_INT(allocate(&c, ways[i]), STUN_MISMATCH);
        CHECK_INT(refresh(&c, 0, ways[i]), 0);
        world_end(&w);
    }
}

/* section 9.2.4: both must be there, the offer as it was sent, the algorithm out of it */
TEST(an_offer_that_was_changed_on_its_way_is_400)
{
    static const uint8_t shortened[] = {0, STUN_MD5, 0, 0}, turned[] = {0, STUN_MD5, 0, 0, 0, STUN_SHA256, 0, 0};
    static const uint8_t third[] = {0, 3, 0, 0}, with_parameters[] = {0, STUN_SHA256, 0, 4, 1, 2, 3, 4}, half[] = {0, STUN_SHA256};
    const struct how ways[] = {
        {.taken = TAKE(md5)},
        {.taken = TAKE(sha256), .sha256_key = true},
        {.offered = OFFER},
        {.offered = TAKE(shortened), .taken = TAKE(md5)},
        {.offered = TAKE(turned), .taken = TAKE(md5)},
        {.offered = TAKE(sha256), .taken = TAKE(sha256), .sha256_key = true},
        {.offered = OFFER, .taken = TAKE(third)},
        {.offered = OFFER, .taken = TAKE(with_parameters), .sha256_key = true},
        {.offered = OFFER, .taken = TAKE(half), .sha256_key = true},
        {.offered = view_of(offer, 0), .taken = TAKE(md5)},
    };
    struct world w;
    struct client c = start(&w);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct how how = ways[i];
        how.strong_mac = true;
        CHECK_INT(allocate(&c, how), STUN_BAD_REQUEST);
        how.strong_mac = false;
        how.weak_mac = true;
        CHECK_INT(allocate(&c, how), STUN_BAD_REQUEST);
    }
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    world_end(&w);
}

TEST(features_taken_out_of_the_nonce_make_it_stale)
{
    struct world w;
    struct client c = start(&w);
    struct client without = c, fewer = c;
    memmove(without.nonce, c.nonce + 13, strlen(c.nonce + 13) + 1);
    CHECK_INT(allocate(&without, PLAIN), STUN_STALE_NONCE);
    fewer.nonce[9] = 'A';
    CHECK_INT(allocate(&fewer, PLAIN), STUN_STALE_NONCE);
    CHECK_INT(allocate(&c, PLAIN), 0);
    world_end(&w);
}

TEST(a_key_of_the_other_kind_is_no_key)
{
    struct world w;
    struct client c = start(&w);
    struct how wrong = STRONG;
    wrong.sha256_key = false;
    CHECK_INT(allocate(&c, wrong), STUN_UNAUTHENTICATED);
    wrong = PLAIN;
    wrong.sha256_key = true;
    CHECK_INT(allocate(&c, wrong), STUN_UNAUTHENTICATED);
    world_answer(&w, HOOK_authenticate, world_key); /* MD5 alone */
    CHECK_INT(allocate(&c, STRONG), STUN_UNAUTHENTICATED);
    CHECK_INT(engine_counts(w.engine)->auth_failed, 3);
    CHECK_INT(engine_allocations(w.engine), 0);
    world_end(&w);
}

TEST(the_stronger_integrity_decides_where_there_are_two)
{
    struct world w;
    struct client c = start(&w);
    uint8_t bytes[INTEGRITY_KEY_SHA256_LEN];
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr_text(&c.build, ATTR_USERNAME, c.username);
    build_attr_text(&c.build, ATTR_REALM, c.realm);
    build_attr_text(&c.build, ATTR_NONCE, c.nonce);
    CHECK_INT(build_integrity(&c.build, w.crypto, key_for(&c, false, bytes)), 0);
    CHECK_INT(build_integrity_sha256(&c.build, w.crypto, view_text("another")), 0);
    const struct view whole = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, whole.at, whole.len), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(a_client_may_change_its_algorithm_and_is_asked_for_anew)
{
    struct world w;
    struct client c = start(&w);
    CHECK_INT(allocate(&c, PLAIN), 0);
    CHECK_INT(refresh(&c, 600, STRONG), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 2);
    CHECK_INT(refresh(&c, 600, STRONG), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 2);
    CHECK_INT(refresh(&c, 600, PLAIN), 0);
    CHECK_INT(w.asked[HOOK_authenticate], 3);
    world_end(&w);
}

TEST(a_userhash_stands_for_its_name)
{
    struct world w;
    struct client c = start(&w);
    struct how hashed = STRONG;
    hashed.userhash = true;
    CHECK_INT(allocate(&c, hashed), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].user, "ann");
    CHECK_INT(refresh(&c, 600, STRONG), 0); /* of the same user by name */
    hashed = PLAIN;                         /* as libjuice does */
    hashed.userhash = true;
    CHECK_INT(refresh(&c, 600, hashed), 0);
    snprintf(c.password, sizeof c.password, "wrong");
    CHECK_INT(refresh(&c, 600, hashed), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(an_unknown_userhash_is_401_and_one_of_another_length_400)
{
    struct world w;
    struct client c = start(&w);
    struct how hashed = STRONG;
    hashed.userhash = true;
    snprintf(c.username, sizeof c.username, "eve");
    CHECK_INT(allocate(&c, hashed), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "unknown_user");
    w.host.unhash = NULL;
    CHECK_INT(allocate(&c, hashed), STUN_UNAUTHENTICATED);
    CHECK_INT(w.asked[HOOK_authenticate], 0);
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_USERHASH, view_of(offer, sizeof offer));
    build_attr_text(&c.build, ATTR_REALM, c.realm);
    build_attr_text(&c.build, ATTR_NONCE, c.nonce);
    CHECK_INT(build_integrity(&c.build, w.crypto, view_text("key")), 0);
    const struct view whole = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, whole.at, whole.len), STUN_BAD_REQUEST);
    world_end(&w);
}

/* knows_hash: a policy that knows ann by her hash alone; it calls her what the verdict of the test says. */
static void knows_hash(struct world *w, const struct question *question, struct verdict *verdict)
{
    const struct request *request = question->request;
    CHECK_INT(request->username.len, 0);
    if (!integrity_is_userhash(w->crypto, view_text("ann"), view_text(REALM), request->userhash))
        return;
    *verdict = verdict_key(w, "ann", "secret of ann");
    snprintf(verdict->user, sizeof verdict->user, "%s", w->verdict.user);
}

TEST(a_policy_may_know_whose_userhash_it_is)
{
    struct world w;
    struct how hashed = PLAIN;
    hashed.userhash = true;
    world_start(&w, hashing);
    world_answer(&w, HOOK_authenticate, knows_hash);
    struct client c = client_at(&w, "198.18.0.1:5000", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    snprintf(w.verdict.user, sizeof w.verdict.user, "north-ann"); /* not the name of this hash */
    CHECK_INT(allocate(&c, hashed), STUN_UNAUTHENTICATED);
    snprintf(w.verdict.user, sizeof w.verdict.user, "ann");
    CHECK_INT(allocate(&c, hashed), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].user, "ann");
    const unsigned asked = w.asked[HOOK_authenticate];
    CHECK_INT(refresh(&c, 600, hashed), 0); /* the owner of the allocation is known by her hash */
    CHECK_INT(w.asked[HOOK_authenticate], asked);
    snprintf(c.username, sizeof c.username, "eve");
    CHECK_INT(refresh(&c, 600, hashed), STUN_UNAUTHENTICATED);
    world_end(&w);
}

TEST(a_parked_request_keeps_its_algorithm_and_its_name)
{
    struct world w;
    struct client c = start(&w);
    uint8_t bytes[INTEGRITY_KEY_SHA256_LEN], hash[INTEGRITY_USERHASH_LEN];
    const struct view key = key_for(&c, true, bytes);
    struct verdict verdict = {.kind = VERDICT_KEY, .key_count = 1, .keys[0].len = INTEGRITY_KEY_SHA256_LEN};
    memcpy(verdict.keys[0].bytes, key.at, key.len);
    world_answer(&w, HOOK_authenticate, world_later);
    CHECK_INT(integrity_userhash(w.crypto, view_text("ann"), view_text(c.realm), hash), 0);
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    build_attr(&c.build, ATTR_USERHASH, view_of(hash, sizeof hash));
    build_attr_text(&c.build, ATTR_REALM, c.realm);
    build_attr_text(&c.build, ATTR_NONCE, c.nonce);
    build_attr(&c.build, ATTR_PASSWORD_ALGORITHMS, OFFER);
    build_attr(&c.build, ATTR_PASSWORD_ALGORITHM, TAKE(sha256));
    CHECK_INT(build_integrity_sha256(&c.build, w.crypto, key), 0);
    const struct view whole = build_end(&c.build);
    CHECK_INT(client_send_bytes(&c, whole.at, whole.len), NO_ANSWER);
    CHECK_INT(client_take(&c, engine_resume(w.engine, w.ticket, &verdict, w.now)), 0);
    CHECK_INT(integrity_check_sha256(w.crypto, &c.reply, key), 0);
    CHECK_TEXT(w.told[EVENT_ALLOCATED].user, "ann");
    world_end(&w);
}

TEST_LIST(RUN(a_challenge_offers_both_and_says_so_in_the_nonce) RUN(each_feature_is_a_bit_of_the_nonce)
              RUN(unless_told_to_nothing_is_offered) RUN(every_pair_of_key_and_integrity_logs_in)
                  RUN(an_offer_that_was_changed_on_its_way_is_400) RUN(features_taken_out_of_the_nonce_make_it_stale)
                      RUN(a_key_of_the_other_kind_is_no_key) RUN(the_stronger_integrity_decides_where_there_are_two)
                          RUN(a_client_may_change_its_algorithm_and_is_asked_for_anew) RUN(a_userhash_stands_for_its_name)
                              RUN(an_unknown_userhash_is_401_and_one_of_another_length_400) RUN(a_policy_may_know_whose_userhash_it_is)
                                  RUN(a_parked_request_keeps_its_algorithm_and_its_name))
