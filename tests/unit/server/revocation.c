/* revocation.c: whom a set of revocations shuts out. */
#include "server/revocation.h"
#include "test.h"

#include <string.h>

#define NOW_MS INT64_C(1800000000000)
#define HOUR_MS INT64_C(3600000)

static const struct hash_key key = {1, 2};

static struct revocation_mark mark(enum revocation_kind kind, const char *tenant, const char *name)
{
    return (struct revocation_mark){.digest = revocation_digest(&key, kind, tenant, view_text(name)),
                                    .at_ms = NOW_MS,
                                    .until_ms = revocation_until(kind, name, NOW_MS),
                                    .kind = kind};
}

static struct bearer bearer(const char *tenant, const char *user, const char *tags)
{
    return (struct bearer){.tenant = tenant, .user = user, .tags = tags, .username = view_text(user)};
}

/* shuts_out: whether the one row does, at that time. */
static bool shuts_out_at(struct revocation_mark row, const struct bearer *who, int64_t unix_ms)
{
    struct revocations *set = revocations_new(&key, &row, 1);
    const struct revocation_mark *found = revocations_match(set, who, unix_ms);
    const bool is_out = found != NULL;
    revocations_free(set);
    return is_out;
}

static bool shuts_out(struct revocation_mark row, const struct bearer *who)
{
    return shuts_out_at(row, who, NOW_MS);
}

/* minted: a credential of ann's that was minted then, for an hour; of a studio's own with `cid`. */
static struct bearer minted(int64_t issued_ms, const char *cid, char username[MINTED_MAX_LEN + 1])
{
    struct minted parts = {.expires_unix_s = issued_ms / 1000 + 3600, .tenant = "acme", .kid = "k1", .tag = "ann"};
    if (cid)
        view_copy(view_text(cid), parts.cid, sizeof parts.cid);
    else
        minted_cid(issued_ms, parts.cid);
    CHECK(minted_print(&parts, username) > 0);
    return (struct bearer){.tenant = "acme",
                           .user = "ann",
                           .tags = "",
                           .username = view_text(username),
                           .is_minted = true,
                           .expires_unix_s = parts.expires_unix_s};
}

