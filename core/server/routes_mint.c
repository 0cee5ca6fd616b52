/* routes_mint.c: POST /v1/tenants/{tenant}/credentials: a credential for a player. */
#include "server/routes.h"

#include "server/mint_answer.h"

#include <stdio.h>
#include <string.h>

const struct field routes_mint_query[] = {
    {.name = "format", .kind = FIELD_CHOICE, .words = "ice|uberti|twilio",
     .help = "What the answer looks like: for RTCPeerConnection, which is the default; as draft-uberti-behave-turn-rest; or as a Token of Twilio's"},
    {0},
};

const struct field routes_mint_body[] = {
    {.name = "ttl", .kind = FIELD_NUMBER, .min = 1, .max = MINT_TTL_MAX_S, .help = "Seconds that it is good for; 3600 without it"},
    {.name = "tag", .kind = FIELD_TEXT, .max = MINTED_NAME_MAX, .help = "The player: whom limits of a user count; without it every credential counts for itself"},
    {.name = "room", .kind = FIELD_TEXT, .max = MINTED_NAME_MAX, .help = "The match"},
    {.name = "transports", .kind = FIELD_TEXTS, .min = 1, .max = 4, .words = "udp|tcp|tls|dtls",
     .help = "Over what it names this server; without it one URL for UDP and one for TLS, of those that it listens for"},
    {.name = "max_bps", .kind = FIELD_NUMBER, .min = 1, .max = (int64_t)MINTED_BPS_MAX, .help = "Bits a second of one allocation in each direction, if that is less than the tenant's limit"},
    {.name = "max_allocations", .kind = FIELD_NUMBER, .min = 1, .max = UINT32_MAX, .help = "Allocations at a time of the tag, or without one of the credential"},
    {.name = "key", .kind = FIELD_TEXT, .min = 1, .max = MINTED_KID_MAX, .help = "Only the operator says it: in the name of which key"},
    {0},
};

const struct door_said routes_mint_said[] = {
    {HTTP_CREATED, "The credential"},
    {HTTP_FORBIDDEN, "The tenant is disabled"},
    {HTTP_NOT_FOUND, "There is no such tenant"},
    {HTTP_UNPROCESSABLE, "The Idempotency-Key was used for another body"},
    {0},
};

/* transports_of: the bits of the list; false: one of them is not had here. */
static bool transports_of(const struct config *config, const struct field_value *value, unsigned *out)
{
    const json_t *one;
    size_t i;
    *out = 0;
    if (!value)
        return true;
    json_array_foreach((json_t *)(uintptr_t)value->list, i, one) *out |= mint_transport(json_string_value(one));
    return (*out & ~mint_transports(config)) == 0;
}

static const char *text_of(const struct routes_mint_form *form, const char *name)
{
    const struct field_value *value = form->value(form->from, name);
    return value ? value->text : "";
}

static int64_t number_of(const struct routes_mint_form *form, const char *name, int64_t otherwise)
{
    const struct field_value *value = form->value(form->from, name);
    return value ? value->number : otherwise;
}

/* kid_of: in the name of which key: the operator may say one, everybody else has his own. */
static const char *kid_of(const struct door_request *request, const char *said)
{
    const char *own = door_caller(request)->key;
    return *said ? said : *own ? own : MINT_OPERATOR;
}

const char *routes_mint_order(const struct routes *routes, const struct door_request *request, const struct routes_mint_form *form,
                              struct mint_order *out, const char **field)
{
    const char *key = text_of(form, "key");
    *out = (struct mint_order){
        .tenant = form->tenant,
        .kid = kid_of(request, key),
        .tag = text_of(form, "tag"),
        .room = text_of(form, "room"),
        .ttl_s = number_of(form, "ttl", MINT_TTL_S),
        .max_bps = (uint64_t)number_of(form, "max_bps", 0),
        .max_allocations = (uint32_t)number_of(form, "max_allocations", 0),
        .again = door_header(request, "Idempotency-Key"),
    };
    *field = "key";
    if (*key && !door_is_operator(request))
        return "only the operator says it: a credential names the key that asks for it";
    *field = "transports";
    if (!transports_of(routes->config, form->value(form->from, "transports"), &out->transports))
        return "the server does not listen for one of them";
    return NULL;
}

void routes_mint_retry(struct door_request *request, const struct mint_refusal *refusal)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", refusal->retry_s);
    if (refusal->retry_s)
        door_say(request, "Retry-After", seconds);
}

void routes_mint_refuse(struct door_request *request, const struct mint_refusal *refusal)
{
    routes_mint_retry(request, refusal);
    if (refusal->status == HTTP_BAD_REQUEST && refusal->field)
        door_refuse_field(request, refusal->field, refusal->reason);
    else
        door_refuse(request, refusal->status, refusal->reason);
}

static void make(const struct routes *routes, struct door_request *request, const struct mint_order *order)
{
    struct mint_credential credential;
    struct mint_refusal refusal;
    if (mint_make(routes->service->mint, order, &credential, &refusal) != 0)
        routes_mint_refuse(request, &refusal);
    else
        door_answer(request, HTTP_CREATED, mint_answer(routes->config, order, &credential, mint_format(door_query(request, "format"))));
}

static const struct field_value *value_of(const void *from, const char *name)
{
    return door_value(from, name);
}

void routes_mint(void *ctx, struct door_request *request)
{
    const struct routes_mint_form form = {request, value_of, door_part(request, 0)};
    struct mint_order order;
    const char *field;
    if (!door_may_see(request, form.tenant)) {
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
        return;
    }
    const char *wrong = routes_mint_order(ctx, request, &form, &order, &field);
    if (wrong)
        door_refuse_field(request, field, wrong);
    else
        make(ctx, request, &order);
}
