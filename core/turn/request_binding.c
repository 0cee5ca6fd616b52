/* request_binding.c: Binding, RFC 8489 section 2: the answer is where the request came from; no authentication, no state. */
#include "turn/discovery.h"

int request_binding(struct transaction *tr)
{
    tr->engine->counts.bindings++;
    return discovery_read(tr);
}
