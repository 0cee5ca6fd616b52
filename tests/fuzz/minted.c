/* minted.c: fuzz target: any bytes as a username: what is read as a minted credential's is the same when it was printed and read again. */
#include "wire/minted.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct minted minted, again;
    char text[MINTED_MAX_LEN + 1], tags[MINTED_TAGS_MAX];
    const int err = minted_parse(view_of(data, size), &minted);
    must(err == 0 || err == ERR_NOT_FOUND || err == ERR_BAD);
    if (err)
        return 0;
    must(size <= MINTED_MAX_LEN && *minted.tenant && *minted.kid && *minted_user(&minted));
    must(strlen(minted_tags(&minted, tags)) < MINTED_TAGS_MAX - 1);
    const int len = minted_print(&minted, text);
    if (len < 0)
        return 0; /* what stood there as it is, and is written %XX, made it too long */
    must(minted_parse(view_of(text, (size_t)len), &again) == 0);
    must(again.expires_unix_s == minted.expires_unix_s && again.max_bps == minted.max_bps && again.max_allocations == minted.max_allocations);
    must(strcmp(again.tenant, minted.tenant) == 0 && strcmp(again.kid, minted.kid) == 0 && strcmp(again.tag, minted.tag) == 0);
    must(strcmp(again.cid, minted.cid) == 0 && strcmp(again.room, minted.room) == 0);
    return 0;
}
