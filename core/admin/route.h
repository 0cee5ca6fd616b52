/* route.h: rows of the door and the paths that they have; for the files of core/admin. */
#ifndef RELAY_ADMIN_ROUTE_H
#define RELAY_ADMIN_ROUTE_H

#include "admin/door.h"

typedef char route_parts[DOOR_PARTS][DOOR_PART_MAX + 1];

/* Paths are as they were sent; each segment is decoded by itself.
 *
 * route_find: the row with this path and method, and in `parts` what stands for each {name}; GET answers HEAD too. NULL: there is none;
 * then *is_path says whether there is one with this path. */
const struct door_route *route_find(const struct door_route *rows, size_t count, const char *path, const char *method, route_parts parts,
                                    bool *is_path);

/* route_methods: those of every row with this path, as Allow has them: "GET, HEAD, POST". Returns `out`. */
#define ROUTE_METHODS_MAX 64
const char *route_methods(const struct door_route *rows, size_t count, const char *path, char out[ROUTE_METHODS_MAX]);

/* route_body_max: how long a body may be. */
size_t route_body_max(const struct door_route *);

#endif
