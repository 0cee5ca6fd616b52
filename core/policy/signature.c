/* signature.c: cut at commas and colons that stand in no brackets and no quotes. */
#include "policy/signature.h"

#include <ctype.h>
#include <string.h>

static bool is_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '.';
}

/* cut: what is before the first `sign` that stands in no brackets and no quotes; the rest moves behind it. Without one: everything. */
static struct view cut(struct view *rest, char sign)
{
    int depth = 0;
    bool quoted = false;
    size_t len = 0;
    for (; len < rest->len; len++) {
        const char c = (char)rest->at[len];
        quoted ^= c == '"';
        if (!quoted && depth == 0 && c == sign)
            break;
        depth += !quoted && strchr("([{<", c) != NULL;
        depth -= !quoted && strchr(")]}>", c) != NULL;
    }
    const struct view before = view_of(rest->at, len);
    const size_t used = len < rest->len ? len + 1 : len;
    *rest = view_of(rest->at + used, rest->len - used);
    return before;
}

static struct view trim(struct view view)
{
    while (view.len && view.at[0] == ' ')
        view = view_of(view.at + 1, view.len - 1);
    return view;
}

static struct parameter parameter_of(struct view text)
{
    struct parameter out = {.name = trim(cut(&text, ':')), .type = trim(text)};
    out.optional = out.name.len && out.name.at[out.name.len - 1] == '?';
    out.name.len -= out.optional;
    return out;
}

bool signature_init(struct signature *signature, const char *type)
{
    static const char head[] = "fun(";
    struct view text = view_text(type);
    *signature = (struct signature){0};
    if (strncmp(type, head, strlen(head)) != 0)
        return false;
    text = view_of(text.at + strlen(head), text.len - strlen(head));
    struct view inside = cut(&text, ')');
    while (inside.len && signature->parameter_count < SIGNATURE_PARAMETERS_MAX)
        signature->parameters[signature->parameter_count++] = parameter_of(cut(&inside, ','));
    cut(&text, ':');
    while (text.len && signature->result_count < SIGNATURE_RESULTS_MAX)
        signature->results[signature->result_count++] = trim(cut(&text, ','));
    return true;
}

static size_t quoted_len(struct view text)
{
    const uint8_t *end = text.len > 1 ? memchr(text.at + 1, '"', text.len - 1) : NULL;
    return end ? (size_t)(end - text.at) + 1 : text.len;
}

bool signature_word(struct view *rest, struct view *before, struct view *word)
{
    for (size_t at = 0; at < rest->len;) {
        size_t len = 0;
        if (rest->at[at] == '"')
            at += quoted_len(view_of(rest->at + at, rest->len - at));
        while (at + len < rest->len && is_word(rest->at[at + len]))
            len++;
        const size_t end = at + len, sign = end < rest->len && rest->at[end] == '?' ? end + 1 : end;
        const bool is_name = sign < rest->len && rest->at[sign] == ':';
        if (len && !is_name) {
            *before = view_of(rest->at, at);
            *word = view_of(rest->at + at, len);
            *rest = view_of(rest->at + end, rest->len - end);
            return true;
        }
        at = end + (len == 0);
    }
    *before = *rest;
    return false;
}
