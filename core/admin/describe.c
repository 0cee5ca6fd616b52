/* describe.c: see describe.h. */
#include "admin/describe.h"

#include "base/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_LEN_MAX 160

static const char *const types[FIELD_KINDS] = {
    [FIELD_TEXT] = "string", [FIELD_NUMBER] = "integer", [FIELD_FLAG] = "boolean", [FIELD_CHOICE] = "string", [FIELD_TEXTS] = "array"};

static const struct {
    unsigned scope;
    const char *name;
} scopes[] = {{DOOR_MINT, "mint"}, {DOOR_USAGE_READ, "usage:read"}, {DOOR_ADMIN, "admin"}};

/* ---- fields ---- */

static json_t *words_of(const char *words)
{
    char word[FIELD_NAME_MAX + 1];
    json_t *list = json_array();
    while ((words = field_word(words, word)) != NULL)
        json_array_append_new(list, json_string(word));
    return list;
}

static void bound(json_t *schema, const char *least, const char *most, const struct field *row)
{
    if (row->min)
        json_object_set_new(schema, least, json_integer(row->min));
    json_object_set_new(schema, most, json_integer(row->max));
}

/* Of a text our bounds are bytes, and those of JSON Schema characters, which have up to four. */
static void bound_text(json_t *schema, const struct field *row)
{
    if (row->min)
        json_object_set_new(schema, "minLength", json_integer((row->min + 3) / 4));
    json_object_set_new(schema, "maxLength", json_integer(row->max));
}

static void bound_texts(json_t *schema, const struct field *row)
{
    json_t *items = json_pack("{s:s}", "type", "string");
    if (row->words)
        json_object_set_new(items, "enum", words_of(row->words));
    json_object_set_new(schema, "items", items);
    bound(schema, "minItems", "maxItems", row);
}

static json_t *schema_of(const struct field *row)
{
    json_t *schema = json_object();
    const bool may_be_null = row->traits & FIELD_NULLABLE;
    json_object_set_new(schema, "type", may_be_null ? json_pack("[s, s]", types[row->kind], "null") : json_string(types[row->kind]));
    if (row->kind == FIELD_NUMBER)
        bound(schema, "minimum", "maximum", row);
    else if (row->kind == FIELD_TEXT)
        bound_text(schema, row);
    else if (row->kind == FIELD_TEXTS)
        bound_texts(schema, row);
    else if (row->kind == FIELD_CHOICE)
        json_object_set_new(schema, "enum", words_of(row->words));
    return schema;
}

static json_t *parameter_of(const struct field *row)
{
    json_t *parameter = json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", row->name, "in", "query", "required",
                                  (row->traits & FIELD_REQUIRED) != 0, "description", row->help, "schema", schema_of(row));
    if (row->kind == FIELD_TEXTS)
        json_object_set_new(parameter, "explode", json_false()); /* with commas between them */
    return parameter;
}

/* add_parts: a parameter for each {name} of the path. */
static void add_parts(json_t *list, const char *path)
{
    while ((path = strchr(path, '{')) != NULL) {
        const size_t len = strcspn(++path, "}");
        json_array_append_new(list, json_pack("{s:s%, s:s, s:b, s:{s:s, s:i, s:i}}", "name", path, len, "in", "path", "required", 1,
                                              "schema", "type", "string", "minLength", 1, "maxLength", DOOR_PART_MAX));
    }
}

static json_t *parameters_of(const struct door_route *route)
{
    json_t *list = json_array();
    add_parts(list, route->path);
    for (const struct field *row = route->query; row && row->name; row++)
        json_array_append_new(list, parameter_of(row));
    return list;
}

/* body_of: of one that the row reads itself nothing is known but that it is JSON. */
static json_t *body_of(const struct door_route *route)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct field *row = route->body; row && row->name; row++) {
        json_t *schema = schema_of(row);
        json_object_set_new(schema, "description", json_string(row->help));
        json_object_set_new(properties, row->name, schema);
        if (row->traits & FIELD_REQUIRED)
            json_array_append_new(required, json_string(row->name));
    }
    json_t *body = json_pack("{s:b, s:{s:{s:{s:s}}}}", "required", json_array_size(required) > 0, "content", "application/json", "schema",
                             "type", "object");
    json_t *schema = json_object_get(json_object_get(json_object_get(body, "content"), "application/json"), "schema");
    if (route->body) {
        json_object_set(schema, "properties", properties);
        json_object_set_new(schema, "additionalProperties", json_false());
    }
    if (route->body && json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(properties);
    json_decref(required);
    return body;
}

/* ---- answers ---- */

