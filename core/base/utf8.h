/* utf8.h: what is a well-formed UTF-8 character, RFC 3629 section 4. */
#ifndef RELAY_BASE_UTF8_H
#define RELAY_BASE_UTF8_H

#include "base/bytes.h"

/* utf8_len: the length of the character at the front, 1 to 4; 0 if there is none: other bytes, an overlong form, a surrogate, one that is cut.  utf8_is_text: there is
 * nothing else in it. */
size_t utf8_len(struct view in);
bool utf8_is_text(struct view in);

/* utf8_text: `in` as a C string into `out` of `cap` bytes (cap > 0), cut between two characters if need be; bytes that are no text are read
 * as Latin-1. Returns `out`. */
char *utf8_text(struct view in, char *out, size_t cap);

#endif
