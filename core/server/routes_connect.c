/* routes_connect.c: POST /relay.v1.CredentialService/Mint: the same as routes_mint.c for clients of Connect (core/admin/relay.proto): unary calls, proto3's JSON.
 *
 * What is asked becomes the body of the other row, field by field; what is refused there is told by a code of Connect's.
 */
#include "server/routes.h"

#include "server/mint_answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>


#define MESSAGE_MAX 320

/* ---- refusals ---- */

/* codes: of Connect's table, by the status that they have in HTTP here and there. */
static const struct code {
    const char *name;
    unsigned here, there;
} codes[] = {
    {"invalid_argument", HTTP_BAD_REQUEST, 400}, {"permission_denied", HTTP_FORBIDDEN, 403},   {"not_found", HTTP_NOT_FOUND, 404},
    {"already_exists", HTTP_UNPROCESSABLE, 409}, {"resource_exhausted", HTTP_RATE, 429},       {"internal", HTTP_INTERNAL, 500},
    {"unimplemented", HTTP_NOT_IMPLEMENTED, 501}, {"unavailable", HTTP_UNAVAILABLE, 503},
};

static void refuse_call(struct door_request *request, unsigned status, const char *message)
{
    const struct code *code = codes;
    while (code->here != status)
        code++;
    door_answer(request, code->there, json_pack("{s:s, s:s}", "code", code->name, "message", message));
}

static void refuse_field(struct door_request *request, const char *field, const char *reason)
{
    char message[MESSAGE_MAX];
    snprintf(message, sizeof message, "%s: %s", field, reason);
    refuse_call(request, HTTP_BAD_REQUEST, message);
}

/* ---- proto3's JSON ---- */

/* as_number: an int64 may be a text, and a number that is whole may be written as any. */
static json_t *as_number(const json_t *value)
{
    const char *text = json_is_string(value) ? json_string_value(value) : NULL;
    char *end = "";
    if (json_is_integer(value))
        return json_integer(json_integer_value(value));
    if (text ? !*text || text[strspn(text, "+-.0123456789eE")] : !json_is_real(value))
        return NULL;
    const double number = text ? strtod(text, &end) : json_real_value(value);
    return !*end && fabs(number) <= (double)FIELD_NUMBER_MAX && floor(number) == number ? json_integer((json_int_t)number) : NULL;
}

static json_t *as_text(const json_t *value)
{
    return json_is_string(value) ? json_deep_copy(value) : NULL;
}

/* as_transport: an enum is its name or its number. */
static json_t *as_transport(const json_t *value)
{
    static const char *const names[][2] = {
        {"TRANSPORT_UDP", "udp"}, {"TRANSPORT_TCP", "tcp"}, {"TRANSPORT_TLS", "tls"}, {"TRANSPORT_DTLS", "dtls"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_is_string(value) ? strcmp(json_string_value(value), names[i][0]) == 0 : json_integer_value(value) == (json_int_t)i + 1)
            return json_string(names[i][1]);
    return NULL;
}

static json_t *as_transports(const json_t *value)
{
    json_t *list = json_is_array(value) ? json_array() : NULL, *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)value, i, one)
        if (json_array_append_new(list, as_transport(one)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static const struct member {
    const char *name, *camel; /* as in relay.proto and the body of the other row; as proto3's JSON writes it */
    json_t *(*convert)(const json_t *);
    const char *expected;
} members[] = {
    {"tenant", "tenant", as_text, "a string expected"},
    {"ttl", "ttl", as_number, "a whole number expected"},
    {"tag", "tag", as_text, "a string expected"},
    {"room", "room", as_text, "a string expected"},
    {"transports", "transports", as_transports, "a list of TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_DTLS expected"},
    {"max_bps", "maxBps", as_number, "a whole number expected"},
    {"max_allocations", "maxAllocations", as_number, "a whole number expected"},
    {"key", "key", as_text, "a string expected"},
};

static const struct member *member_of(const char *name)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0 || strcmp(members[i].camel, name) == 0)
            return &members[i];
    return NULL;
}

