/* err.c: phrases for errors. */
#include "base/err.h"

const char *err_text(int err)
{
    switch ((enum err)err) {
        case ERR_OK:
            return "no error";
        case ERR_PARTIAL:
            return "incomplete";
        case ERR_BAD:
            return "malformed";
        case ERR_MEMORY:
            return "out of memory";
        case ERR_NOT_FOUND:
            return "not found";
        case ERR_EXISTS:
            return "exists already";
        case ERR_RANGE:
            return "out of range";
        case ERR_SYSTEM:
            return "system error";
        case ERR_BUSY:
            return "busy";
        case ERR_DENIED:
            return "denied";
    }
    return "unknown error";
}
