/* request.c: what a request says, and its answer. */
#include "admin/request.h"

#include "admin/feed.h"
#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *door_body(const struct door_request *request, size_t *len)
{
    *len = request->len;
    return request->body ? request->body : "";
}

const struct field_value *door_value(const struct door_request *request, const char *name)
{
    return fields_value(&request->fields, name);
}

int64_t door_number(const struct door_request *request, const char *name, int64_t otherwise)
{
    return fields_number(&request->fields, name, otherwise);
}

const char *door_text(const struct door_request *request, const char *name)
{
    return fields_text(&request->fields, name);
}

const struct field_value *door_parameter(const struct door_request *request, const char *name)
{
    return fields_value(&request->query, name);
}

const char *door_query(const struct door_request *request, const char *name)
{
    return fields_text(&request->query, name);
}

const char *door_part(const struct door_request *request, unsigned index)
{
    return request->parts[index];
}

const char *door_header(const struct door_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const struct door_caller *door_caller(const struct door_request *request)
{
    return &request->caller;
}

bool door_is_operator(const struct door_request *request)
{
    return strcmp(request->caller.tenant, "*") == 0;
}

bool door_may_see(const struct door_request *request, const char *tenant)
{
    return door_is_operator(request) || (*tenant && strcmp(request->caller.tenant, tenant) == 0);
}

const struct addr *door_source(const struct door_request *request)
{
    return &request->source;
}

const char *door_method(const struct door_request *request)
{
    return request->method;
}

const char *door_path(const struct door_request *request)
{
    return request->path;
}

/* ---- the answer ---- */

/* response_of_text: takes the text over; of NULL: NULL. */
static struct MHD_Response *response_of_text(const char *type, char *text, size_t len)
{
    struct MHD_Response *response = text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(text);
        return NULL;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return response;
}

static struct MHD_Response *response_of(json_t *body)
{
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    const size_t len = text ? strlen(text) : 0;
    json_decref(body);
    if (text)
        text[len] = '\n'; /* in place of the NUL, which nobody needs */
    return response_of_text("application/json", text, len + 1);
}

void request_unlink(const struct door_request *request)
{
    struct door_request **at = &request->door->waiting;
    while (*at && *at != request)
        at = &(*at)->next;
    if (*at)
        *at = request->next;
}

void door_say(struct door_request *request, const char *name, const char *value)
{
    assert(request->header_count < DOOR_HEADERS);
    struct door_header *header = &request->headers[request->header_count++];
    header->name = name;
    view_copy(view_text(value), header->value, sizeof header->value);
}

static void add_headers(const struct door_request *request, struct MHD_Response *response)
{
    for (size_t i = 0; response && i < request->header_count; i++)
        MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
}

void door_respond(struct door_request *request, unsigned status, struct MHD_Response *response)
{
    const struct door_config *config = &request->door->config;
    request_unlink(request);
    add_headers(request, response);
    request->status = status;
    request->response = response;
    request->is_answered = true;
    if (config->told)
        config->told(config->ctx, request, status);
    if (request->is_set_aside)
        MHD_resume_connection(request->connection);
    request->is_set_aside = false;
}

static void answer(struct door_request *request, unsigned status, struct MHD_Response *response)
{
    struct door *door = request->door;
    const bool was_aside = request->is_set_aside;
    door_respond(request, status, response);
    if (was_aside && !door->is_running)
        door_run(door);
}

void door_answer(struct door_request *request, unsigned status, json_t *body)
{
    answer(request, status, response_of(body));
}

void door_answer_text(struct door_request *request, unsigned status, const char *type, char *text)
{
    answer(request, status, response_of_text(type, text, text ? strlen(text) : 0));
}

void door_refuse(struct door_request *request, unsigned status, const char *reason)
{
    door_answer(request, status, json_pack("{s:s}", "error", reason));
}

void door_refuse_field(struct door_request *request, const char *field, const char *reason)
{
    door_answer(request, MHD_HTTP_BAD_REQUEST, json_pack("{s:o, s:s}", "error", json_sprintf("%s: %s", field, reason), "field", field));
}

/* ---- for feeds ---- */

struct door *door_of(const struct door_request *request)
{
    return request->door;
}

struct MHD_Connection *door_connection(const struct door_request *request)
{
    return request->connection;
}
