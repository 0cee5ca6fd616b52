/* method.c: the table of requests; a new one is a row. */
#include "turn/transaction.h"

const struct method *method_find(uint16_t method)
{
    static const struct method methods[] = {
        {METHOD_BINDING, false, false, request_binding, NULL},
        {METHOD_ALLOCATE, true, false, request_allocate, request_allocate_resume},
        {METHOD_REFRESH, true, true, request_refresh, NULL},
        {METHOD_CREATE_PERMISSION, true, true, request_permission, NULL},
        {METHOD_CHANNEL_BIND, true, true, request_channel, NULL},
        {METHOD_CONNECT, true, true, request_connect, NULL},
        {METHOD_CONNECTION_BIND, true, false, request_connection_bind, NULL},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == method)
            return &methods[i];
    return NULL;
}
