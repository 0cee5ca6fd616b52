/* route.c: see route.h. */
#include "admin/route.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

static int digit_of(char hex)
{
    return hex >= '0' && hex <= '9'   ? hex - '0'
           : hex >= 'A' && hex <= 'F' ? hex - 'A' + 10
           : hex >= 'a' && hex <= 'f' ? hex - 'a' + 10
                                      : -1;
}

/* decode: the segment at `path` into `out`: how long it was; 0: it is none: empty, too long, or with what is no character. */
static size_t decode(const char *path, char out[DOOR_PART_MAX + 1])
{
    size_t at = 0, len = 0;
    while (path[at] && path[at] != '/') {
        int byte = (unsigned char)path[at++];
        if (byte == '%') {
            const int high = digit_of(path[at]), low = high < 0 ? -1 : digit_of(path[at + 1]);
            byte = low < 0 ? 0 : high << 4 | low;
            at += 2;
        }
        if (!byte || len == DOOR_PART_MAX)
            return 0;
        out[len++] = (char)byte;
    }
    out[len] = 0;
    return at;
}

/* matches: whether the row has this path; `parts` are what stands for each {name}. */
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
        assert(count < DOOR_PARTS);
        const size_t len = decode(path, parts[count++]);
        if (!len)
            return false;
        path += len;
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
        if (!matches(&rows[i], path, parts))
            continue;
        *is_path = true;
        if (strcmp(rows[i].method, method) != 0 && !(strcmp(method, "HEAD") == 0 && is_get(rows[i].method)))
            continue;
        return &rows[i];
    }
    return NULL;
}

const char *route_methods(const struct door_route *rows, size_t count, const char *path, char out[ROUTE_METHODS_MAX])
{
    struct slab slab = slab_over(out, ROUTE_METHODS_MAX - 1);
    route_parts parts;
    for (size_t i = 0; i < count; i++) {
        if (!matches(&rows[i], path, parts))
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
