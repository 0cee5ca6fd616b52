/* What a request may say: bodies and parameters, by tables of fields. */
#include "admin/field.h"
#include "base/err.h"
#include "test.h"

#include <string.h>

static const struct field rows[] = {
    {.name = "name", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = 8},
    {.name = "ttl", .kind = FIELD_NUMBER, .min = 1, .max = 172800},
    {.name = "owed", .kind = FIELD_NUMBER, .min = -5, .max = FIELD_NUMBER_MAX},
    {.name = "strict", .kind = FIELD_FLAG},
    {.name = "form", .kind = FIELD_CHOICE, .words = "plain|uberti|twilio"},
    {.name = "via", .kind = FIELD_TEXTS, .min = 1, .max = 2, .words = "udp|tcp|tls"},
    {.name = "ends", .kind = FIELD_NUMBER, .traits = FIELD_NULLABLE, .min = 0, .max = FIELD_NUMBER_MAX},
    {0},
};

static int read(struct fields *fields, const char *text, struct field_fault *why)
{
    *why = (struct field_fault){0};
    return fields_read(fields, rows, text, strlen(text), why);
}

TEST(a_body_becomes_values)
{
    struct fields fields;
    struct field_fault why;
    CHECK_INT(read(&fields,
                   "{\"name\": \"\xed\x95\x9c\", \"ttl\": 1e3, \"owed\": -5, \"strict\": true, \"form\": \"twilio\", \"via\": [\"tls\", "
                   "\"udp\"], \"ends\": null}",
                   &why),
              0);
    CHECK_TEXT(fields_text(&fields, "name"), "\xed\x95\x9c");
    CHECK_INT(fields_number(&fields, "ttl", 0), 1000);
    CHECK_INT(fields_number(&fields, "owed", 0), -5);
    CHECK_INT(fields_number(&fields, "strict", 0), 1);
    CHECK_INT(fields_number(&fields, "form", 0), 2);
    CHECK_TEXT(fields_text(&fields, "form"), "twilio");
    CHECK_INT(json_array_size(fields_value(&fields, "via")->list), 2);
    CHECK(fields_value(&fields, "ends")->is_null);
    CHECK_INT(fields_number(&fields, "ends", 9), 9);
    fields_close(&fields);
    CHECK_INT(read(&fields, "{\"name\": \"ann\"}", &why), 0);
    CHECK(!fields_value(&fields, "ttl") && !fields_text(&fields, "form"));
    CHECK_INT(fields_number(&fields, "ttl", 3600), 3600);
    fields_close(&fields);
}

TEST(what_is_wrong_with_a_body_has_its_name)
{
    static const struct {
        const char *body, *name, *reason;
    } cases[] = {
        {"", "name", "it is missing"},
        {"{}", "name", "it is missing"},
        {"[]", "", "the body: a JSON object expected"},
        {"{\"name\": \"ann\"", "", "the body is no JSON: '}' expected near end of file at line 1, column 14"},
        {"{\"name\": \"ann\", \"name\": \"bob\"}", "", "the body is no JSON: duplicate object key near '\"name\"' at line 1, column 22"},
        {"{\"name\": \"\"}", "name", "a text of 1 to 8 bytes expected"},
        {"{\"name\": \"123456789\"}", "name", "a text of 1 to 8 bytes expected"},
        {"{\"name\": null}", "name", "a text of 1 to 8 bytes expected"},
        {"{\"name\": 7}", "name", "a text of 1 to 8 bytes expected"},
        {"{\"name\": \"a\", \"ttl\": 0}", "ttl", "a whole number from 1 to 172800 expected"},
        {"{\"name\": \"a\", \"ttl\": 1.5}", "ttl", "a whole number from 1 to 172800 expected"},
        {"{\"name\": \"a\", \"ttl\": \"60\"}", "ttl", "a whole number from 1 to 172800 expected"},
        {"{\"name\": \"a\", \"ttl\": 99999999999999999999999}", "ttl", "a whole number from 1 to 172800 expected"},
        {"{\"name\": \"a\", \"strict\": 1}", "strict", "true or false expected"},
        {"{\"name\": \"a\", \"form\": \"xml\"}", "form", "one of plain|uberti|twilio expected"},
        {"{\"name\": \"a\", \"form\": null}", "form", "one of plain|uberti|twilio expected"},
        {"{\"name\": \"a\", \"via\": []}", "via", "a list of 1 to 2 texts, each one of udp|tcp|tls expected"},
        {"{\"name\": \"a\", \"via\": [\"sctp\"]}", "via", "a list of 1 to 2 texts, each one of udp|tcp|tls expected"},
        {"{\"name\": \"a\", \"via\": [\"udp\", 1]}", "via", "a list of 1 to 2 texts, each one of udp|tcp|tls expected"},
        {"{\"name\": \"a\", \"via\": \"udp\"}", "via", "a list of 1 to 2 texts, each one of udp|tcp|tls expected"},
        {"{\"name\": \"a\", \"tll\": 1}", "tll", "there is no such name here: did you mean ttl?"},
        {"{\"name\": \"a\", \"qqqqqq\": 1}", "qqqqqq", "there is no such name here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fields fields;
        struct field_fault why;
        CHECK_INT(read(&fields, cases[i].body, &why), ERR_BAD);
        CHECK_TEXT(why.name, cases[i].name);
        CHECK_TEXT(why.reason, cases[i].reason);
        fields_close(&fields);
    }
}

/* A name that is cut must stay UTF-8: it goes into the answer. */
TEST(a_long_name_is_cut_between_two_characters)
{
    char body[256] = "{\"a";
    struct fields fields;
    struct field_fault why;
    for (int i = 0; i < 40; i++)
        strcat(body, "\xed\x95\x9c");
    strcat(body, "\": 1}");
    CHECK_INT(read(&fields, body, &why), ERR_BAD);
    CHECK_INT(strlen(why.name), 1 + 20 * 3);
    fields_close(&fields);
}

TEST(parameters_are_read_by_the_same_rows)
{
    static const struct {
        const char *name, *text;
        int status;
    } cases[] = {
        {"ttl", "60", 0},
        {"ttl", "60s", ERR_BAD},
        {"ttl", "", ERR_BAD},
        {"ttl", "0", ERR_BAD},
        {"ttl", NULL, ERR_BAD},
        {"owed", "-5", 0},
        {"owed", "--5", ERR_BAD},
        {"owed", "9007199254740992", ERR_BAD},
        {"owed", "99999999999999999999", ERR_BAD},
        {"strict", "true", 0},
        {"strict", "1", ERR_BAD},
        {"form", "uberti", 0},
        {"form", "x", ERR_BAD},
        {"via", "udp,tls", 0},
        {"via", "", ERR_BAD},
        {"via", "udp,", 0},
        {"via", "udp,x", ERR_BAD},
        {"name", "a\xff", ERR_BAD},
        {"nmae", "ann", ERR_BAD},
        {"ends", "null", ERR_BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fields fields;
        struct field_fault why;
        CHECK_INT(fields_begin(&fields, rows), 0);
        CHECK_INT(fields_put(&fields, cases[i].name, cases[i].text, &why), cases[i].status);
        if (cases[i].status)
            CHECK_TEXT(why.name, cases[i].name);
        CHECK_INT(fields_end(&fields, &why), ERR_BAD); /* `name` */
        CHECK_TEXT(why.name, "name");
        fields_close(&fields);
    }
}

TEST_LIST(RUN(a_body_becomes_values) RUN(what_is_wrong_with_a_body_has_its_name) RUN(a_long_name_is_cut_between_two_characters)
              RUN(parameters_are_read_by_the_same_rows))
