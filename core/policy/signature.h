/* signature.h: the types of reference.h taken apart: what a function takes, and what it returns.
 *
 * A type is words, "texts" and signs; a word that is followed by `:` or `?:` is the name of a parameter.
 */
#ifndef RELAY_POLICY_SIGNATURE_H
#define RELAY_POLICY_SIGNATURE_H

#include "base/bytes.h"

#define SIGNATURE_PARAMETERS_MAX 8
#define SIGNATURE_RESULTS_MAX 4

struct parameter {
    struct view name, type; /* "options", "relay.shared" */
    bool optional;          /* "options?: ..." */
};

struct signature {
    struct parameter parameters[SIGNATURE_PARAMETERS_MAX];
    size_t parameter_count;
    struct view results[SIGNATURE_RESULTS_MAX];
    size_t result_count;
};

/* signature_init: of "fun(a: string, b?: integer): string, string?"; false: that is no function's. Views of `type`. */
bool signature_init(struct signature *, const char *type);

/* signature_word: the next word of a type that names a type, "relay.shared", and what is before it; false at the end: `before` is the rest.
 */
bool signature_word(struct view *rest, struct view *before, struct view *word);

#endif
