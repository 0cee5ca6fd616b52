/* describe.h: the rows of a door as OpenAPI 3.1 has them. */
#ifndef RELAY_ADMIN_DESCRIBE_H
#define RELAY_ADMIN_DESCRIBE_H

#include "admin/door.h"

/* describe: the whole document; NULL: out of memory. */
json_t *describe(const struct door_route *rows, size_t count);

#endif
