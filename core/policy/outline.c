/* outline.c: Lua's grammar (manual section 9) by recursive descent; of expressions only what names something is kept. */
#include "policy/outline.h"

#include "policy/reader.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 16  /* of one local statement: those behind them are not in sight */
#define DEPTH_MAX 250 /* more than Lua's own limit of nested levels */

static void block(struct reader *);
static struct value expression(struct reader *);
static int function_body(struct reader *, struct view name, int line, bool has_self);

/* ---- expressions ---- */

static void expressions(struct reader *r)
{
    do
        expression(r);
    while (!reader_end(r) && reader_take(r, ","));
}

static void table(struct reader *r)
{
    while (!reader_end(r) && !reader_take(r, "}")) {
        if (reader_take(r, "[")) {
            expression(r);
            reader_take(r, "]");
            reader_take(r, "=");
        } else if (r->word.kind == WORD_NAME && word_is(&r->ahead, "=")) {
            r->name = reader_name(r);
            reader_advance(r);
        }
        expression(r);
        if (!reader_take(r, ","))
            reader_take(r, ";");
    }
}

/* arguments: of a call, from its first word on; false: none are there. */
static bool arguments(struct reader *r)
{
    if (r->word.kind == WORD_STRING) {
        reader_advance(r);
    } else if (reader_take(r, "{")) {
        table(r);
    } else if (reader_take(r, "(")) {
        if (!reader_at(r, ")"))
            expressions(r);
        reader_take(r, ")");
    } else {
        return false;
    }
    return true;
}

static void say(struct reader *r, const struct value *value, int line)
{
    if (value->meaning == MEANS_GLOBAL)
        reader_mention(r, MENTION_GLOBAL, line, value);
    else if (value->meaning == MEANS_ARGUMENT && *value->path)
        reader_mention(r, MENTION_ARGUMENT, line, value);
    else if (value->meaning == MEANS_FUNCTION && !*value->path)
        reader_mention(r, MENTION_FUNCTION, line, value);
}

/* say_require: the call that begins here is require "name", or require("name"). */
static void say_require(struct reader *r, const struct value *value)
{
    const struct word *name = reader_at(r, "(") ? &r->ahead : &r->word;
    if (value->meaning != MEANS_GLOBAL || strcmp(value->path, "require") != 0 || name->kind != WORD_STRING)
        return;
    const struct value module = value_global(name->text);
    reader_mention(r, MENTION_REQUIRE, name->line, &module);
}

/* suffixes: what follows a name or a bracket: members, indices, calls. What is left of `value` is said when it ends. */
static struct value suffixes(struct reader *r, struct value value, int line)
{
    const struct value unknown = {0};
    while (!reader_end(r)) {
        if (reader_take(r, ".")) {
            value_append(&value, reader_name(r));
            continue;
        }
        if (reader_take(r, ":")) {
            value_append(&value, reader_name(r));
        } else if (!reader_at(r, "[") && !reader_at(r, "(") && !reader_at(r, "{") && r->word.kind != WORD_STRING) {
            return value;
        }
        say(r, &value, line);
        say_require(r, &value);
        value = unknown;
        if (reader_take(r, "[")) {
            expression(r);
            reader_take(r, "]");
        } else {
            arguments(r);
        }
    }
    return value;
}

static struct value value_of(struct reader *r, struct view name)
{
    const struct variable *variable = reader_find(r, name);
    return variable ? variable->value : value_global(name);
}

/* primary: a value with its suffixes; *line: where it began. It is not said yet: it may be given a value. */
static struct value primary(struct reader *r, int *line)
{
    struct value value = {0};
    *line = r->word.line;
    if (r->word.kind == WORD_NAME) {
        value = value_of(r, reader_name(r));
    } else if (reader_take(r, "(")) {
        expression(r);
        reader_take(r, ")");
    } else {
        reader_advance(r); /* no Lua */
        return value;
    }
    return suffixes(r, value, *line);
}

static struct value simple(struct reader *r)
{
    struct value value = {0};
    const struct view name = r->name;
    const int line = r->word.line;
    r->name = (struct view){0};
    if (reader_take(r, "function")) {
        value = (struct value){.meaning = MEANS_FUNCTION, .function = function_body(r, name, line, false)};
    } else if (reader_take(r, "{")) {
        table(r);
    } else if (r->word.kind == WORD_NAME || reader_at(r, "(")) {
        int from;
        value = primary(r, &from);
        say(r, &value, from);
    } else {
        reader_advance(r); /* a constant */
    }
    return value;
}

