/* The rows of the admin door, each by itself and beside /openapi.json, which is made of them. */
#include "server/routes.h"

#include "admin/describe.h"
#include "test.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const json_t *operation_of(const json_t *document, const struct door_route *row)
{
    char method[16];
    snprintf(method, sizeof method, "%s", row->method);
    for (char *at = method; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return json_object_get(json_object_get(json_object_get(document, "paths"), row->path), method);
}

TEST(the_description_has_each_row_and_nothing_else)
{
    size_t count, described = 0;
    const struct door_route *rows = routes_rows(&count);
    json_t *document = describe(rows, count);
    const char *path;
    json_t *operations;
    json_object_foreach(json_object_get(document, "paths"), path, operations) described += json_object_size(operations);
    CHECK(count > 0);
    CHECK_INT(described, count);
    for (size_t i = 0; i < count; i++)
        if (!operation_of(document, &rows[i]))
            test_failed(rows[i].path, 0, "%s is not described", rows[i].method);
    json_decref(document);
}

static size_t count_of(const struct field *fields, const char *path)
{
    size_t count = 0;
    for (; fields && fields[count].name; count++) {
        const struct field *field = &fields[count];
        const bool has_words = field->kind == FIELD_CHOICE || (field->kind == FIELD_TEXTS && field->words);
        if (!field->help || has_words != (field->words != NULL) || field->min > field->max || strlen(field->name) > FIELD_NAME_MAX)
            test_failed(path, (int)count, "%s is not whole", field->name);
        for (size_t i = 0; i < count; i++)
            CHECK(strcmp(fields[i].name, field->name) != 0);
    }
    return count;
}

/* What the description says of a row is what its tables say. */
TEST(a_row_says_what_it_is_for_what_it_takes_and_what_it_answers)
{
    size_t count;
    const struct door_route *rows = routes_rows(&count);
    json_t *document = describe(rows, count);
    for (size_t i = 0; i < count; i++) {
        const struct door_route *row = &rows[i];
        const json_t *operation = operation_of(document, row), *answers = json_object_get(operation, "responses");
        const json_t *body = json_object_get(operation, "requestBody");
        size_t parts = 0;
        for (const char *at = row->path; (at = strchr(at, '{')) != NULL; at++)
            parts++;
        CHECK(row->serve && row->summary && isupper((unsigned char)*row->summary) && row->summary[strlen(row->summary) - 1] != '.');
        CHECK(parts <= DOOR_PARTS && !strchr(row->path, '*'));
        CHECK(row->scope == DOOR_ANYBODY || row->scope & DOOR_SCOPES);
        CHECK_INT(json_array_size(json_object_get(operation, "parameters")), parts + count_of(row->query, row->path));
        CHECK(count_of(row->query, row->path) <= FIELDS_MAX && count_of(row->body, row->path) <= FIELDS_MAX);
        CHECK_INT(body != NULL, row->body != NULL || row->body_max > 0);
        for (const struct door_said *said = row->answers; said && said->status; said++) {
            char status[12];
            snprintf(status, sizeof status, "%u", said->status);
            CHECK_TEXT(json_string_value(json_object_get(json_object_get(answers, status), "description")), said->when);
        }
        CHECK_INT(json_object_get(answers, "401") != NULL, row->scope != DOOR_ANYBODY);
    }
    json_decref(document);
}

TEST(no_two_rows_are_asked_alike)
{
    size_t count;
    const struct door_route *rows = routes_rows(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(rows[i].method, rows[k].method) == 0 && strcmp(rows[i].path, rows[k].path) == 0)
                test_failed(rows[i].path, 0, "two rows of %s", rows[i].method);
}

TEST_LIST(RUN(the_description_has_each_row_and_nothing_else) RUN(a_row_says_what_it_is_for_what_it_takes_and_what_it_answers)
              RUN(no_two_rows_are_asked_alike))
