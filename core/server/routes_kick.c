/* routes_kick.c: DELETE /v1/allocations: all that a question finds end; and the audit of who ended what. */
#include "server/routes.h"

#include "base/clock.h"

#include <limits.h>
#include <stdlib.h>

const struct field routes_kick_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Of this tenant; a tenant's key ends no others"},
    {.name = "user", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Of this user"},
    {.name = "tag", .kind = FIELD_TEXT, .min = 1, .max = TAGS_MAX, .help = "Of this player, or with this tag: NAME or NAME=VALUE"},
    {.name = "credential", .kind = FIELD_TEXT, .min = 1, .max = USERNAME_MAX_LEN, .help = "Of this credential: its id, or its whole username"},
    {0},
};
const struct door_said routes_kick_said[] = {{HTTP_OK, "They have ended on all workers; how many is said"}, {HTTP_NOT_FOUND, "It is another tenant's"}, {0}};

struct kick_wait {
    struct roster_asker asker;
    const struct routes *routes;
    struct door_request *request;
    json_int_t ended;
};

/* The store writes it down as soon as it can. */
void routes_kick_note(const struct routes *routes, const char *who, const char *tenant, json_t *detail)
{
    struct store *store = routes->service->store;
    char *text = json_dumps(detail, JSON_COMPACT);
    json_decref(detail);
    log_say(routes->service->log, LOG_INFO, "kicked", "who=%s detail=%s", who, text ? text : "-");
    if (store && text)
        store_change(store, &(struct store_change){
                                .at_ms = clock_unix_ms(), .who = who, .type = "kick", .tenant = tenant ? tenant : "", .detail_json = text});
    free(text);
}

static void on_found(struct roster_asker *asker, const struct roster_row *row)
{
    struct kick_wait *wait = (struct kick_wait *)asker;
    (void)row;
    wait->ended++;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void on_told(struct roster_asker *asker, const struct roster_place *next, const char *failure)
{
    struct kick_wait *wait = (struct kick_wait *)asker;
    char who[ROUTES_WHO_MAX];
    (void)next;
    routes_kick_note(wait->routes, routes_who(wait->request, who), asker->tenant,
                     json_pack("{s:o, s:o, s:o, s:I}", "user", text_or_null(asker->user), "tag",
                               text_or_null(asker->tag), "credential", text_or_null(asker->credential), "ended", wait->ended));
    if (failure)
        door_refuse(wait->request, HTTP_UNAVAILABLE, failure);
    else
        door_answer(wait->request, HTTP_OK, json_pack("{s:I}", "ended", wait->ended));
    free(wait);
}

void routes_kick(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    struct roster_asker asker = {.found = on_found,
                                 .told = on_told,
                                 .user = door_query(request, "user"),
                                 .tag = door_query(request, "tag"),
                                 .credential = door_query(request, "credential"),
                                 .ends = true,
                                 .limit = UINT_MAX};
    if (!door_query(request, "tenant") && !asker.user && !asker.tag && !asker.credential) {
        door_refuse_field(request, "tenant", "who is to go? say tenant, user, tag or credential");
        return;
    }
    if (!routes_tenant(request, &asker.tenant))
        return;
    struct kick_wait *wait = malloc(sizeof *wait);
    if (!wait) {
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    *wait = (struct kick_wait){.asker = asker, .routes = routes, .request = request};
    roster_ask(routes->roster, &wait->asker);
}
