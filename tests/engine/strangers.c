/* strangers.c: limits of a source address: answers to those who have not shown that they are there, wrong logins, allocations. */
#include "world.h"

static void limited(struct world *w, struct strangers_limits limits)
{
    world_start(w, NULL);
    w->shared.strangers = strangers_new(limits);
    engine_free(w->engine);
    w->engine = engine_new(&w->config, &w->shared, &w->host, FIRST_WORKER);
    engine_clock(w->engine, w->now, START_UNIX_MS);
}

static void finish(struct world *w)
{
    struct strangers *strangers = w->shared.strangers;
    world_end(w);
    strangers_free(strangers);
}

static struct client stranger(struct world *w, int n)
{
    struct client c = client_at(w, "198.18.0.1:1", "ann");
    c.flow.client.port = (uint16_t)(1000 + n);
    return c;
}

static int challenged(struct world *w, int tried)
{
    int answers = 0;
    for (int i = 0; i < tried; i++) {
        struct client c = stranger(w, i);
        answers += client_challenge(&c) == STUN_UNAUTHENTICATED;
    }
    return answers;
}

TEST(strangers_of_one_source_get_so_many_answers_a_second_and_others_theirs)
{
    struct world w;
    limited(&w, (struct strangers_limits){.answers = 10});
    CHECK_INT(challenged(&w, 500), 10);
    CHECK_INT(engine_counts(w.engine)->muted[MUTE_STRANGER], 490);
    struct client other = client_at(&w, "198.18.0.2:1", "bob");
    CHECK_INT(client_allocate(&other), 0);
    world_skip(&w, 300);
    CHECK_INT(challenged(&w, 500), 3);
    finish(&w);
}

TEST(who_has_shown_a_nonce_is_no_stranger)
{
    struct world w;
    limited(&w, (struct strangers_limits){.answers = 10});
    struct client c = client_at(&w, "198.18.0.1:1", "ann"), wrong = client_at(&w, "198.18.0.1:2", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_challenge(&wrong), STUN_UNAUTHENTICATED);
    CHECK_INT(challenged(&w, 500), 8);
    CHECK_INT(client_allocate(&c), 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(client_refresh(&c, 600), 0);
    snprintf(wrong.password, sizeof wrong.password, "wrong");
    for (int i = 0; i < 50; i++)
        CHECK_INT(client_allocate(&wrong), STUN_UNAUTHENTICATED);
    finish(&w);
}

TEST(a_forged_nonce_makes_no_friend)
{
    struct world w;
    limited(&w, (struct strangers_limits){.answers = 1});
    struct client c = client_at(&w, "198.18.0.1:1", "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    c.nonce[5] ^= 1;
    client_begin(&c, METHOD_ALLOCATE);
    client_wish_udp(&c);
    CHECK_INT(client_send(&c), NO_ANSWER);
    finish(&w);
}

TEST(ten_binding_answers_count_as_one)
{
    struct world w;
    limited(&w, (struct strangers_limits){.answers = 3});
    int answers = 0;
    for (int i = 0; i < 100; i++) {
        struct client c = stranger(&w, i);
        client_begin(&c, METHOD_BINDING);
        answers += client_send(&c) == 0;
    }
    CHECK_INT(answers, 30);
    finish(&w);
}

TEST(connections_are_answered_whoever_comes)
{
    struct world w;
    limited(&w, (struct strangers_limits){.answers = 2});
    for (int i = 0; i < 100; i++) {
        struct client c = client_over(&w, TRANSPORT_TCP, "198.18.0.1:1", SERVER_V4, "ann");
        c.flow.client.port = (uint16_t)(1000 + i);
        CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    }
    finish(&w);
}

/* ---- wrong logins ---- */

static int guess(struct client *c)
{
    snprintf(c->password, sizeof c->password, "wrong");
    client_begin(c, METHOD_ALLOCATE);
    client_wish_udp(c);
    return client_send(c);
}

TEST(wrong_logins_are_answered_no_more_and_right_ones_get_in)
{
    struct world w;
    limited(&w, (struct strangers_limits){.failures = 5});
    struct client bad = client_at(&w, "198.18.0.1:1", "ann"), good = client_at(&w, "198.18.0.1:2", "bob");
    CHECK_INT(client_challenge(&bad), STUN_UNAUTHENTICATED);
    for (int i = 0; i < 5; i++)
        CHECK_INT(guess(&bad), STUN_UNAUTHENTICATED);
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count, 5);
    for (int i = 0; i < 100; i++)
        CHECK_INT(guess(&bad), NO_ANSWER);
    CHECK_INT(w.told[EVENT_AUTH_FAILED].count, 6);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "max_failed_logins");
    CHECK_INT(engine_counts(w.engine)->muted[MUTE_LOGIN], 100);
    CHECK_INT(engine_counts(w.engine)->auth_failed, 105);
    CHECK_INT(client_allocate(&good), 0);
    snprintf(bad.password, sizeof bad.password, "secret of ann");
    CHECK_INT(client_allocate(&bad), 0);
    struct client away = client_at(&w, "198.18.0.7:1", "ann");
    CHECK_INT(client_challenge(&away), STUN_UNAUTHENTICATED);
    CHECK_INT(guess(&away), STUN_UNAUTHENTICATED);
    world_skip(&w, 13000);
    struct client again = client_at(&w, "198.18.0.1:3", "ann");
    CHECK_INT(client_challenge(&again), STUN_UNAUTHENTICATED);
    CHECK_INT(guess(&again), STUN_UNAUTHENTICATED); /* a fifth of a minute */
    CHECK_INT(guess(&again), NO_ANSWER);
    finish(&w);
}

