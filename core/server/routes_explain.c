/* routes_explain.c: GET /v1/explain: why clients were refused; GET /v1/test-record: the last time, to himself. */
#include "base/clock.h"
#include "base/utf8.h"
#include "server/credentials.h"
#include "server/explain.h"
#include "server/routes.h"
#include "server/worker.h"
#include "wire/minted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 1000
#define RECORD_S 120 /* of what happened before, the test page does not ask */

const struct field routes_explain_query[] = {
    {.name = "user", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this user, as quotas count him or as he named himself"},
    {.name = "client", .kind = FIELD_TEXT, .min = 1, .max = ADDR_TEXT_MAX, .help = "Of this address, with a port or without"},
    {.name = "decision", .kind = FIELD_TEXT, .min = 1, .max = 20, .help = "The one of this number, which the line of the log has"},
    {.name = "credential", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this username, whole"},
    {.name = "tenant", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this tenant; a tenant's key sees no other"},
    {.name = "limit", .kind = FIELD_NUMBER, .min = 1, .max = LIMIT_MAX, .help = "At most so many, the last ones; 20 without it"},
    {0},
};

const struct field routes_test_record_query[] = {
    {.name = "user", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = NAME_MAX_LEN, .help = "The username that was sent"},
    {.name = "within", .kind = FIELD_NUMBER, .min = 1, .max = RECORD_S, .help = "Seconds ago at most; 120 without it"},
    {0},
};

/* struct wish: whose refusals; NULL and 0: it does not matter. */
struct wish {
    const char *user, *credential, *tenant;
    struct addr client; /* port 0: any */
    uint64_t decision;
    int64_t since_ms; /* Unix */
    size_t limit;
};

static bool is_text(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

/* is_user: whom quotas count, or the name that somebody came with: as it is, or behind the time of a credential. */
static bool is_user(const char *wanted, const struct denial *denial)
{
    int64_t expires;
    struct view id;
    if (!wanted || strcmp(wanted, denial->user) == 0 || strcmp(wanted, denial->username) == 0)
        return true;
    return credentials_parse_expiry(view_text(denial->username), &expires, &id) && view_equal(id, view_text(wanted));
}

/* is_credential: as it was sent, or the id of a minted one. */
static bool is_credential(const char *wanted, const struct denial *denial)
{
    struct minted minted;
    return is_text(wanted, denial->username) || (minted_parse(view_text(denial->username), &minted) == 0 && strcmp(wanted, minted.cid) == 0);
}

static bool wants(const void *ctx, const struct denial *denial)
{
    const struct wish *wish = ctx;
    const bool is_client = wish->client.family == ADDR_NONE || (addr_equal_ip(&wish->client, &denial->client) &&
                                                                (wish->client.port == 0 || wish->client.port == denial->client.port));
    return is_client && is_user(wish->user, denial) && is_credential(wish->credential, denial) &&
           is_text(wish->tenant, *denial->tenant ? denial->tenant : denial->realm) &&
           (!wish->decision || wish->decision == denial->decision) && denial->unix_ms >= wish->since_ms;
}

/* ---- reading ---- */

static bool parse_count(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && *out > 0 && *out <= most;
}

/* read_wish: false: it is refused. */
static bool read_wish(struct door_request *request, struct wish *wish)
{
    const char *client = door_query(request, "client"), *decision = door_query(request, "decision");
    const struct field_value *limit = door_parameter(request, "limit");
    *wish = (struct wish){.user = door_query(request, "user"),
                          .credential = door_query(request, "credential"),
                          .limit = limit ? (size_t)limit->number : LIMIT_DEFAULT};
    if (!routes_tenant(request, &wish->tenant))
        return false;
    if (client && (addr_parse(view_text(client), &wish->client) != 0 || wish->client.family == ADDR_NONE)) {
        door_refuse_field(request, "client", "an address expected, with a port or without");
        return false;
    }
    if (decision && !parse_count(decision, UINT64_MAX, &wish->decision)) {
        door_refuse_field(request, "decision", "the number of the log's line expected");
        return false;
    }
    return true;
}

/* ---- answering ---- */

/* text_of: what is not UTF-8 has no place in JSON. */
static json_t *text_of(const char *text)
{
    char safe[4 * EXPLAIN_MAX];
    struct slab out = slab_over(safe, sizeof safe - 1);
    for (struct view in = view_text(text); in.len && !out.overflow;) {
        const size_t len = utf8_len(in);
        if (len)
            slab_put(&out, view_cut(in, len));
        else
            slab_put_text(&out, "\xef\xbf\xbd"); /* U+FFFD */
        in = view_from(in, len ? len : 1);
    }
    return json_stringn(safe, out.len);
}

static json_t *json_of(const struct denial *denial)
{
    char why[EXPLAIN_MAX];
    const bool is_measured = denial->measure.held || denial->measure.limit;
    const char *tenant = *denial->tenant ? denial->tenant : denial->realm;
    return json_pack("{s:f, s:o, s:s, s:s, s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "time",
                     (double)denial->unix_ms / 1000, "decision", json_sprintf("%llu", (unsigned long long)denial->decision), "event",
                     event_name(denial->type), "transport", transport_name(denial->transport), "client", routes_address(&denial->client),
                     "method", denial->method ? stun_method_name(denial->method) : "-", "code", denial->code, "rule",
                     text_of(explain_rule(denial)), "by", text_of(denial->by), "reason", text_of(denial->reason), "why",
                     text_of(explain_why(denial, why)), "advice", explain_advice(denial), "held",
                     is_measured ? json_integer(denial->measure.held) : json_null(), "limit",
                     denial->measure.limit ? json_integer(denial->measure.limit) : json_null(), "tenant", text_of(tenant), "user",
                     text_of(denial->user), "username", text_of(denial->username), "policy_rev", denial->revision);
}

static int by_time(const void *a, const void *b)
{
    const int64_t x = ((const struct denial *)a)->unix_ms, y = ((const struct denial *)b)->unix_ms;
    return (x < y) - (x > y);
}

/* gather: of all workers, the last one first; from malloc, NULL without memory. */
static struct denial *gather(const struct routes *routes, const struct wish *wish, size_t *count)
{
    const unsigned workers = routes->config->workers;
    struct denial *found = malloc((wish->limit * workers) * sizeof *found);
    *count = 0;
    for (unsigned i = 0; found && i < workers; i++)
        *count += denials_find(worker_denials(routes->policies->service->workers[i]), wants, wish, found + *count, wish->limit);
    if (found)
        qsort(found, *count, sizeof *found, by_time);
    return found;
}

static void answer(const struct routes *routes, struct door_request *request, const struct wish *wish, json_t *(*shown)(const struct denial *))
{
    size_t count;
    struct denial *found = gather(routes, wish, &count);
    if (!found) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < wish->limit; i++)
        json_array_append_new(list, shown(&found[i]));
    free(found);
    door_answer(request, HTTP_OK, json_pack("{s:o}", "refusals", list));
}

void routes_explain(void *ctx, struct door_request *request)
{
    struct wish wish;
    if (read_wish(request, &wish))
        answer(ctx, request, &wish, json_of);
}

/* ---- to the client himself ---- */

/* is_guess: a wrong name, or a wrong password: which of them, STUN does not tell who may be guessing (RFC 8489 section 9.2.4), and neither does this. */
static bool is_guess(const struct denial *denial)
{
    static const char *const reasons[] = {"unknown_user", "bad_integrity", "no_sha256_key", "unknown_tenant", "unknown_kid", "bad_token"};
    size_t i = 0;
    while (i < sizeof reasons / sizeof *reasons && strcmp(reasons[i], denial->reason) != 0)
        i++;
    return denial->code == STUN_UNAUTHENTICATED && i < sizeof reasons / sizeof *reasons;
}

static void hide_guess(json_t *outline)
{
    json_object_set_new(outline, "rule", json_string("bad_integrity"));
    json_object_set_new(outline, "why", json_string("the username or the password is wrong"));
    json_object_set_new(outline, "advice", json_string("look at what the client was given; relay explain says which of them"));
}

/* outline_of: nothing of the policies' files, and of nobody else. */
static json_t *outline_of(const struct denial *denial)
{
    static const char *const shown[] = {"time", "method", "code", "rule", "why", "advice", "held", "limit"};
    json_t *whole = json_of(denial), *outline = json_object();
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        json_object_set(outline, shown[i], json_object_get(whole, shown[i]));
    json_decref(whole);
    if (is_guess(denial))
        hide_guess(outline);
    return outline;
}

/* Who comes from the address of a client and knows the name that he sent may know what he was told. */
void routes_test_record(void *ctx, struct door_request *request)
{
    struct wish wish = {.user = door_query(request, "user"), .client = *door_source(request), .limit = 1};
    const struct field_value *within = door_parameter(request, "within");
    wish.since_ms = clock_unix_ms() - (within ? within->number : RECORD_S) * 1000;
    wish.client.port = 0;
    answer(ctx, request, &wish, outline_of);
}
