/* route.c: see route.h. */
#include "admin/route.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

/* matches: whether the row has this path; `parts`, unless NULL, are what stands for each {name}. */
static bool matches(const struct door_route *row, const char *path, route_parts parts)
{
    const char *want = row->path;
    size_t count = 0;
    while (*want) {
        if (*want != '{') {
            if (*want++ != *path++)
                return false;
            continue;
        }
        const struct view part = view_of(path, strcspn(path, "/"));
        if (part.len == 0 || part.len > DOOR_PART_MAX)
            return false;
        assert(count < DOOR_PARTS);
        if (parts)
            view_copy(part, parts[count], DOOR_PART_MAX + 1);
        count++;
        path += part.len;
        want += strcspn(want, "/");
    }
    return *path == 0;
}

static bool is_get(const char *method)
{
    return strcmp(method, "GET") == 0;
}

const struct door_route *route_find(const struct door_route *rows, size_t count, const char *path, const char *method, route_parts parts,
                                    bool *is_path)
{
    *is_path = false;
    for (size_t i = 0; i < count; i++) {
        if (!matches(&rows[i], path, NULL))
            continue;
        *is_path = true;
        if (strcmp(rows[i].method, method) != 0 && !(strcmp(method, "HEAD") == 0 && is_get(rows[i].method)))
            continue;
        matches(&rows[i], path, parts);
        return &rows[i];
    }
    return NULL;
}

const char *route_methods(const struct door_route *rows, size_t count, const char *path, char out[ROUTE_METHODS_MAX])
{
    struct slab slab = slab_over(out, ROUTE_METHODS_MAX - 1);
    for (size_t i = 0; i < count; i++) {
        if (!matches(&rows[i], path, NULL))
            continue;
        slab_put_text(&slab, slab.len ? ", " : "");
        slab_put_text(&slab, rows[i].method);
        slab_put_text(&slab, is_get(rows[i].method) ? ", HEAD" : "");
    }
    out[slab.len] = 0;
    return out;
}

size_t route_body_max(const struct door_route *row)
{
    return row->body_max ? row->body_max : row->body ? DOOR_BODY_MAX : 0;
}
