/* word.c: what a word is by its first byte. */
#include "policy/word.h"

#include <ctype.h>
#include <string.h>

struct words words_open(struct view text)
{
    return (struct words){.rest = text, .line = 1};
}

static uint8_t byte_at(const struct words *words, size_t at)
{
    return at < words->rest.len ? words->rest.at[at] : 0;
}

/* take: the next `len` bytes, as far as there are so many; lines are counted. */
static struct view take(struct words *words, size_t len)
{
    const struct view taken = view_cut(words->rest, len);
    for (size_t i = 0; i < taken.len; i++)
        words->line += taken.at[i] == '\n';
    words->rest = view_from(words->rest, len);
    return taken;
}

static size_t line_len(const struct words *words)
{
    const uint8_t *end = words->rest.len ? memchr(words->rest.at, '\n', words->rest.len) : NULL;
    return end ? (size_t)(end - words->rest.at) : words->rest.len;
}

/* bracket_len: of "[[" or "[==[" at `from`; 0: there is none. */
static size_t bracket_len(const struct words *words, size_t from)
{
    size_t at = from + 1;
    if (byte_at(words, from) != '[')
        return 0;
    while (byte_at(words, at) == '=')
        at++;
    return byte_at(words, at) == '[' ? at + 1 - from : 0;
}

/* take_long: what is between the brackets at the front, of `len` bytes each. */
static struct view take_long(struct words *words, size_t len)
{
    take(words, len);
    for (size_t at = 0; at < words->rest.len; at++) {
        size_t end = at + 1;
        while (byte_at(words, end) == '=')
            end++;
        if (byte_at(words, at) != ']' || byte_at(words, end) != ']' || end + 1 - at != len)
            continue;
        const struct view inside = take(words, at);
        take(words, len);
        return inside;
    }
    return take(words, words->rest.len);
}

static struct view take_quoted(struct words *words)
{
    const uint8_t quote = byte_at(words, 0);
    size_t len = 0;
    take(words, 1);
    while (len < words->rest.len && byte_at(words, len) != quote)
        len += byte_at(words, len) == '\\' ? 2 : 1;
    const struct view inside = take(words, len);
    take(words, 1);
    return inside;
}

/* skip: blanks and comments. */
static void skip(struct words *words)
{
    for (;;) {
        if (isspace(byte_at(words, 0))) {
            take(words, 1);
        } else if (byte_at(words, 0) == '-' && byte_at(words, 1) == '-') {
            const size_t bracket = bracket_len(words, 2);
            take(words, 2);
            if (bracket)
                take_long(words, bracket);
            else
                take(words, line_len(words));
        } else {
            return;
        }
    }
}

static bool is_keyword(struct view text)
{
    static const char *const keywords[] = {"and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                           "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                           "repeat",   "return", "then", "true", "until",  "while"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (view_equal(text, view_text(keywords[i])))
            return true;
    return false;
}

static size_t name_len(const struct words *words)
{
    size_t len = 0;
    while (isalnum(byte_at(words, len)) || byte_at(words, len) == '_')
        len++;
    return len;
}

/* number_len: digits, letters and dots; a sign behind an exponent. */
static size_t number_len(const struct words *words)
{
    const bool hex = byte_at(words, 0) == '0' && tolower(byte_at(words, 1)) == 'x';
    size_t len = 1;
    for (;; len++) {
        const int before = tolower(byte_at(words, len - 1)), here = byte_at(words, len);
        const bool exponent = (here == '+' || here == '-') && before == (hex ? 'p' : 'e');
        if (!isalnum(here) && here != '.' && !exponent)
            return len;
    }
}

static size_t sign_len(const struct words *words)
{
    static const char *const signs[] = {"...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", ".."};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (view_equal(view_cut(words->rest, strlen(signs[i])), view_text(signs[i])))
            return strlen(signs[i]);
    return 1;
}

struct word words_next(struct words *words)
{
    skip(words);
    struct word word = {.line = words->line};
    const uint8_t first = byte_at(words, 0);
    const size_t bracket = bracket_len(words, 0);
    if (words->rest.len == 0)
        return word;
    if (isalpha(first) || first == '_') {
        word.text = take(words, name_len(words));
        word.kind = is_keyword(word.text) ? WORD_KEYWORD : WORD_NAME;
    } else if (isdigit(first) || (first == '.' && isdigit(byte_at(words, 1)))) {
        word.text = take(words, number_len(words));
        word.kind = WORD_NUMBER;
    } else if (first == '"' || first == '\'' || bracket) {
        word.text = bracket ? take_long(words, bracket) : take_quoted(words);
        word.kind = WORD_STRING;
    } else {
        word.text = take(words, sign_len(words));
        word.kind = WORD_SIGN;
    }
    return word;
}

bool word_is(const struct word *word, const char *text)
{
    return (word->kind == WORD_KEYWORD || word->kind == WORD_SIGN) && view_equal(word->text, view_text(text));
}
