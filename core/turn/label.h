/* label.h: what an allocation is called: its tags are "k=v,k=v" (struct labels), of policies and of minted credentials. */
#ifndef RELAY_TURN_LABEL_H
#define RELAY_TURN_LABEL_H

#include "turn/allocation.h"

/* label_find: the value of the tag `name`; empty if there is none. It lives as long as `tags`.  label_tag: which player it is: the tag `tag`, or else the user. */
struct view label_find(const char *tags, const char *name);
struct view label_tag(const char *tags, const char *user);

/* struct label_names: under which room (of a match) and tag (of a player) an allocation is counted, and may be found: those that its tags name, or else its
 * group and its user. */
struct label_names {
    char room[NAME_MAX_LEN + 1], tag[USERNAME_MAX_LEN + 1];
};
void label_names(const struct allocation *, struct label_names *);

#endif