TEST(each_kind_shuts_out_whom_it_names_and_nobody_of_another_tenant)
{
    const struct bearer ann = bearer("acme", "ann", "tag=p1,credential=c1,key=k1"), plain = bearer("acme", "ann", "");
    static const struct {
        enum revocation_kind kind;
        const char *name, *other;
    } rows[] = {{REVOKE_CREDENTIAL, "c1", "c2"}, {REVOKE_TAG, "p1", "ann"}, {REVOKE_KEY, "k1", "c1"}, {REVOKE_USER, "ann", "p1"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(shuts_out(mark(rows[i].kind, "acme", rows[i].name), &ann));
        CHECK(!shuts_out(mark(rows[i].kind, "acme", rows[i].other), &ann));
        CHECK(!shuts_out(mark(rows[i].kind, "other", rows[i].name), &ann));
        CHECK(!shuts_out(mark(rows[i].kind, "acme", ""), &plain));
    }
    CHECK(shuts_out(mark(REVOKE_TENANT, "acme", ""), &ann) && !shuts_out(mark(REVOKE_TENANT, "other", ""), &ann));
    CHECK(shuts_out(mark(REVOKE_TAG, "acme", "ann"), &plain));
    CHECK(shuts_out(mark(REVOKE_CREDENTIAL, "acme", "ann"), &plain)); /* a whole username */
    CHECK(shuts_out(mark(REVOKE_KEY, REVOCATION_ANY, "k1"), &ann) && shuts_out(mark(REVOKE_CREDENTIAL, REVOCATION_ANY, "c1"), &ann));
    CHECK(!shuts_out(mark(REVOKE_TAG, REVOCATION_ANY, "p1"), &ann) && !shuts_out(mark(REVOKE_USER, REVOCATION_ANY, "ann"), &ann));
    CHECK(!revocations_match(NULL, &ann, NOW_MS));
}

TEST(a_new_credential_of_a_tag_is_let_in_and_one_that_tells_no_time_is_not)
{
    char name[MINTED_MAX_LEN + 1];
    static const enum revocation_kind kinds[] = {REVOKE_TAG, REVOKE_USER, REVOKE_TENANT};
    for (size_t i = 0; i < 3; i++) {
        const struct revocation_mark row = mark(kinds[i], "acme", kinds[i] == REVOKE_TENANT ? "" : "ann");
        struct bearer who = minted(NOW_MS - 1, NULL, name);
        CHECK(shuts_out(row, &who));
        who = minted(NOW_MS, NULL, name);
        CHECK(shuts_out(row, &who));
        who = minted(NOW_MS + 1, NULL, name);
        CHECK(!shuts_out(row, &who));
        who = minted(NOW_MS + HOUR_MS, "mine", name);
        CHECK(shuts_out(row, &who));
        who = minted(NOW_MS + 1, NULL, name);
        who.is_minted = false; /* somebody is called so */
        CHECK(shuts_out(row, &who));
    }
}

TEST(a_key_and_a_credential_are_shut_out_whenever_they_were_minted)
{
    char name[MINTED_MAX_LEN + 1];
    struct bearer who = minted(NOW_MS + 1000 * HOUR_MS, "c7", name);
    CHECK(shuts_out_at(mark(REVOKE_KEY, "acme", "k1"), &who, NOW_MS + 1000 * HOUR_MS));
    CHECK(shuts_out(mark(REVOKE_CREDENTIAL, "acme", "c7"), &who));
    CHECK(shuts_out(mark(REVOKE_CREDENTIAL, "acme", name), &who));
    who.tags = "key=another,credential=another,tag=another"; /* a policy calls it so: what is signed counts */
    CHECK(shuts_out(mark(REVOKE_KEY, "acme", "k1"), &who) && shuts_out(mark(REVOKE_CREDENTIAL, "acme", "c7"), &who));
    CHECK(shuts_out(mark(REVOKE_TAG, "acme", "ann"), &who) && shuts_out(mark(REVOKE_TAG, "acme", "another"), &who));
}

TEST(a_row_stands_for_48_hours_or_until_its_credential_expires)
{
    const struct bearer ann = bearer("acme", "ann", "");
    const struct revocation_mark row = mark(REVOKE_USER, "acme", "ann");
    CHECK(shuts_out_at(row, &ann, NOW_MS + 48 * HOUR_MS - 1));
    CHECK(!shuts_out_at(row, &ann, NOW_MS + 48 * HOUR_MS));
    CHECK_INT(revocation_until(REVOKE_CREDENTIAL, "c5e1", NOW_MS), NOW_MS + REVOCATION_MS);
    CHECK_INT(revocation_until(REVOKE_CREDENTIAL, "1800000060:ann", NOW_MS), NOW_MS + 60000);
    CHECK_INT(revocation_until(REVOKE_CREDENTIAL, "1900000000:ann", NOW_MS), INT64_C(1900000000000));
    CHECK_INT(revocation_until(REVOKE_TAG, "1800000060:ann", NOW_MS), NOW_MS + REVOCATION_MS);
    CHECK_INT(revocation_until(REVOKE_KEY, "k1", NOW_MS), REVOCATION_FOREVER);
}

TEST(many_rows_are_found_each)
{
    static struct revocation_mark rows[1000];
    char name[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%u", i);
        rows[i] = mark(REVOKE_TAG, "acme", name);
        rows[i].order = i;
    }
    struct revocations *set = revocations_new(&key, rows, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%u", i);
        const struct bearer who = bearer("acme", name, "");
        const struct revocation_mark *found = revocations_match(set, &who, NOW_MS);
        CHECK(found && found->order == i);
    }
    const struct bearer other = bearer("acme", "p1000", "");
    CHECK(!revocations_match(set, &other, NOW_MS));
    revocations_free(set);
}

TEST(kinds_have_the_names_of_the_table)
{
    for (unsigned i = 0; i < REVOKE_KINDS; i++)
        CHECK_INT(revocation_find(revocation_name(i)), i);
    CHECK_INT(revocation_find("keys"), REVOKE_KINDS);
}

TEST_LIST(RUN(each_kind_shuts_out_whom_it_names_and_nobody_of_another_tenant)
              RUN(a_new_credential_of_a_tag_is_let_in_and_one_that_tells_no_time_is_not)
                  RUN(a_key_and_a_credential_are_shut_out_whenever_they_were_minted)
                      RUN(a_row_stands_for_48_hours_or_until_its_credential_expires) RUN(many_rows_are_found_each)
                          RUN(kinds_have_the_names_of_the_table))
