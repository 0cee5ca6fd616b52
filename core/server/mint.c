/* mint.c: an order becomes a credential, or a refusal. */
#include "server/mint.h"

#include "base/err.h"
#include "server/drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ROOM (MINTED_NAME_MAX + MINTED_KID_MAX + 2)

const char *const mint_noes[MINT_NOES] = {"no_secret", "bad", "unknown_tenant", "disabled", "rate", "reused_key", "draining", "broken"};

static int refuse_order(struct mint_refusal *refusal, enum mint_no no, const char *field, const char *reason)
{
    static const unsigned statuses[MINT_NOES] = {[MINT_NO_SECRET] = 503, [MINT_BAD] = 400, [MINT_UNKNOWN] = 404, [MINT_DISABLED] = 403,
                                                 [MINT_RATE] = 429,      [MINT_REUSED] = 422, [MINT_DRAINING] = 503, [MINT_BROKEN] = 500};
    *refusal = (struct mint_refusal){.no = no, .status = statuses[no], .field = field, .reason = reason};
    refusal->retry_s = no == MINT_RATE || no == MINT_DRAINING;
    return ERR_DENIED;
}

/* ---- making ---- */

void mint_begin(const struct mint_order *order, int64_t unix_ms, struct mint_credential *out)
{
    minted_cid(unix_ms, out->cid);
    out->made_unix_s = unix_ms / 1000;
    out->expires_unix_s = out->made_unix_s + order->ttl_s;
}

int mint_sign(struct crypto *crypto, const char *key, const struct mint_order *order, struct mint_credential *out)
{
    struct minted minted = {.expires_unix_s = out->expires_unix_s, .max_bps = order->max_bps, .max_allocations = order->max_allocations};
    snprintf(minted.tenant, sizeof minted.tenant, "%s", order->tenant);
    snprintf(minted.kid, sizeof minted.kid, "%s", order->kid);
    snprintf(minted.tag, sizeof minted.tag, "%s", order->tag);
    snprintf(minted.room, sizeof minted.room, "%s", order->room);
    snprintf(minted.cid, sizeof minted.cid, "%s", out->cid);
    const int len = minted_print(&minted, out->username);
    return len < 0 ? len : minted_password(crypto, view_text(key), view_of(out->username, (size_t)len), out->password);
}

/* sign: under the newest master. */
static int sign(struct mint *mint, const struct mint_order *order, struct mint_credential *out, struct mint_refusal *refusal)
{
    char keys[MINT_SECRETS_MAX][MINTED_KEY_LEN + 1];
    const int count = mint_secrets_keys(mint->service->mint_secrets, mint->crypto, order->tenant, order->kid, keys);
    const int err = count > 0 ? mint_sign(mint->crypto, keys[0], order, out) : ERR_SYSTEM;
    crypto_wipe(keys, sizeof keys);
    if (err == ERR_RANGE)
        return refuse_order(refusal, MINT_BAD, *order->room ? "room" : "tag", "with the rest it makes a username of more than 508 bytes");
    return err ? refuse_order(refusal, MINT_BROKEN, NULL, "libcrypto failed") : 0;
}

/* ---- refusing ---- */

static int check_text(const char *field, const char *text, size_t most, struct mint_refusal *refusal)
{
    if (minted_is_text(text, most))
        return 0;
    return refuse_order(refusal, MINT_BAD, field, "UTF-8 without control characters and commas expected, of at most 128 bytes (a key: 64)");
}

static int check_order(const struct mint_order *order, struct mint_refusal *refusal)
{
    if (check_text("tenant", order->tenant, MINTED_NAME_MAX, refusal) || check_text("key", order->kid, MINTED_KID_MAX, refusal) ||
        check_text("tag", order->tag, MINTED_NAME_MAX, refusal) || check_text("room", order->room, MINTED_NAME_MAX, refusal))
        return ERR_DENIED;
    if (!*order->tenant || !*order->kid)
        return refuse_order(refusal, MINT_BAD, *order->tenant ? "key" : "tenant", "a name expected");
    if (order->ttl_s < 1 || order->ttl_s > MINT_TTL_MAX_S)
        return refuse_order(refusal, MINT_BAD, "ttl", "seconds from 1 to 172800 (48 h) expected");
    if (order->max_bps > MINTED_BPS_MAX)
        return refuse_order(refusal, MINT_BAD, "max_bps", "at most 1000000000000000 bits a second");
    return 0;
}

/* check_tenant: *most: how many a second it may have. An outage of the database stops nobody who has a key. */
static int check_tenant(const struct mint *mint, const char *name, uint64_t *most, struct mint_refusal *refusal)
{
    struct store_tenant tenant;
    *most = 0;
    const int err = mint->reader ? store_reader_tenant(mint->reader, view_text(name), &tenant) : ERR_SYSTEM;
    if (err == ERR_NOT_FOUND)
        return refuse_order(refusal, MINT_UNKNOWN, NULL, "no such tenant");
    if (err)
        return 0;
    if (strcmp(tenant.status, "active") != 0)
        return refuse_order(refusal, MINT_DISABLED, NULL, "the tenant is disabled");
    *most = tenant.max_mints > 0 ? (uint64_t)tenant.max_mints : 0;
    return 0;
}

static int take_rates(const struct mint *mint, const struct mint_order *order, uint64_t most, struct mint_refusal *refusal)
{
    const msec_t now = clock_monotonic_ms();
    const size_t tenant = strlen(order->tenant) + 1, kid = strlen(order->kid) + 1;
    char name[NAME_ROOM];
    memcpy(name, order->tenant, tenant);
    memcpy(name + tenant, order->kid, kid);
    if (!mint_rates_take(mint->rates, view_of(name, tenant + kid), mint->service->config->mint_rate, now))
        return refuse_order(refusal, MINT_RATE, NULL, "too many a second with this key: see mint-rate");
    if (!mint_rates_take(mint->rates, view_of(name, tenant), most, now))
        return refuse_order(refusal, MINT_RATE, NULL, "too many a second for this tenant: see its max_mints");
    return 0;
}