static void over(struct world *w, const struct question *question, struct verdict *verdict)
{
    world_key(w, question, verdict);
    verdict->expires_unix_s = 1;
}

TEST(credentials_that_are_over_are_no_guesses)
{
    struct world w;
    limited(&w, (struct strangers_limits){.failures = 2});
    world_answer(&w, HOOK_authenticate, over);
    struct client c = client_at(&w, "198.18.0.1:1", "ann");
    for (int i = 0; i < 20; i++)
        CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    finish(&w);
}

/* ---- allocations of a source ---- */

static void three(struct engine_config *config, struct world *w)
{
    (void)w;
    config->source_quota = 3;
}

TEST(a_source_holds_so_many_allocations_whoever_they_are)
{
    struct world w;
    static const char *const users[] = {"ann", "bob", "cleo", "ann", "bob"};
    struct client c[5];
    world_start(&w, three);
    for (int i = 0; i < 5; i++) {
        c[i] = client_at(&w, "198.18.0.1:1", users[i]);
        c[i].flow.client.port = (uint16_t)(1 + i);
        CHECK_INT(client_allocate(&c[i]), i < 3 ? 0 : STUN_QUOTA);
    }
    CHECK_TEXT(w.told[EVENT_DENIED].reason, "source_quota");
    struct client other = client_at(&w, "198.18.0.2:1", "ann");
    CHECK_INT(client_allocate(&other), 0);
    CHECK_INT(client_refresh(&c[1], 0), 0);
    CHECK_INT(client_allocate(&c[3]), 0);
    CHECK_INT(client_allocate(&c[4]), STUN_QUOTA);
    const struct addr source = addr_source(&c[0].flow.client);
    CHECK_INT(quota_source(w.shared.quota, view_of(&source, ADDR_KEY_LEN)), 3);
    world_pass(&w, 700000);
    CHECK_INT(quota_source(w.shared.quota, view_of(&source, ADDR_KEY_LEN)), 0);
    world_end(&w);
}

TEST_LIST(RUN(strangers_of_one_source_get_so_many_answers_a_second_and_others_theirs) RUN(who_has_shown_a_nonce_is_no_stranger)
              RUN(a_forged_nonce_makes_no_friend) RUN(ten_binding_answers_count_as_one) RUN(connections_are_answered_whoever_comes)
                  RUN(wrong_logins_are_answered_no_more_and_right_ones_get_in) RUN(credentials_that_are_over_are_no_guesses)
                      RUN(a_source_holds_so_many_allocations_whoever_they_are))
