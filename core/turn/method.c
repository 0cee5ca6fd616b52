/* method.c: the table of requests; a new one is a row. */
#include "turn/transaction.h"

static const struct method methods[ENGINE_METHODS] = {
    {METHOD_BINDING, false, false, request_binding, NULL},
    {METHOD_ALLOCATE, true, false, request_allocate, request_allocate_resume},
    {METHOD_REFRESH, true, true, request_refresh, NULL},
    {METHOD_CREATE_PERMISSION, true, true, request_permission, NULL},
    {METHOD_CHANNEL_BIND, true, true, request_channel, NULL},
    {METHOD_CONNECT, true, true, request_connect, NULL},
    {METHOD_CONNECTION_BIND, true, false, request_connection_bind, NULL},
};

size_t method_row(uint16_t method)
{
    size_t row = 0;
    while (row < ENGINE_METHODS && methods[row].method != method)
        row++;
    return row;
}

const struct method *method_find(uint16_t method)
{
    const size_t row = method_row(method);
    return row < ENGINE_METHODS ? &methods[row] : NULL;
}

uint16_t engine_method(size_t row)
{
    return methods[row].method;
}