/* ---- asking again ---- */

/* digest_order: texts with their zero bytes, so that none runs into the next. */
static int digest_order(const struct mint *mint, const struct mint_order *order, struct mint_asked *out)
{
    const uint64_t numbers[] = {(uint64_t)order->ttl_s, order->transports, order->max_bps, order->max_allocations};
    const struct view who[] = {view_of(order->tenant, strlen(order->tenant) + 1), view_of(order->kid, strlen(order->kid) + 1), view_text(order->again)};
    const struct view what[] = {view_of(order->tag, strlen(order->tag) + 1), view_of(order->room, strlen(order->room) + 1), view_of(numbers, sizeof numbers)};
    out->tenant = order->tenant;
    const int err = crypto_digest(mint->crypto, CRYPTO_SHA256, who, 3, out->key);
    return err ? err : crypto_digest(mint->crypto, CRYPTO_SHA256, what, 3, out->body);
}

/* recall: ERR_NOT_FOUND: it is to be made; what is asked is in *asked then. */
static int recall(struct mint *mint, const struct mint_order *order, struct mint_asked *asked, struct mint_credential *out, struct mint_refusal *refusal)
{
    struct mint_made made;
    if (!order->again)
        return ERR_NOT_FOUND;
    if (!*order->again || strlen(order->again) > 255)
        return refuse_order(refusal, MINT_BAD, "Idempotency-Key", "1 to 255 bytes expected");
    if (digest_order(mint, order, asked) != 0)
        return refuse_order(refusal, MINT_BROKEN, NULL, "libcrypto failed");
    const int err = mint_memory_find(mint->memory, asked, clock_unix_ms() / 1000, &made);
    if (err == ERR_EXISTS)
        return refuse_order(refusal, MINT_REUSED, "Idempotency-Key", "the Idempotency-Key was used for another body");
    if (err)
        return ERR_NOT_FOUND;
    memcpy(out->cid, made.cid, sizeof out->cid);
    out->made_unix_s = made.made_unix_s;
    out->expires_unix_s = made.expires_unix_s;
    return sign(mint, order, out, refusal);
}

static void remember(struct mint *mint, const struct mint_order *order, const struct mint_asked *asked, const struct mint_credential *credential)
{
    struct mint_made made = {.made_unix_s = credential->made_unix_s, .expires_unix_s = credential->expires_unix_s};
    memcpy(made.cid, credential->cid, sizeof made.cid);
    if (order->again)
        mint_memory_put(mint->memory, asked, &made); /* without memory the next one is another */
}

/* ---- the whole ---- */

/* check: *most: as check_tenant has it. */
static int check(const struct mint *mint, const struct mint_order *order, uint64_t *most, struct mint_refusal *refusal)
{
    if (drain_is_on(mint->service))
        return refuse_order(refusal, MINT_DRAINING, NULL, "the relay is draining: ask another");
    if (!mint->service->mint_secrets)
        return refuse_order(refusal, MINT_NO_SECRET, NULL, "nothing can be minted: the option mint-secret-file is missing");
    const int err = check_order(order, refusal);
    return err ? err : check_tenant(mint, order->tenant, most, refusal);
}

int mint_check(struct mint *mint, const struct mint_order *order, struct mint_refusal *refusal)
{
    uint64_t most;
    const int err = check(mint, order, &most, refusal);
    if (err)
        mint->refused[refusal->no]++;
    return err;
}

static int make(struct mint *mint, const struct mint_order *order, struct mint_credential *out, struct mint_refusal *refusal)
{
    struct mint_asked asked;
    uint64_t most;
    if (check(mint, order, &most, refusal))
        return ERR_DENIED;
    int err = recall(mint, order, &asked, out, refusal);
    if (err != ERR_NOT_FOUND)
        return err;
    err = take_rates(mint, order, most, refusal);
    if (err)
        return err;
    mint_begin(order, clock_unix_ms(), out);
    err = sign(mint, order, out, refusal);
    if (!err)
        remember(mint, order, &asked, out);
    return err;
}

int mint_make(struct mint *mint, const struct mint_order *order, struct mint_credential *out, struct mint_refusal *refusal)
{
    const int err = make(mint, order, out, refusal);
    if (err)
        mint->refused[refusal->no]++;
    else
        tenants_count(mint->service->ledger.tenants, view_text(order->tenant), TENANT_MINTED, 1);
    return err;
}

int mint_open(const struct service *service, struct mint **out, char *reason, size_t cap)
{
    struct mint *mint = *out = calloc(1, sizeof *mint);
    snprintf(reason, cap, "out of memory");
    if (!mint)
        return ERR_MEMORY;
    mint->service = service;
    mint->crypto = crypto_new();
    mint->rates = mint_rates_new();
    mint->memory = mint_memory_new();
    mint->links = test_links_new();
    if (!mint->crypto || !mint->rates || !mint->memory || !mint->links)
        return ERR_MEMORY;
    return service->store ? store_reader_open(service->config->userdb, &mint->reader, reason, cap) : 0;
}

void mint_close(struct mint *mint)
{
    if (!mint)
        return;
    if (mint->reader)
        store_reader_close(mint->reader);
    test_links_free(mint->links);
    mint_memory_free(mint->memory);
    mint_rates_free(mint->rates);
    crypto_free(mint->crypto);
    free(mint);
}
