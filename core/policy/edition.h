/* edition.h: the texts of the policies as they were at one moment: read once, for all workers, and named by a revision.
 *
 * Files of the chain are read at once; a module when the first policy that loads requires it. Who asks later gets the same text, or is told the
 * same that there is none. Several threads may load from one edition; its texts live as long as it does.
 */
#ifndef RELAY_POLICY_EDITION_H
#define RELAY_POLICY_EDITION_H

#include "policy/policy.h"

/* edition_script: the text of the n-th file of the chain.  edition_module: of the file at `path`; NULL: there is none. */
const char *edition_script(const struct policy_edition *, size_t n, size_t *len);
const char *edition_module(struct policy_edition *, const char *path, size_t *len);

/* edition_seal: the revision, a digest of all that was read when this was first called: policies have loaded, `init` has not run. */
int edition_seal(struct policy_edition *, struct crypto *, char revision[POLICY_REVISION_LEN + 1]);

#endif
