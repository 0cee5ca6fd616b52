/* command_mint.c: relay mint, relay key secret, relay test-link: credentials of a relay that runs, or made here from the file of its master secrets. */
#include "server/command_line.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/config.h"
#include "server/mint_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS 5
#define ARGUMENT_MAX 4200
#define COUNT_DIGITS 16

/* ---- what the command line says ---- */

/* count_of: a whole number from 1; 0 if `text` is NULL; negative: it is none. */
static int64_t count_of(const char *text)
{
    const size_t digits = text ? strspn(text, "0123456789") : 0;
    if (!text)
        return 0;
    const int64_t count = digits > 0 && digits <= COUNT_DIGITS && !text[digits] ? strtoll(text, NULL, 10) : -1;
    return count > 0 ? count : -1;
}

/* ttl_of: 0: not said; negative: no time of at least a second. */
static int64_t ttl_of(const char *text)
{
    const int64_t seconds = text ? command_seconds(text) : 0;
    return text && seconds == 0 ? -1 : seconds;
}

/* read_order: what is to be minted; 0, or the exit code. */
static int read_order(const struct command_line *line, struct mint_order *out)
{
    const int64_t ttl = ttl_of(line->ttl), bps = count_of(line->max_bps), allocations = count_of(line->max_allocations);
    *out = (struct mint_order){.tenant = line->tenant,
                               .kid = line->key ? line->key : MINT_OPERATOR,
                               .tag = line->tag ? line->tag : "",
                               .room = line->room ? line->room : "",
                               .ttl_s = line->ttl ? ttl : MINT_TTL_S};
    if (ttl < 0 || ttl > MINT_TTL_MAX_S)
        return command_fail(line, COMMAND_MISUSED, "--ttl: seconds, or 15m, 2h: 48 h at most");
    if (bps < 0 || (uint64_t)bps > MINTED_BPS_MAX)
        return command_fail(line, COMMAND_MISUSED, "--max-bps: bits a second, a whole number from 1");
    if (allocations < 0 || allocations > UINT32_MAX)
        return command_fail(line, COMMAND_MISUSED, "--max-allocations: a whole number from 1");
    out->max_bps = (uint64_t)bps;
    out->max_allocations = (uint32_t)allocations;
    for (size_t i = 0; i < line->transports.count; i++) {
        const unsigned bit = mint_transport(line->transports.at[i]);
        if (!bit)
            return command_fail(line, COMMAND_MISUSED, "--transport: udp, tcp, tls or dtls, not %s", line->transports.at[i]);
        out->transports |= bit;
    }
    return 0;
}

static int check_format(const struct command_line *line)
{
    if (mint_format(line->format) != MINT_FORMAT_COUNT)
        return 0;
    return command_fail(line, COMMAND_MISUSED, "--format: ice, uberti or twilio, not %s", line->format);
}

/* ---- without a server ---- */

/* load: what the options say; 0, or the exit code. The configuration is closed whatever the result. */
static int load(const struct command_line *line, struct config *config, char secret[ARGUMENT_MAX], char host[ARGUMENT_MAX])
{
    struct config_report report;
    char *arguments[ARGUMENTS + 1] = {"relay"};
    int count = 1;
    snprintf(secret, ARGUMENT_MAX, "--mint-secret-file=%s", line->mint_secret_file);
    snprintf(host, ARGUMENT_MAX, "--public-host=%s", line->public_host ? line->public_host : "");
    if (line->config) {
        arguments[count++] = "-c";
        arguments[count++] = (char *)(uintptr_t)line->config;
    }
    arguments[count++] = secret;
    if (line->public_host)
        arguments[count++] = host;
    const int err = config_load(config, count, arguments, &report);
    const int code = err ? command_fail(line, COMMAND_FAILED, "%s", report.error_count ? report.errors[0] : "out of memory") : 0;
    config_report_close(&report);
    return code;
}

/* first_key: K under the newest master of the file. */
static int first_key(const struct command_line *line, struct crypto *crypto, const char *kid, char out[MINTED_KEY_LEN + 1])
{
    struct mint_secret secrets[MINT_SECRETS_MAX];
    char why[512];
    size_t count = 0;
    int code = 0;
    if (mint_secret_file(line->mint_secret_file, secrets, &count, why, sizeof why) != 0)
        code = command_fail(line, COMMAND_FAILED, "%s", why);
    else if (minted_key(crypto, secrets[0].text, line->tenant, kid, out) != 0)
        code = command_fail(line, COMMAND_FAILED, "libcrypto failed");
    crypto_wipe(secrets, sizeof secrets);
    return code;
}

