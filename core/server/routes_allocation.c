/* routes_allocation.c: allocations at the admin door: GET lists them, DELETE ends one. */
#include "server/routes.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

const struct field routes_allocation_query[] = {
    {.name = "tenant", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this tenant; a tenant's key sees no other"},
    {.name = "user", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of this user"},
    {.name = "tag", .kind = FIELD_TEXT, .max = TAGS_MAX, .help = "With this tag: NAME=VALUE, or NAME with any value"},
    ROUTES_LIMIT_FIELD,
    {.name = "after", .kind = FIELD_TEXT, .min = 1, .max = 24, .help = "Go on where `next` of the last answer says"},
    {0},
};
const struct door_said routes_allocation_end_said[] = {
    {HTTP_OK, "The allocation as it was"}, {HTTP_NOT_FOUND, "There is no such allocation"}, {0}};

struct roster_wait {
    struct roster_asker asker;
    const struct routes *routes;
    struct door_request *request;
    json_t *found;
};

/* tags_of: "k=v,k=v". */
static json_t *tags_of(const char *tags)
{
    json_t *object = json_object();
    char pair[TAGS_MAX], clean[2][2 * TAGS_MAX];
    for (const char *at = tags; *at; at += strcspn(at, ","), at += *at == ',') {
        view_copy(view_of(at, strcspn(at, ",")), pair, sizeof pair);
        char *value = pair + strcspn(pair, "=");
        if (*value)
            *value++ = 0;
        json_object_set_new(object, utf8_text(view_text(pair), clean[0], sizeof clean[0]),
                            json_string(utf8_text(view_text(value), clean[1], sizeof clean[1])));
    }
    return object;
}

/* id_of: as text: it has more than 53 bits, which is what a JSON number has in most languages. */
static json_t *id_of(uint64_t id)
{
    return json_sprintf("%llu", (unsigned long long)id);
}

/* dropped_of: only the limits that something was over. */
static json_t *dropped_of(const struct roster_row *row)
{
    json_t *object = json_object();
    for (unsigned limit = 0; limit < PACE_LIMITS; limit++)
        if (row->dropped[limit])
            json_object_set_new(object, pace_name(limit), json_integer((json_int_t)row->dropped[limit]));
    return object;
}

static json_t *row_of(const struct roster_row *row)
{
    return json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:b, s:o}", "id",
                     id_of(row->id), "worker", (int)row->worker + 1, "tenant", routes_text(row->tenant), "user", routes_text(row->user), "realm",
                     routes_text(row->realm), "group", routes_text(row->labels.group), "tags", tags_of(row->labels.tags), "transport",
                     row->transport, "src", routes_address(&row->client), "relay", routes_address(&row->relayed), "relay2", routes_address(&row->other),
                     "created", (json_int_t)(row->created_unix_ms / 1000), "expires", (json_int_t)(row->expires_unix_ms / 1000), "bytes_in",
                     (json_int_t)row->usage.bytes_in, "bytes_out", (json_int_t)row->usage.bytes_out, "packets_in",
                     (json_int_t)row->usage.packets_in, "packets_out", (json_int_t)row->usage.packets_out, "permissions",
                     (int)row->permissions, "channels", (int)row->channels, "active", row->is_active, "dropped", dropped_of(row));
}

static void on_found(struct roster_asker *asker, const struct roster_row *row)
{
    struct roster_wait *wait = (struct roster_wait *)asker;
    json_array_append_new(wait->found, row_of(row));
}

/* place_of: where a list went on: "worker.index". */
static json_t *place_of(const struct roster_place *place)
{
    return place ? json_sprintf("%u.%lu", place->worker + 1, (unsigned long)place->index) : json_null();
}

static void end(struct roster_wait *wait, unsigned status, json_t *body)
{
    struct door_request *request = wait->request;
    json_decref(wait->found);
    free(wait);
    door_answer(request, status, body);
}

