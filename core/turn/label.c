/* label.c: see label.h. */
#include "turn/label.h"

#include <string.h>

struct view label_find(const char *tags, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = tags; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return view_of(at + len + 1, strcspn(at + len + 1, ","));
    return view_of(NULL, 0);
}

static struct view or_else(struct view said, const char *other)
{
    return said.len ? said : view_text(other);
}

struct view label_tag(const char *tags, const char *user)
{
    return or_else(label_find(tags, "tag"), user);
}

void label_names(const struct allocation *allocation, struct label_names *out)
{
    view_copy(or_else(label_find(allocation->tags, "room"), allocation->group_name), out->room, sizeof out->room);
    view_copy(label_tag(allocation->tags, allocation->user), out->tag, sizeof out->tag);
}