/* sign: the answer that a server with this configuration would give. */
static int sign(const struct command_line *line, const struct config *config, const struct mint_order *order, json_t **answer)
{
    struct mint_credential credential;
    char key[MINTED_KEY_LEN + 1];
    struct crypto *crypto = crypto_new();
    int code = crypto ? first_key(line, crypto, order->kid, key) : command_fail(line, COMMAND_FAILED, "out of memory");
    if (!code) {
        mint_begin(order, clock_unix_ms(), &credential);
        if (mint_sign(crypto, key, order, &credential) != 0)
            code = command_fail(line, COMMAND_MISUSED, "tenant, key, tag and room: UTF-8 without control characters and commas, together about 400 bytes");
        else
            *answer = mint_answer(config, order, &credential, mint_format(line->format));
    }
    crypto_wipe(key, sizeof key);
    crypto_free(crypto);
    return code;
}

static int mint_here(const struct command_line *line, const struct mint_order *order, json_t **answer)
{
    struct config config;
    char secret[ARGUMENT_MAX], host[ARGUMENT_MAX];
    int code = load(line, &config, secret, host);
    if (!code && order->transports & ~mint_transports(&config))
        code = command_fail(line, COMMAND_MISUSED, "--transport: the server of this configuration does not listen for one of them");
    if (!code)
        code = sign(line, &config, order, answer);
    config_close(&config);
    return code;
}

/* ---- by a server ---- */

static void put_text(json_t *body, const char *name, const char *text)
{
    if (text && *text)
        json_object_set_new(body, name, json_string(text));
}

static void put_number(json_t *body, const char *name, uint64_t number)
{
    if (number)
        json_object_set_new(body, name, json_integer((json_int_t)number));
}

static int mint_there(const struct command_line *line, const struct mint_order *order, json_t **answer)
{
    json_t *body = json_pack("{s:I}", "ttl", (json_int_t)order->ttl_s);
    put_text(body, "tag", order->tag);
    put_text(body, "room", order->room);
    put_text(body, "key", line->key);
    put_number(body, "max_bps", order->max_bps);
    put_number(body, "max_allocations", order->max_allocations);
    for (size_t i = 0; i < line->transports.count; i++) {
        if (i == 0)
            json_object_set_new(body, "transports", json_array());
        json_array_append_new(json_object_get(body, "transports"), json_string(line->transports.at[i]));
    }
    return command_send(line, &(struct command_question){.method = "POST", .path = {"v1", "tenants", line->tenant, "credentials"},
                                                         .query = {{"format", line->format}}, .body = body}, answer);
}

/* ---- the verbs ---- */

/* print_ice: for people. */
static void print_ice(const json_t *answer)
{
    const json_t *ice = json_array_get(json_object_get(answer, "iceServers"), 0), *url;
    size_t i;
    printf("username    %s\npassword    %s\n", command_text(ice, "username"), command_text(ice, "credential"));
    json_array_foreach(json_object_get(ice, "urls"), i, url) printf("%-10s  %s\n", i ? "" : "urls", json_string_value(url));
    printf("credential  %s\n", command_text(answer, "credentialId"));
}

int command_mint(const struct command_line *line)
{
    struct mint_order order;
    json_t *answer = NULL;
    int code = read_order(line, &order);
    if (!code)
        code = check_format(line);
    if (!code)
        code = line->mint_secret_file ? mint_here(line, &order, &answer) : mint_there(line, &order, &answer);
    if (code)
        return code;
    if (line->format || line->given & COMMAND_FLAG(JSON)) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        puts("");
    } else {
        print_ice(answer);
    }
    return command_answered(line, answer);
}

int command_key_secret(const struct command_line *line)
{
    const char *kid = line->words[0];
    char key[MINTED_KEY_LEN + 1];
    if (!*line->tenant || !*kid || !minted_is_text(line->tenant, MINTED_NAME_MAX) || !minted_is_text(kid, MINTED_KID_MAX))
        return command_fail(line, COMMAND_MISUSED, "tenant and key: names without control characters and commas");
    struct crypto *crypto = crypto_new();
    const int code = crypto ? first_key(line, crypto, kid, key) : command_fail(line, COMMAND_FAILED, "out of memory");
    if (!code)
        printf("%s\n", key);
    crypto_wipe(key, sizeof key);
    crypto_free(crypto);
    return code ? code : command_answered(line, NULL);
}

int command_test_link(const struct command_line *line)
{
    json_t *answer = NULL;
    const int64_t ttl = ttl_of(line->ttl);
    if (ttl < 0)
        return command_fail(line, COMMAND_MISUSED, "--ttl: seconds, or 15m, 2h");
    json_t *body = json_object();
    put_number(body, "ttl", (uint64_t)ttl);
    const int code = command_send(line, &(struct command_question){.method = "POST", .path = {"v1", "tenants", line->tenant, "test-links"}, .body = body}, &answer);
    if (code)
        return code;
    const char *link = command_text(answer, "url"), *path = strstr(link, "/test#"), *base = line->url ? line->url : "";
    const size_t len = strlen(base);
    if (line->url && path)
        printf("%.*s%s\n", (int)(len && base[len - 1] == '/' ? len - 1 : len), base, path);
    else
        printf("%s\n", link);
    return command_answered(line, answer);
}
