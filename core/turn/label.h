/* label.h: one of the labels of an allocation: "k=v,k=v", as struct labels has them. */
#ifndef RELAY_TURN_LABEL_H
#define RELAY_TURN_LABEL_H

#include "base/bytes.h"

/* label_find: the value of the label called `name`; at NULL: there is none. */
struct view label_find(const char *tags, const char *name);

/* label_tag: which player it is: the label `tag`, or else the user whom quotas count. */
struct view label_tag(const char *tags, const char *user);

#endif
