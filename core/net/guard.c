/* guard.c: the filter of peers, without holes. */
#include "net/guard.h"

#include "turn/engine.h"
#include "turn/peer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct guard {
    struct peer_filter filter;
};

static const struct engine_config no_holes;

struct guard *guard_new(void)
{
    struct guard *guard = malloc(sizeof *guard);
    if (guard && peer_filter_init(&guard->filter, &no_holes, NULL) == 0)
        return guard;
    free(guard);
    return NULL;
}

void guard_free(struct guard *guard)
{
    if (guard)
        peer_filter_close(&guard->filter);
    free(guard);
}

bool guard_has(const struct guard *guard, const struct sockaddr_storage *at)
{
    const struct addr addr = addr_from_sockaddr(at);
    return addr.family != ADDR_NONE && peer_is_allowed(&guard->filter, &addr, GROUP_OPEN);
}

bool guard_lets(const struct guard *guard, const struct place *place)
{
    const size_t len = strlen(place->host);
    const bool is_v6 = len > 2 && *place->host == '[';
    struct addr addr;
    if (strcasecmp(place->scheme, "https") != 0)
        return false;
    if (addr_parse(is_v6 ? view_of(place->host + 1, len - 2) : view_text(place->host), &addr) != 0 || addr.family == ADDR_NONE)
        return strcasecmp(place->host, "localhost") != 0;
    return peer_is_allowed(&guard->filter, &addr, GROUP_OPEN);
}
