/* routes_test_link.c: POST /v1/tenants/{tenant}/test-links makes a link to /test; POST /v1/test-link gives whoever has one a credential, once. What is behind
 * the # of the link is the token: it is in no log of a proxy. */
#include "server/routes.h"

#include "base/err.h"
#include "server/mint_answer.h"
#include "server/test_link.h"

#include <stdio.h>

#define LINK_TTL_S 900
#define LINK_TTL_MAX_S 86400
/* what a test needs: both ends of a call over each transport, and to find out how fast it goes */
#define LINK_BPS 20000000
#define LINK_ALLOCATIONS 16
#define LINK_ROOM "test"

const struct field routes_test_links_body[] = {
    {.name = "ttl", .kind = FIELD_NUMBER, .min = 60, .max = LINK_TTL_MAX_S, .help = "Seconds that the link and its credential are good for; 900 without it"},
    {0},
};
const struct field routes_test_link_body[] = {
    {.name = "token", .kind = FIELD_TEXT, .traits = FIELD_REQUIRED, .min = 1, .max = 64, .help = "What stands behind the # of the link"},
    {0},
};
const struct door_said routes_test_links_said[] = {
    {HTTP_CREATED, "The link; a path alone, if the door has no address but that of a unix socket"}, {HTTP_NOT_FOUND, "There is no such tenant"}, {0}};
const struct door_said routes_test_link_said[] = {
    {HTTP_CREATED, "The credential, as of POST /v1/tenants/{tenant}/credentials"}, {HTTP_NOT_FOUND, "There is no such link: it was used, or has expired"}, {0}};

/* order_of: a credential for as long as the link would be good. */
static struct mint_order order_of(const struct config *config, const struct test_link *link, int64_t unix_s)
{
    return (struct mint_order){.tenant = link->tenant, .kid = link->kid, .tag = "", .room = LINK_ROOM, .ttl_s = link->expires_unix_s - unix_s,
                               .transports = mint_transports(config), .max_bps = LINK_BPS, .max_allocations = LINK_ALLOCATIONS};
}

void routes_test_links(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    struct mint *mint = routes->service->mint;
    const int64_t now_s = clock_unix_ms() / 1000;
    const char *tenant = door_part(request, 0), *key = door_caller(request)->key;
    struct test_link link = {.expires_unix_s = now_s + door_number(request, "ttl", LINK_TTL_S)};
    struct mint_refusal refusal;
    char token[TEST_TOKEN_LEN + 1], door[MINT_DOOR_MAX];
    snprintf(link.tenant, sizeof link.tenant, "%s", tenant);
    snprintf(link.kid, sizeof link.kid, "%s", *key ? key : MINT_OPERATOR);
    const struct mint_order order = order_of(routes->config, &link, now_s);
    if (!door_may_see(request, tenant))
        door_refuse(request, HTTP_NOT_FOUND, "no such tenant");
    else if (mint_check(mint, &order, &refusal) != 0)
        routes_mint_refuse(request, &refusal);
    else if (test_link_make(mint->links, mint->crypto, &link, now_s, token) != 0)
        door_refuse(request, HTTP_RATE, "there are 64 links of the tenant that nobody has used: wait until they expire");
    else
        door_answer(request, HTTP_CREATED, json_pack("{s:o, s:I}", "url", json_sprintf("%s/test#%s", mint_door(routes->config, door), token), "expiresAt", (json_int_t)link.expires_unix_s));
}

void routes_test_link(void *ctx, struct door_request *request)
{
    const struct routes *routes = ctx;
    struct mint *mint = routes->service->mint;
    const int64_t now_s = clock_unix_ms() / 1000;
    const char *token = door_text(request, "token");
    struct test_link link;
    struct mint_credential credential;
    struct mint_refusal refusal;
    if (test_link_find(mint->links, mint->crypto, token, now_s, &link) != 0) {
        door_refuse(request, HTTP_NOT_FOUND, "no such link: it was used, or has expired");
        return;
    }
    const struct mint_order order = order_of(routes->config, &link, now_s);
    if (mint_make(mint, &order, &credential, &refusal) != 0) {
        routes_mint_refuse(request, &refusal);
        return;
    }
    test_link_use(mint->links, mint->crypto, token);
    door_answer(request, HTTP_CREATED, mint_answer(routes->config, &order, &credential, MINT_FORMAT_ice));
}
