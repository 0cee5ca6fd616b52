/* routes_shared.c: GET /v1/shared: what policies share by name, and what is in it; nothing is changed by looking. */
#include "server/routes.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"

const struct field routes_shared_query[] = {
    {.name = "name", .kind = FIELD_TEXT, .min = 1, .max = NAME_MAX_LEN, .help = "Of a table or a meter, with key"},
    {.name = "key", .kind = FIELD_TEXT, .max = NAME_MAX_LEN, .help = "Of a value in it"},
    {0},
};
const struct door_said routes_shared_said[] = {{HTTP_OK, "Names and kinds, or one value"}, {HTTP_NOT_FOUND, "Nothing of that name is shared"}, {0}};

static void add(void *ctx, const char *name, const char *kind, uint64_t entries)
{
    char clean[2 * NAME_MAX_LEN + 1];
    json_array_append_new(ctx, json_pack("{s:s, s:s, s:I}", "name", utf8_text(view_text(name), clean, sizeof clean), "kind", kind,
                                         "entries", (json_int_t)entries));
}

static void list(const struct routes *routes, struct door_request *request)
{
    json_t *all = json_array();
    if (routes->service->policy_shared)
        policy_shared_list(routes->service->policy_shared, add, all);
    door_answer(request, HTTP_OK, json_pack("{s:o}", "shared", all));
}

static void peek(const struct routes *routes, struct door_request *request, const char *name, const char *key)
{
    char text[POLICY_PEEK_MAX];
    struct slab json = slab_over(text, sizeof text);
    struct policy_shared *shared = routes->service->policy_shared;
    if (!shared || policy_shared_peek(shared, name, view_text(key), clock_monotonic_ms(), &json) != 0)
        door_refuse(request, HTTP_NOT_FOUND, "no policy shares a table or meter of that name");
    else
        door_answer(request, HTTP_OK, json_pack("{s:o}", "value", json_loadb(text, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)));
}

void routes_shared(void *ctx, struct door_request *request)
{
    const char *name = door_query(request, "name"), *key = door_query(request, "key");
    if (name && key)
        peek(ctx, request, name, key);
    else if (name || key)
        door_refuse(request, HTTP_BAD_REQUEST, "name and key expected, or neither");
    else
        list(ctx, request);
}