/* is_default: proto3 does not tell it from a field that is absent. */
static bool is_default(const json_t *value)
{
    return (json_is_string(value) && !*json_string_value(value)) || (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* convert: the message as the body of the other row; NULL: *wrong is a member that is none, and *expected says why. */
static json_t *convert(json_t *message, const char **wrong, const char **expected)
{
    json_t *body = json_object(), *value;
    json_object_foreach(message, *wrong, value) {
        const struct member *member = member_of(*wrong);
        json_t *converted = member && !json_is_null(value) ? member->convert(value) : NULL;
        *expected = member ? member->expected : "there is no such field";
        if (!member || (!converted && !json_is_null(value))) {
            json_decref(body);
            return NULL;
        }
        if (converted && !is_default(converted))
            json_object_set(body, member->name, converted);
        json_decref(converted);
    }
    return body;
}

/* ---- the call ---- */

/* is_call: what Connect says of a unary call is there; else it was refused. */
static bool is_call(struct door_request *request)
{
    const char *type = door_header(request, "Content-Type"), *version = door_header(request, "Connect-Protocol-Version");
    const char *encoding = door_header(request, "Content-Encoding");
    const size_t len = type ? strcspn(type, "; ") : 0;
    if (len != strlen("application/json") || strncasecmp(type, "application/json", len) != 0) {
        door_say(request, "Accept-Post", "application/json");
        door_refuse(request, HTTP_MEDIA_TYPE, "application/json expected");
    } else if (version && strcmp(version, "1") != 0) {
        refuse_field(request, "Connect-Protocol-Version", "1 expected");
    } else if (encoding && strcmp(encoding, "identity") != 0) {
        refuse_call(request, HTTP_NOT_IMPLEMENTED, "Content-Encoding: only identity is known");
    } else {
        return true;
    }
    return false;
}

static json_t *time_of(int64_t unix_s)
{
    const time_t time = (time_t)unix_s;
    struct tm at = {0};
    char text[32];
    gmtime_r(&time, &at);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &at);
    return json_string(text);
}

static void mint(const struct routes *routes, struct door_request *request, const struct mint_order *order)
{
    struct mint_credential credential;
    struct mint_refusal refusal;
    if (mint_make(routes->service->mint, order, &credential, &refusal) == 0) {
        json_t *answer = mint_answer(routes->config, order, &credential, MINT_FORMAT_ice);
        json_object_set_new(answer, "expiresAt", time_of(credential.expires_unix_s));
        door_answer(request, HTTP_OK, answer);
        return;
    }
    routes_mint_retry(request, &refusal);
    if (refusal.status == HTTP_BAD_REQUEST && refusal.field)
        refuse_field(request, refusal.field, refusal.reason);
    else
        refuse_call(request, refusal.status, refusal.reason);
}

static const struct field_value *value_of(const void *from, const char *name)
{
    return fields_value(from, name);
}

/* call: `text` is a body of the other row. */
static void call(const struct routes *routes, struct door_request *request, const char *tenant, const char *text)
{
    struct fields fields = {0};
    struct field_fault fault;
    struct mint_order order;
    const char *field, *wrong;
    if (fields_read(&fields, routes_mint_body, text, strlen(text), &fault) != 0)
        refuse_field(request, fault.name, fault.reason);
    else if ((wrong = routes_mint_order(routes, request, &(struct routes_mint_form){&fields, value_of, tenant}, &order, &field)) != NULL)
        refuse_field(request, field, wrong);
    else
        mint(routes, request, &order);
    fields_close(&fields);
}

/* may_ask: for this tenant; else it was refused. */
static bool may_ask(struct door_request *request, const char *tenant)
{
    if (strcmp(tenant, "*") == 0)
        refuse_field(request, "tenant", "a name expected");
    else if (!door_may_see(request, tenant))
        refuse_call(request, HTTP_NOT_FOUND, "no such tenant");
    else
        return true;
    return false;
}

/* call_with: the body, in which the tenant is a member more than in that of the other row; without it that of the caller is meant. */
static void call_with(const struct routes *routes, struct door_request *request, json_t *body)
{
    json_t *said = json_incref(json_object_get(body, "tenant"));
    const char *tenant = said ? json_string_value(said) : door_caller(request)->tenant;
    json_object_del(body, "tenant");
    char *text = json_dumps(body, JSON_COMPACT);
    if (!text)
        refuse_call(request, HTTP_INTERNAL, "out of memory");
    else if (may_ask(request, tenant))
        call(routes, request, tenant, text);
    free(text);
    json_decref(said);
}

void routes_connect_mint(void *ctx, struct door_request *request)
{
    const char *wrong = "", *expected = "";
    size_t len;
    const char *text = door_body(request, &len);
    if (!is_call(request))
        return;
    json_t *message = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *body = json_is_object(message) ? convert(message, &wrong, &expected) : NULL;
    if (body)
        call_with(ctx, request, body);
    else if (json_is_object(message) && wrong)
        refuse_field(request, wrong, expected);
    else if (json_is_object(message))
        refuse_call(request, HTTP_INTERNAL, "out of memory");
    else
        refuse_call(request, HTTP_BAD_REQUEST, "a JSON object expected");
    json_decref(body);
    json_decref(message);
}

const struct door_said routes_connect_said[] = {
    {HTTP_OK, "The credential"},
    {HTTP_NOT_FOUND, "There is no such tenant"},
    {HTTP_CONFLICT, "The Idempotency-Key was used for another request"},
    {HTTP_MEDIA_TYPE, "It is no application/json"},
    {HTTP_NOT_IMPLEMENTED, "It is compressed"},
    {0},
};
