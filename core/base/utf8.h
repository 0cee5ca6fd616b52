/* utf8.h: what is a well-formed UTF-8 character, RFC 3629 section 4. */
#ifndef RELAY_BASE_UTF8_H
#define RELAY_BASE_UTF8_H

#include "base/bytes.h"

/* utf8_len: the length of the character at the front, 1 to 4; 0 if there is none: other bytes, an overlong form, a surrogate, one that is cut.  utf8_is_text: there is
 * nothing else in it. */
size_t utf8_len(struct view in);
bool utf8_is_text(struct view in);

#endif
