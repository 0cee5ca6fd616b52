/* revoke.c: credentials that are good and were revoked. */
#include "turn/label.h"
#include "world.h"

#include <string.h>

#define V4 "198.18.0.1:5000"

static unsigned asked; /* what the host was asked about last, and how often */
static char who[160], labels[TAGS_MAX], revoked[TAGS_MAX];

/* is_revoked: whoever has the tag `revoked`. */
static bool is_revoked(void *ctx, const struct bearer *bearer)
{
    (void)ctx;
    asked++;
    snprintf(who, sizeof who, "%s/%s/%.*s/%lld", bearer->tenant, bearer->user, (int)bearer->username.len, (const char *)bearer->username.at,
             (long long)bearer->expires_unix_s);
    snprintf(labels, sizeof labels, "%s", bearer->tags);
    return *revoked && view_equal(label_tag(bearer->tags, bearer->user), view_text(revoked));
}

static void start(struct world *w)
{
    world_start(w, NULL);
    w->host.is_revoked = is_revoked;
    asked = 0;
    revoked[0] = 0;
}

static void revoke(const char *tag)
{
    snprintf(revoked, sizeof revoked, "%s", tag);
}

static struct verdict allow(const char *tags)
{
    struct verdict verdict = {.kind = VERDICT_ALLOW};
    snprintf(verdict.labels.tags, sizeof verdict.labels.tags, "%s", tags);
    return verdict;
}

static int permit(struct client *c)
{
    client_begin(c, METHOD_CREATE_PERMISSION);
    client_peer(c, PEER);
    return client_send(c);
}

TEST(a_label_is_found_by_its_whole_name)
{
    CHECK(view_equal(label_find("room=7,tag=ann,xtag=bob", "tag"), view_text("ann")));
    CHECK(!label_find("xtag=bob,tags=7,tag", "tag").len && !label_find("", "tag").len && !label_find("tag=", "tag").len);
    CHECK(view_equal(label_tag("tag=", "ann"), view_text("ann")));
    CHECK(view_equal(label_tag("room=7", "ann"), view_text("ann")));
    CHECK(view_equal(label_tag("room=7,tag=p1", "ann"), view_text("p1")));
}

TEST(the_host_is_asked_about_who_has_shown_a_good_credential_alone)
{
    struct world w;
    start(&w);
    struct client c = client_at(&w, V4, "ann");
    client_begin(&c, METHOD_BINDING);
    CHECK_INT(client_send(&c), 0);
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    snprintf(c.password, sizeof c.password, "wrong");
    CHECK_INT(permit(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(asked, 0);
    c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(asked, 2); /* when it is known who that is, and when it is known what is to be granted */
    CHECK_TEXT(who, REALM "/ann/ann/0");
    world_end(&w);
}

TEST(every_request_of_a_revoked_credential_is_401_with_its_own_reason)
{
    struct world w;
    start(&w);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
    revoke("ann");
    CHECK_INT(client_refresh(&c, 600), STUN_UNAUTHENTICATED);
    CHECK(!c.was_signed);
    CHECK_INT(permit(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_bind(&c, 0x4000, PEER), STUN_UNAUTHENTICATED);
    CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    CHECK(w.told[EVENT_AUTH_FAILED].count >= 4);
    CHECK_INT(w.told[EVENT_DENIED].count, 0);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "credential_revoked");
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].by, "core");
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].user, "ann");
    struct client other = client_at(&w, "198.18.0.2:5000", "bob");
    CHECK_INT(client_allocate(&other), 0);
    world_end(&w);
}

TEST(an_allocation_is_judged_by_its_own_labels)
{
    struct world w;
    start(&w);
    w.verdict = allow("tag=p1,room=7");
    world_answer(&w, HOOK_authorize, world_says);
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), 0);
    CHECK_INT(permit(&c), 0);
    CHECK_TEXT(labels, "tag=p1,room=7");
    revoke("p1");
    CHECK_INT(permit(&c), STUN_UNAUTHENTICATED);
    CHECK_INT(client_refresh(&c, 0), STUN_UNAUTHENTICATED);
    CHECK_INT(engine_allocations(w.engine), 1); /* it is the host who ends it */
    world_end(&w);
}

TEST(what_authorize_calls_it_may_be_revoked)
{
    struct world w;
    start(&w);
    w.verdict = allow("tag=p1");
    world_answer(&w, HOOK_authorize, world_says);
    revoke("p1");
    struct client c = client_at(&w, V4, "ann");
    CHECK_INT(client_allocate(&c), STUN_UNAUTHENTICATED);
    CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "credential_revoked");
    CHECK_INT(quota_total(w.shared.quota), 0);
    world_end(&w);
}

TEST(a_request_that_waits_meanwhile_is_refused_when_it_goes_on)
{
    static const enum hook hooks[] = {HOOK_authenticate, HOOK_authorize};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        start(&w);
        world_answer(&w, hooks[i], world_later);
        struct client c = client_at(&w, V4, "ann");
        CHECK_INT(client_challenge(&c), STUN_UNAUTHENTICATED);
        CHECK_INT(client_allocate(&c), NO_ANSWER);
        revoke(i ? "p1" : "ann");
        const struct verdict answer = i ? allow("tag=p1") : verdict_key(&w, "ann", "secret of ann");
        CHECK_INT(client_take(&c, engine_resume(w.engine, w.ticket, &answer, w.now)), STUN_UNAUTHENTICATED);
        CHECK_TEXT(w.told[EVENT_AUTH_FAILED].reason, "credential_revoked");
        CHECK_INT(engine_allocations(w.engine), 0);
        world_end(&w);
    }
}

TEST_LIST(RUN(a_label_is_found_by_its_whole_name) RUN(the_host_is_asked_about_who_has_shown_a_good_credential_alone)
              RUN(every_request_of_a_revoked_credential_is_401_with_its_own_reason) RUN(an_allocation_is_judged_by_its_own_labels)
                  RUN(what_authorize_calls_it_may_be_revoked) RUN(a_request_that_waits_meanwhile_is_refused_when_it_goes_on))
