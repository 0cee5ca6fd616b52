/* opaque.h: names, realms and passwords as all who compare them must write them: the OpaqueString profile of RFC 8265 section 4.2.
 *
 * Other spaces become SPACE, the result is brought to NFC, and then every code point must be one that the FreeformClass of RFC 8264
 * allows. What is printable ASCII is prepared already: it is looked at once and never copied.
 *
 * RFC 5389 had SASLprep (RFC 4013) in its place, which also maps compatibility characters (NFKC) and drops what is invisible:
 * opaque_saslprep is that form, where a prepared string has another. Most clients prepare nothing.
 *
 * The only door to libunistring. No state; any thread.
 */
#ifndef RELAY_BASE_OPAQUE_H
#define RELAY_BASE_OPAQUE_H

#include "base/bytes.h"

#define OPAQUE_MAX_LEN 768 /* the longest prepared string: more than any attribute of STUN holds */
#define OPAQUE_WHY_MAX 96

/* opaque_is_plain: printable ASCII, not empty: prepared as it is. */
bool opaque_is_plain(struct view text);

/* opaque_enforce: the prepared form of `text` into `out`, as a C string, its length into *len. 0; ERR_BAD: not UTF-8, empty, or with a code
 * point that the profile does not allow; ERR_RANGE: longer than OPAQUE_MAX_LEN. The reason is in `why`, to be put behind the name of the
 * thing. */
int opaque_enforce(struct view text, char out[OPAQUE_MAX_LEN + 1], size_t *len, char why[OPAQUE_WHY_MAX]);

/* opaque_prepared: the same for what comes from a client: `text` itself if it is plain, else its prepared form in `out`; empty if it has
 * none. */
struct view opaque_prepared(struct view text, char out[OPAQUE_MAX_LEN + 1]);

/* opaque_saslprep: what SASLprep makes of a prepared string, in `out`, or `prepared` itself where that is the same. */
struct view opaque_saslprep(struct view prepared, char out[OPAQUE_MAX_LEN + 1]);

#endif