static bool take_unary(struct reader *r)
{
    return reader_take(r, "not") || reader_take(r, "-") || reader_take(r, "#") || reader_take(r, "~");
}

static bool take_binary(struct reader *r)
{
    static const char *const signs[] = {"+",  "-",  "*", "/",  "//", "^",  "%",  "&",  "~",   "|", ">>",
                                        "<<", "..", "<", "<=", ">",  ">=", "==", "~=", "and", "or"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (reader_take(r, signs[i]))
            return true;
    return false;
}

/* expression: its value if it is nothing but one. A function that is part of more is named here. */
static struct value expression(struct reader *r)
{
    const struct value unknown = {0};
    if (reader_end(r) || ++r->depth > DEPTH_MAX) {
        r->failed = true;
        return unknown;
    }
    bool alone = !take_unary(r);
    while (take_unary(r))
        ;
    struct value value = simple(r);
    while (!reader_end(r) && take_binary(r)) {
        alone = false;
        while (take_unary(r))
            ;
        simple(r);
    }
    r->depth--;
    return alone ? value : unknown;
}

/* ---- statements ---- */

/* function_body: from its parameters to its end; its index. */
static int function_body(struct reader *r, struct view name, int line, bool has_self)
{
    const int outer = r->inside, function = reader_function(r, name, line);
    const size_t variables = r->variable_count;
    struct value value = {.meaning = MEANS_ARGUMENT, .function = function};
    const struct value written = {.meaning = MEANS_FUNCTION, .function = function};
    reader_mention(r, MENTION_FUNCTION, line, &written);
    r->inside = function;
    if (has_self) {
        reader_declare(r, view_text("self"), &value);
        value.argument++;
    }
    reader_take(r, "(");
    while (!reader_end(r) && !reader_take(r, ")")) {
        if (r->word.kind == WORD_NAME) {
            reader_declare(r, reader_name(r), &value);
            value.argument++;
        } else {
            reader_advance(r); /* a comma, or ... */
        }
    }
    block(r);
    reader_take(r, "end");
    r->variable_count = variables;
    r->inside = outer;
    return function;
}

/* function f.g:h() ... end */
static void function_statement(struct reader *r, int line)
{
    struct view name = reader_name(r);
    struct value value = value_of(r, name);
    struct variable *variable = reader_find(r, name);
    bool is_member = false, has_self = false;
    while (reader_at(r, ".") || reader_at(r, ":")) {
        has_self = reader_at(r, ":");
        is_member = true;
        reader_advance(r);
        name = reader_name(r);
        value_append(&value, name);
    }
    if (!variable && !is_member)
        reader_mention(r, MENTION_SET, line, &value);
    const int function = function_body(r, name, line, has_self);
    if (variable && !is_member)
        variable->value = (struct value){.meaning = MEANS_FUNCTION, .function = function};
}

static void local_function(struct reader *r, int line)
{
    /* its body may name it: it is the next one to be made */
    const struct value value = {.meaning = MEANS_FUNCTION, .function = (int)r->out->function_count};
    const struct view name = reader_name(r);
    reader_declare(r, name, &value);
    function_body(r, name, line, false);
}

static void local_statement(struct reader *r, int line)
{
    const struct value unknown = {0};
    struct view names[NAMES_MAX];
    size_t count = 0;
    if (reader_take(r, "function")) {
        local_function(r, line);
        return;
    }
    do {
        const struct view name = reader_name(r);
        if (count < sizeof names / sizeof *names)
            names[count++] = name;
        if (reader_take(r, "<")) {
            reader_name(r);
            reader_take(r, ">");
        }
    } while (!reader_end(r) && reader_take(r, ","));
    struct value values[sizeof names / sizeof *names] = {{0}};
    if (reader_take(r, "=")) {
        size_t given = 0;
        do {
            if (given < count)
                r->name = names[given];
            const struct value value = expression(r);
            if (given < count)
                values[given++] = value;
        } while (!reader_end(r) && reader_take(r, ","));
    }
    for (size_t i = 0; i < count; i++)
        reader_declare(r, names[i], values[i].meaning == MEANS_NOTHING ? &unknown : &values[i]);
}

/* A call, or an assignment to one or more places. A variable that is given something else is nothing known any more. */
static void expression_statement(struct reader *r)
{
    do {
        int line;
        const bool is_name = r->word.kind == WORD_NAME;
        const struct view name = r->word.text;
        struct value value = primary(r, &line);
        struct variable *variable = is_name ? reader_find(r, name) : NULL;
        const bool is_target = reader_at(r, "=") || reader_at(r, ",");
        if (is_target && value.meaning == MEANS_GLOBAL && !strchr(value.path, '.'))
            reader_mention(r, MENTION_SET, line, &value);
        else if (is_target && variable && view_equal(view_text(value.path), view_text(variable->value.path)))
            variable->value = (struct value){0};
        else
            say(r, &value, line);
    } while (!reader_end(r) && reader_take(r, ","));
    if (reader_take(r, "="))
        expressions(r);
}

static void scope(struct reader *r)
{
    const size_t variables = r->variable_count;
    block(r);
    r->variable_count = variables;
}

static void for_statement(struct reader *r, int line)
{
    (void)line;
    const size_t variables = r->variable_count;
    const struct value unknown = {0};
    struct view names[NAMES_MAX];
    size_t count = 0;
    do {
        const struct view name = reader_name(r);
        if (count < sizeof names / sizeof *names)
            names[count++] = name;
    } while (!reader_end(r) && reader_take(r, ","));
    if (reader_take(r, "=") || reader_take(r, "in"))
        expressions(r);
    for (size_t i = 0; i < count; i++)
        reader_declare(r, names[i], &unknown);
    reader_take(r, "do");
    block(r);
    reader_take(r, "end");
    r->variable_count = variables;
}

static void if_statement(struct reader *r, int line)
{
    (void)line;
    do {
        expression(r);
        reader_take(r, "then");
        scope(r);
    } while (!reader_end(r) && reader_take(r, "elseif"));
    if (reader_take(r, "else"))
        scope(r);
    reader_take(r, "end");
}

static void while_statement(struct reader *r, int line)
{
    (void)line;
    expression(r);
    reader_take(r, "do");
    scope(r);
    reader_take(r, "end");
}

/* What is local in the block is known in the condition. */
static void repeat_statement(struct reader *r, int line)
{
    (void)line;
    const size_t variables = r->variable_count;
    block(r);
    reader_take(r, "until");
    expression(r);
    r->variable_count = variables;
}

static bool at_block_end(const struct reader *r)
{
    return reader_end(r) || reader_at(r, "end") || reader_at(r, "else") || reader_at(r, "elseif") || reader_at(r, "until");
}

static void return_statement(struct reader *r, int line)
{
    (void)line;
    if (!at_block_end(r) && !reader_at(r, ";"))
        expressions(r);
}

static void do_statement(struct reader *r, int line)
{
    (void)line;
    scope(r);
    reader_take(r, "end");
}

static void label(struct reader *r, int line)
{
    (void)line;
    reader_name(r);
    reader_take(r, "::");
}

static void go_to(struct reader *r, int line)
{
    (void)line;
    reader_name(r);
}

static void nothing(struct reader *r, int line)
{
    (void)r, (void)line;
}

static void statement(struct reader *r)
{
    static const struct {
        const char *word;
        void (*read)(struct reader *, int line);
    } rows[] = {
        {"function", function_statement},
        {"local", local_statement},
        {"for", for_statement},
        {"if", if_statement},
        {"while", while_statement},
        {"do", do_statement},
        {"repeat", repeat_statement},
        {"return", return_statement},
        {"goto", go_to},
        {"::", label},
        {"break", nothing},
        {";", nothing},
    };
    const int line = r->word.line;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (reader_take(r, rows[i].word)) {
            rows[i].read(r, line);
            return;
        }
    expression_statement(r);
}

static void block(struct reader *r)
{
    if (++r->depth > DEPTH_MAX)
        r->failed = true;
    while (!at_block_end(r))
        statement(r);
    r->depth--;
}

int outline_init(struct outline *out, struct view text)
{
    *out = (struct outline){0};
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_MEMORY;
    r->words = words_open(text);
    r->out = out;
    reader_function(r, view_text(""), 0);
    reader_advance(r);
    reader_advance(r);
    block(r);
    free(r);
    return out->functions ? 0 : ERR_MEMORY;
}

void outline_close(struct outline *out)
{
    free(out->mentions);
    free(out->functions);
    *out = (struct outline){0};
}
