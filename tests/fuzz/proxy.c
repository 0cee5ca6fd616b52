/* proxy.c: fuzz target: any bytes as a PROXY header: what is one is one at every length that has it whole, and waits for more at every
 * other. */
#include "wire/proxy.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* open_slowly: the first `have` bytes alone, in memory of exactly that size. */
static int open_slowly(const uint8_t *data, size_t have, struct proxy_header *header, size_t *used)
{
    uint8_t *copy = malloc(have ? have : 1);
    must(copy != NULL);
    if (have)
        memcpy(copy, data, have);
    const int err = proxy_open(header, view_of(copy, have), used);
    free(copy);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, other;
    size_t used = 0, other_used = 0;
    const int err = proxy_open(&header, view_of(data, size), &used);
    must(err == 0 || err == ERR_PARTIAL || err == ERR_BAD);
    if (err == 0) {
        must(used > 0 && used <= size && used <= PROXY_HEADER_MAX);
        must(header.source.family == header.destination.family);
        must(open_slowly(data, used, &other, &other_used) == 0 && other_used == used);
        must(addr_equal(&header.source, &other.source) && addr_equal(&header.destination, &other.destination));
    }
    const size_t whole = err == 0 ? used : err == ERR_PARTIAL ? size : 0;
    for (size_t have = whole > 128 ? whole - 128 : 0; have < whole; have++)
        must(open_slowly(data, have, &other, &other_used) == ERR_PARTIAL);
    return 0;
}