/* What the door answers for a row, by itself; those of `keyed` to who needs a key. */
static const struct door_said doors[] = {{400, "What was asked is not as it should be; `field` names what is wrong"},
                                         {404, "There is no such thing"},
                                         {413, "The body is too long"},
                                         {500, "There is no memory"},
                                         {503, "The database cannot be read or written now, or the relay is stopping"},
                                         {0}};
static const struct door_said keyed[] = {{401, "There is no key, or it is wrong, revoked or over"},
                                         {403, "The key is not for that"},
                                         {429, "Too many requests with this key, or wrong keys from this address; Retry-After says when"},
                                         {0}};

static json_t *answer_of(const char *when, const char *media, json_t *schema)
{
    return json_pack("{s:s, s:{s:{s:o}}}", "description", when, "content", media, "schema", schema);
}

static json_t *error_of(const char *when)
{
    return answer_of(when, "application/json", json_pack("{s:s}", "$ref", "#/components/schemas/Error"));
}

static void add_answer(json_t *answers, unsigned status, json_t *answer)
{
    char name[12];
    snprintf(name, sizeof name, "%u", status);
    if (json_object_get(answers, name))
        json_decref(answer); /* what the row says goes before what the door says */
    else
        json_object_set_new(answers, name, answer);
}

static void add_common(json_t *answers, const struct door_said *common, bool has_parts)
{
    for (; common->status; common++)
        if (common->status != 404 || has_parts)
            add_answer(answers, common->status, json_pack("{s:o}", "$ref", json_sprintf("#/components/responses/%u", common->status)));
}

static json_t *answers_of(const struct door_route *route)
{
    const char *media = route->media ? route->media : "application/json";
    json_t *answers = json_object();
    bool is_told = false;
    for (const struct door_said *said = route->answers; said && said->status; said++) {
        const bool is_well = said->status < 400;
        add_answer(answers, said->status, is_well ? answer_of(said->when, media, json_object()) : error_of(said->when));
        is_told |= is_well;
    }
    if (!is_told)
        add_answer(answers, 200, answer_of("It is as was asked", media, json_object()));
    add_common(answers, doors, strchr(route->path, '{') != NULL);
    if (route->scope != DOOR_ANYBODY)
        add_common(answers, keyed, false);
    return answers;
}

/* ---- operations ---- */

/* security_of: one of these scopes is enough. */
static json_t *security_of(const struct door_route *route)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (route->scope & scopes[i].scope)
            json_array_append_new(list, json_pack("{s:[s]}", "key", scopes[i].name));
    return list;
}

static const char *name_of(const struct door_route *route, char out[NAME_LEN_MAX])
{
    snprintf(out, NAME_LEN_MAX, "%s%s", route->method, route->path);
    for (char *at = out; *at; at++)
        *at = (char)(isalnum((unsigned char)*at) ? tolower((unsigned char)*at) : '_');
    return out;
}

static json_t *operation_of(const struct door_route *route)
{
    char name[NAME_LEN_MAX];
    json_t *operation = json_pack("{s:s, s:s, s:o, s:o, s:o}", "operationId", name_of(route, name), "summary", route->summary, "security",
                                  security_of(route), "parameters", parameters_of(route), "responses", answers_of(route));
    if (route->body || route->body_max)
        json_object_set_new(operation, "requestBody", body_of(route));
    if (route->scope & DOOR_OPERATOR)
        json_object_set_new(operation, "x-operator-only", json_true());
    return operation;
}

static json_t *components(void)
{
    json_t *answers = json_object();
    for (const struct door_said *said = doors; said->status; said++)
        add_answer(answers, said->status, error_of(said->when));
    for (const struct door_said *said = keyed; said->status; said++)
        add_answer(answers, said->status, error_of(said->when));
    return json_pack("{s:{s:{s:s, s:s, s:s}}, s:{s:{s:s, s:{s:{s:s}, s:{s:s}}, s:[s]}}, s:o}", "securitySchemes", "key", "type", "http",
                     "scheme", "bearer", "description", "A key of a tenant, or of the operator (relay key add). The unix socket needs none",
                     "schemas", "Error", "type", "object", "properties", "error", "type", "string", "field", "type", "string", "required",
                     "error", "responses", answers);
}

json_t *describe(const struct door_route *rows, size_t count)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < count; i++) {
        char method[16];
        snprintf(method, sizeof method, "%s", rows[i].method);
        for (char *at = method; *at; at++)
            *at = (char)tolower((unsigned char)*at);
        if (!json_object_get(paths, rows[i].path))
            json_object_set_new(paths, rows[i].path, json_object());
        json_object_set_new(json_object_get(paths, rows[i].path), method, operation_of(&rows[i]));
    }
    return json_pack("{s:s, s:{s:s, s:s}, s:o, s:o}", "openapi", "3.1.0", "info", "title", "relay: the admin door", "version",
                     RELAY_VERSION, "components", components(), "paths", paths);
}
