/* journal.h: the decision log: what was asked of the policies and of the core, and what was answered, one JSON object a line.
 *
 *     {"decision_id":"3721...","policy_rev":"1f0c9a6be2d4","time":1764106073.123,"worker":1,"phase":"authorize","by":"quota.lua:14",
 *      "input":{"user":"ann","src":"198.51.100.7:5000",...},"result":{"decision":"deny","code":486,"reason":"..."},"ns":1300,"instructions":0}
 *
 * `input` and `result` are those of policy/account.h: of a policy that had an opinion, `result` is that; what the core made of it is `final`, where it is another. Where
 * no policy had one, `by` is "core" and `result` the core's. A hook that waited has "waited":true. What the core refuses without having been asked (a quota, a wrong
 * password, a peer) has the phase "core", and the event that the log hook is told as its input. The id is a string: it has more digits than some readers of JSON keep.
 *
 * "shadow":{"by":"new.lua:3","result":{...}}: a shadow would have answered that, or is "undecided" (server/shadow.h).
 *
 * A worker gathers lines in a page of its own and writes it once for each turn of its loop, with one write(2). What finds no room there, or no space on the disk, is
 * lost and counted. Refusals of clients whom nobody vouches for are bounded: JOURNAL_STRANGERS a second of each worker; whoever floods the server does not fill the disk.
 */
#ifndef RELAY_SERVER_JOURNAL_H
#define RELAY_SERVER_JOURNAL_H

#include "base/crypto.h"
#include "server/refusal.h"

#define JOURNAL_STRANGERS 200
#define JOURNAL_PAGE_MAX ((size_t)1 << 20)

struct journal;
struct journal_page;

/* journal_open: the file of `decision-log`, appended, mode 0640: 0 and *out, which is NULL without that option; or negative with the refusal.
 * journal_reopen: after rotation; false, errno set: the old file stays. Main's. */
int journal_open(const struct config *, struct journal **out, struct refusal *);
bool journal_reopen(struct journal *);
void journal_close(struct journal *);

/* journal_page_new: of a worker, numbered from 1; NULL without memory. */
struct journal_page *journal_page_new(struct journal *, unsigned worker, struct crypto *);
void journal_page_free(struct journal_page *); /* what it has is written; NULL is fine */

/* struct finding: an answer. */
struct finding {
    const struct policy *policy; /* that was asked; NULL: none */
    const struct question *question;
    const struct verdict *said;  /* by the policy */
    const struct verdict *final; /* with what is built in */
    const struct verdict *shadow; /* where it would say another thing; VERDICT_LATER: nothing that could be compared. NULL: the same */
};

/* journal_note: the answer, if it is one to keep.  journal_tell: an event, if it is a refusal of which no answer was kept; `revision` of the policies.
 * journal_write: what was gathered.  journal_lost: how many lines were, since the last call. */
void journal_note(struct journal_page *, const struct finding *);
void journal_tell(struct journal_page *, const struct event *, const char *revision);
void journal_write(struct journal_page *);
uint64_t journal_lost(struct journal_page *);

#endif
