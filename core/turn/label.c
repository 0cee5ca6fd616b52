/* label.c: see label.h. */
#include "turn/label.h"

#include <string.h>

struct view label_find(const char *tags, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = tags; *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return view_of(at + len + 1, strcspn(at + len + 1, ","));
    return (struct view){0};
}

struct view label_tag(const char *tags, const char *user)
{
    const struct view tag = label_find(tags, "tag");
    return tag.at ? tag : view_text(user);
}
