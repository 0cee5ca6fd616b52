/* pattern.c: a backtracking matcher: an item (one character or class), then what may follow it. */
#include "policy/pattern.h"

#include "policy/state.h"

#include <ctype.h>
#include <string.h>

#define CAPTURE_OPEN (-1)
#define CAPTURE_POSITION (-2)
#define STEPS_PER_INSTRUCTION 4

void match_init(struct match *match, lua_State *L, const char *subject, size_t subject_len, const char *pattern_end)
{
    *match = (struct match){.L = L, .subject = subject, .subject_end = subject + subject_len, .pattern_end = pattern_end};
    match->steps_max = policy_of(L)->loading ? slice_load.instructions : PATTERN_STEPS;
}

static void step(struct match *match)
{
    if (++match->steps > match->steps_max) {
        budget_charge(match->L, match->steps / STEPS_PER_INSTRUCTION);
        state_raise(match->L, "pattern takes too many steps");
    }
}

void match_charge(struct match *match)
{
    const uint64_t steps = match->steps;
    match->steps = 0;
    budget_charge(match->L, steps / STEPS_PER_INSTRUCTION);
}

/* item_end: behind the item that begins at `p`. */
static const char *item_end(struct match *match, const char *p)
{
    const char *end = match->pattern_end;
    const char first = *p++;
    if (first == '%') {
        if (p == end)
            state_raise(match->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[')
        return p;
    if (p < end && *p == '^')
        p++;
    for (const char *begin = p; p < end; p++) {
        if (*p == ']' && p > begin)
            return p + 1;
        if (*p == '%' && p + 1 < end)
            p++;
    }
    state_raise(match->L, "malformed pattern (missing ']')");
    return NULL;
}

static bool class_has(int class, int c)
{
    bool has;
    switch (tolower(class)) {
        case 'a':
            has = isalpha(c);
            break;
        case 'c':
            has = iscntrl(c);
            break;
        case 'd':
            has = isdigit(c);
            break;
        case 'g':
            has = isgraph(c);
            break;
        case 'l':
            has = islower(c);
            break;
        case 'p':
            has = ispunct(c);
            break;
        case 's':
            has = isspace(c);
            break;
        case 'u':
            has = isupper(c);
            break;
        case 'w':
            has = isalnum(c);
            break;
        case 'x':
            has = isxdigit(c);
            break;
        case 'z': /* not in the manual any more, but still in Lua */
            has = c == 0;
            break;
        default:
            return class == c;
    }
    return isupper(class) ? !has : has;
}

static int byte_at(const char *at)
{
    return (unsigned char)*at;
}

/* set_has: `p` at '[', `end` behind ']'. */
static bool set_has(const char *p, const char *end, int c)
{
    const char *last = end - 1;
    bool found = true;
    if (*++p == '^') {
        found = false;
        p++;
    }
    for (; p < last; p++) {
        if (*p == '%') {
            if (class_has(byte_at(++p), c))
                return found;
        } else if (last - p > 2 && p[1] == '-') {
            if (byte_at(p) <= c && c <= byte_at(p + 2))
                return found;
            p += 2;
        } else if (byte_at(p) == c) {
            return found;
        }
    }
    return !found;
}

static bool item_has(struct match *match, const char *s, const char *p, const char *end)
{
    step(match);
    if (s >= match->subject_end)
        return false;
    switch (*p) {
        case '.':
            return true;
        case '%':
            return class_has(byte_at(p + 1), byte_at(s));
        case '[':
            return set_has(p, end, byte_at(s));
        default:
            return *p == *s;
    }
}

static const char *match_here(struct match *match, const char *s, const char *p);

static const char *match_longest(struct match *match, const char *s, const char *p, const char *end)
{
    ptrdiff_t count = 0;
    while (item_has(match, s + count, p, end))
        count++;
    for (; count >= 0; count--) {
        const char *found = match_here(match, s + count, end + 1);
        if (found)
            return found;
    }
    return NULL;
}

static const char *match_shortest(struct match *match, const char *s, const char *p, const char *end)
{
    for (;; s++) {
        const char *found = match_here(match, s, end + 1);
        if (found)
            return found;
        if (!item_has(match, s, p, end))
            return NULL;
    }
}

static const char *open_capture(struct match *match, const char *s, const char *p)
{
    const bool position = p + 1 < match->pattern_end && p[1] == ')';
    if (match->captures >= PATTERN_CAPTURES)
        state_raise(match->L, "too many captures");
    match->capture[match->captures++] = (struct capture){.at = s, .len = position ? CAPTURE_POSITION : CAPTURE_OPEN};
    const char *found = match_here(match, s, p + (position ? 2 : 1));
    if (!found)
        match->captures--;
    return found;
}

static const char *close_capture(struct match *match, const char *s, const char *p)
{
    int index = match->captures - 1;
    while (index >= 0 && match->capture[index].len != CAPTURE_OPEN)
        index--;
    if (index < 0)
        state_raise(match->L, "invalid pattern capture");
    match->capture[index].len = s - match->capture[index].at;
    const char *found = match_here(match, s, p + 1);
    if (!found)
        match->capture[index].len = CAPTURE_OPEN;
    return found;
}

/* match_balanced: %bxy. NULL if there is no balance. */
static const char *match_balanced(struct match *match, const char *s, const char *p)
{
    if (match->pattern_end - p < 2)
        state_raise(match->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= match->subject_end || *s != p[0])
        return NULL;
    size_t open = 1;
    while (++s < match->subject_end) {
        step(match);
        if (*s == p[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* is_frontier: %f[set]: the character before is not in the set and this one is; the ends count as '\0'. */
static bool is_frontier(const struct match *match, const char *s, const char *p, const char *end)
{
    const int before = s == match->subject ? 0 : byte_at(s - 1), here = s == match->subject_end ? 0 : byte_at(s);
    return !set_has(p, end, before) && set_has(p, end, here);
}

/* match_back: %1: the same bytes as a closed capture. */
static const char *match_back(struct match *match, const char *s, int digit)
{
    const int index = digit - '1';
    if (index < 0 || index >= match->captures || match->capture[index].len == CAPTURE_OPEN)
        state_raise(match->L, "invalid capture index %%%d", index + 1);
    const struct capture *capture = &match->capture[index];
    if (capture->len == CAPTURE_POSITION)
        return NULL;
    const size_t len = (size_t)capture->len;
    match->steps += len / 16;
    step(match);
    return (size_t)(match->subject_end - s) >= len && memcmp(capture->at, s, len) == 0 ? s + len : NULL;
}

/* special: the items of more than a class: %b, %f, %1. True if it was one; then *s is where the match goes on (NULL: no match) and *p is
 * behind it. */
static bool special(struct match *match, const char **s, const char **p)
{
    if (**p != '%' || *p + 1 >= match->pattern_end)
        return false;
    const char kind = (*p)[1];
    if (kind == 'b') {
        *s = match_balanced(match, *s, *p + 2);
        *p += 4;
    } else if (kind == 'f') {
        const char *set = *p + 2;
        if (set >= match->pattern_end || *set != '[')
            state_raise(match->L, "missing '[' after '%%f' in pattern");
        *p = item_end(match, set);
        *s = is_frontier(match, *s, set, *p) ? *s : NULL;
    } else if (isdigit((unsigned char)kind)) {
        *s = match_back(match, *s, kind);
        *p += 2;
    } else {
        return false;
    }
    return true;
}

/* repeated: an item and its suffix. True when that decided (*s is the end of the whole match or NULL); false: one item matched, go on. */
static bool repeated(struct match *match, const char **s, const char *p, const char *end)
{
    const char suffix = end < match->pattern_end ? *end : 0;
    const char *found = NULL;
    switch (suffix) {
        case '?':
            if (item_has(match, *s, p, end))
                found = match_here(match, *s + 1, end + 1);
            *s = found ? found : match_here(match, *s, end + 1);
            return true;
        case '+':
            *s = item_has(match, *s, p, end) ? match_longest(match, *s + 1, p, end) : NULL;
            return true;
        case '*':
            *s = match_longest(match, *s, p, end);
            return true;
        case '-':
            *s = match_shortest(match, *s, p, end);
            return true;
        default:
            *s = item_has(match, *s, p, end) ? *s + 1 : NULL;
            return !*s;
    }
}

static const char *match_rest(struct match *match, const char *s, const char *p)
{
    while (p < match->pattern_end) {
        step(match);
        if (*p == '(')
            return open_capture(match, s, p);
        if (*p == ')')
            return close_capture(match, s, p);
        if (*p == '$' && p + 1 == match->pattern_end)
            return s == match->subject_end ? s : NULL;
        if (special(match, &s, &p)) {
            if (!s)
                return NULL;
            continue;
        }
        const char *end = item_end(match, p);
        if (repeated(match, &s, p, end))
            return s;
        p = end;
    }
    return s;
}

static const char *match_here(struct match *match, const char *s, const char *p)
{
    if (++match->depth > PATTERN_DEPTH)
        state_raise(match->L, "pattern too complex");
    const char *found = match_rest(match, s, p);
    match->depth--;
    return found;
}

const char *match_at(struct match *match, const char *at, const char *pattern)
{
    match->captures = 0;
    match->depth = 0;
    step(match);
    return match_here(match, at, pattern);
}

void match_push(struct match *match, int index, const char *from, const char *to)
{
    if (index >= match->captures) {
        if (index != 0)
            state_raise(match->L, "invalid capture index %%%d", index + 1);
        lua_pushlstring(match->L, from, (size_t)(to - from));
        return;
    }
    const struct capture *capture = &match->capture[index];
    if (capture->len == CAPTURE_OPEN)
        state_raise(match->L, "unfinished capture");
    if (capture->len == CAPTURE_POSITION)
        lua_pushinteger(match->L, capture->at - match->subject + 1);
    else
        lua_pushlstring(match->L, capture->at, (size_t)capture->len);
}

int match_push_all(struct match *match, const char *from, const char *to)
{
    const int count = match->captures == 0 && from ? 1 : match->captures;
    luaL_checkstack(match->L, count, "too many captures");
    for (int i = 0; i < count; i++)
        match_push(match, i, from, to);
    return count;
}