static void on_listed(struct roster_asker *asker, const struct roster_place *next, const char *failure)
{
    struct roster_wait *wait = (struct roster_wait *)asker;
    if (failure)
        end(wait, HTTP_UNAVAILABLE, json_pack("{s:s}", "error", failure));
    else
        end(wait, HTTP_OK, json_pack("{s:O, s:b, s:o}", "allocations", wait->found, "truncated", next != NULL, "next", place_of(next)));
}

static void on_ended(struct roster_asker *asker, const struct roster_place *next, const char *failure)
{
    struct roster_wait *wait = (struct roster_wait *)asker;
    json_t *row = json_array_get(wait->found, 0);
    char who[ROUTES_WHO_MAX];
    (void)next;
    if (row)
        routes_kick_note(wait->routes, routes_who(wait->request, who), json_string_value(json_object_get(row, "tenant")),
                         json_pack("{s:O, s:O, s:O, s:O}", "id", json_object_get(row, "id"), "user", json_object_get(row, "user"), "src",
                                   json_object_get(row, "src"), "tags", json_object_get(row, "tags")));
    if (failure)
        end(wait, HTTP_UNAVAILABLE, json_pack("{s:s}", "error", failure));
    else if (row)
        end(wait, HTTP_OK, json_incref(row));
    else
        end(wait, HTTP_NOT_FOUND, json_pack("{s:s}", "error", "no such allocation"));
}

static void ask(const struct routes *routes, struct door_request *request, const struct roster_asker *asker)
{
    struct roster_wait *wait = malloc(sizeof *wait);
    json_t *found = json_array();
    if (!wait || !found) {
        free(wait);
        json_decref(found);
        door_refuse(request, HTTP_INTERNAL, "out of memory");
        return;
    }
    *wait = (struct roster_wait){.asker = *asker, .routes = routes, .request = request, .found = found};
    wait->asker.found = on_found;
    roster_ask(routes->roster, &wait->asker);
}

/* number_of: decimal digits alone, up to `most`: false for anything else. */
static bool number_of(const char *text, uint64_t most, uint64_t *out)
{
    char *end_of;
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end_of, 10); /* what is too large is UINT64_MAX */
    return !*end_of && *out <= most;
}

static bool after_of(const struct routes *routes, const struct door_request *request, struct roster_place *out)
{
    const char *text = door_query(request, "after");
    char worker[8] = "";
    uint64_t number, index;
    if (!text)
        return true;
    const size_t digits = strcspn(text, ".");
    view_copy(view_of(text, digits), worker, sizeof worker);
    if (!text[digits] || !number_of(worker, routes->config->workers, &number) || number == 0 ||
        !number_of(text + digits + 1, POOL_NONE, &index))
        return false;
    *out = (struct roster_place){(unsigned)number - 1, (uint32_t)index};
    return true;
}

void routes_allocations(void *ctx, struct door_request *request)
{
    struct roster_asker asker = {.told = on_listed,
                                 .user = door_query(request, "user"),
                                 .tag = door_query(request, "tag"),
                                 .limit = (unsigned)routes_limit(request)};
    if (!routes_tenant(request, &asker.tenant))
        return;
    if (!after_of(ctx, request, &asker.from))
        door_refuse_field(request, "after", "what `next` said expected");
    else
        ask(ctx, request, &asker);
}

/* An id says which worker made the allocation, in its last byte (engine_id). */
void routes_allocation_end(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    struct roster_asker asker = {.told = on_ended, .limit = 1, .ends = true};
    if (!number_of(door_part(request, 0), INT64_MAX, &asker.id) || !asker.id || (asker.id & 0xff) >= routes->config->workers) {
        door_refuse(request, HTTP_NOT_FOUND, "no such allocation");
        return;
    }
    asker.tenant = door_is_operator(request) ? NULL : door_caller(request)->tenant;
    asker.from.worker = (unsigned)(asker.id & 0xff);
    ask(ctx, request, &asker);
}
