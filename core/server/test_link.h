/* test_link.h: links that are good once: whoever comes with one gets a credential of the tenant, for the page /test.
 *
 * Of a link only the SHA-256 of its token is kept, in memory: they end with the process. A tenant has TEST_LINKS_EACH at a time at most.
 */
#ifndef RELAY_SERVER_TEST_LINK_H
#define RELAY_SERVER_TEST_LINK_H

#include "base/crypto.h"
#include "wire/minted.h"

#define TEST_LINKS 1024
#define TEST_LINKS_EACH 64
#define TEST_TOKEN_LEN 22 /* base64url of 128 random bits */

struct test_links;

struct test_links *test_links_new(void); /* NULL without memory */
void test_links_free(struct test_links *);

/* struct test_link: whose, and until when. */
struct test_link {
    char tenant[MINTED_NAME_MAX + 1], kid[MINTED_KID_MAX + 1];
    int64_t expires_unix_s;
};

/* test_link_make: 0 and the token; ERR_BUSY: the tenant, or all of them, have as many as there may be; ERR_SYSTEM.  test_link_find: 0 and *out; ERR_NOT_FOUND: there is none, it was used,
 * or it has expired.  test_link_use: it is gone. */
int test_link_make(struct test_links *, struct crypto *, const struct test_link *, int64_t unix_s, char token[TEST_TOKEN_LEN + 1]);
int test_link_find(const struct test_links *, struct crypto *, const char *token, int64_t unix_s, struct test_link *out);
void test_link_use(struct test_links *, struct crypto *, const char *token);

#endif
