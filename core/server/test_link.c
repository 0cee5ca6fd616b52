/* test_link.c: see test_link.h. */
#include "server/test_link.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN_BYTES 16
#define TOKEN_ROOM 25 /* base64 is written in fours before its padding is taken away */

struct place {
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct test_link link; /* expires_unix_s 0: nobody has it */
};

struct test_links {
    struct place places[TEST_LINKS];
};

struct test_links *test_links_new(void)
{
    return calloc(1, sizeof(struct test_links));
}

void test_links_free(struct test_links *links)
{
    free(links);
}

static int digest_of(struct crypto *crypto, const char *token, uint8_t out[CRYPTO_SHA256_LEN])
{
    const struct view view = view_text(token);
    return crypto_digest(crypto, CRYPTO_SHA256, &view, 1, out);
}

/* free_place: for one more of the tenant; NULL: it has its share, or all are taken. */
static struct place *free_place(struct test_links *links, const char *tenant, int64_t unix_s)
{
    struct place *found = NULL;
    size_t held = 0;
    for (size_t i = 0; i < TEST_LINKS; i++) {
        struct place *place = &links->places[i];
        if (place->link.expires_unix_s <= unix_s)
            found = place;
        else
            held += strcmp(place->link.tenant, tenant) == 0;
    }
    return held < TEST_LINKS_EACH ? found : NULL;
}

int test_link_make(struct test_links *links, struct crypto *crypto, const struct test_link *link, int64_t unix_s, char token[TEST_TOKEN_LEN + 1])
{
    uint8_t bytes[TOKEN_BYTES];
    char text[TOKEN_ROOM];
    struct place *place = free_place(links, link->tenant, unix_s);
    if (!place)
        return ERR_BUSY;
    crypto_random(bytes, sizeof bytes);
    crypto_base64url(view_of(bytes, sizeof bytes), text);
    view_copy(view_text(text), token, TEST_TOKEN_LEN + 1);
    const int err = digest_of(crypto, token, place->digest);
    if (!err)
        place->link = *link;
    return err;
}

/* place_of: by the digest: what is compared tells nothing of the token. NULL: there is none. */
static struct place *place_of(const struct test_links *links, struct crypto *crypto, const char *token)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    if (digest_of(crypto, token, digest) != 0)
        return NULL;
    for (size_t i = 0; i < TEST_LINKS; i++)
        if (links->places[i].link.expires_unix_s && memcmp(links->places[i].digest, digest, sizeof digest) == 0)
            return (struct place *)(uintptr_t)&links->places[i];
    return NULL;
}

int test_link_find(const struct test_links *links, struct crypto *crypto, const char *token, int64_t unix_s, struct test_link *out)
{
    const struct place *place = place_of(links, crypto, token);
    if (!place || place->link.expires_unix_s <= unix_s)
        return ERR_NOT_FOUND;
    *out = place->link;
    return 0;
}

void test_link_use(struct test_links *links, struct crypto *crypto, const char *token)
{
    struct place *place = place_of(links, crypto, token);
    if (place)
        *place = (struct place){0};
}
