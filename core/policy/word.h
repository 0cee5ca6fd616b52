/* word.h: the words of a Lua text, one after another: names, keywords, strings, numbers and signs, with their lines. Manual section 3.1.
 *
 * For texts that Lua has compiled: what is malformed gives some words and an end, never more than the text.
 */
#ifndef RELAY_POLICY_WORD_H
#define RELAY_POLICY_WORD_H

#include "base/bytes.h"

enum word_kind { WORD_END, WORD_NAME, WORD_KEYWORD, WORD_STRING, WORD_NUMBER, WORD_SIGN };

struct word {
    enum word_kind kind;
    struct view text; /* of a string what is between its quotes, escapes as they are */
    int line;
};

struct words {
    struct view rest;
    int line;
};

struct words words_open(struct view text);
struct word words_next(struct words *);

bool word_is(const struct word *, const char *text); /* a keyword or a sign */

#endif
