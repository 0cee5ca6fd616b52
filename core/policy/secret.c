/* secret.c: relay.secret: candidates that scripts may use and never see. */
#include "policy/library.h"
#include "policy/sandbox.h"
#include "policy/shared.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_LINES_MAX VERDICT_KEYS_MAX

struct secret {
    size_t count;
    char *lines[SECRET_LINES_MAX]; /* newest first */
    size_t lens[SECRET_LINES_MAX];
};

static void free_secret(void *content)
{
    struct secret *secret = content;
    for (size_t i = 0; secret && i < secret->count; i++) {
        crypto_wipe(secret->lines[i], secret->lens[i]);
        free(secret->lines[i]);
    }
    free(secret);
}

static int add_line(struct secret *secret, const char *line, size_t len)
{
    if (secret->count == SECRET_LINES_MAX)
        return -1;
    secret->lines[secret->count] = strndup(line, len);
    if (!secret->lines[secret->count])
        return -1;
    secret->lens[secret->count++] = len;
    return 0;
}

/* read_lines: the lines that are not empty, newest first. */
static int read_lines(struct secret *secret, const char *text)
{
    while (*text) {
        const size_t line = strcspn(text, "\r\n");
        if (line && add_line(secret, text, line))
            return -1;
        text += line + strspn(text + line, "\r\n");
    }
    return secret->count ? 0 : -1;
}

static void *read_secret(const char *path, char *error, size_t error_cap)
{
    size_t len;
    char *text = sandbox_read(path, &len);
    if (!text) {
        snprintf(error, error_cap, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct secret *secret = calloc(1, sizeof *secret);
    const int status = secret ? read_lines(secret, text) : -1;
    crypto_wipe(text, len);
    free(text);
    if (status == 0)
        return secret;
    snprintf(error, error_cap, "%s: one to %d lines with a secret each expected", path, SECRET_LINES_MAX);
    free_secret(secret);
    return NULL;
}

static const struct source_kind secret_kind = {read_secret, free_secret};

static const struct policy_secret *find_secret(lua_State *L, const struct policy_config *config, const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < config->secret_count; i++) {
        if (strcmp(config->secrets[i].name, name) == 0)
            return &config->secrets[i];
        if (count < sizeof names / sizeof *names)
            names[count++] = config->secrets[i].name;
    }
    state_raise(L, "relay.secret: no secret '%s' (--secret %s=FILE)%s", name, name, strict_hint_of(L, name, names, count));
}

int relay_secret(lua_State *L)
{
    char error[256];
    const struct policy *policy = policy_of(L);
    const struct policy_secret *given = find_secret(L, policy->config, argument_text(L, 1, "relay.secret", NAME_MAX_LEN, NULL));
    struct source **out = object_new(L, OBJECT_SECRET, sizeof *out);
    *out = source_open(shared_sources(policy->shared), &secret_kind, given->path, error, sizeof error);
    if (!*out)
        state_raise(L, "relay.secret: %s", error);
    return 1;
}

/* secret:hmac_b64(algorithm, text): a list, the newest secret's first. */
static int hmac_b64(lua_State *L)
{
    const struct source *source = *(struct source **)object_check(L, 1, OBJECT_SECRET, "a relay.secret");
    const struct secret *secret = source_content(source, &policy_of(L)->reader, NULL);
    const char *algorithm = luaL_checkstring(L, 2);
    size_t len;
    const char *text = luaL_checklstring(L, 3, &len);
    const bool sha256 = strcmp(algorithm, "sha256") == 0;
    if (!sha256 && strcmp(algorithm, "sha1") != 0)
        state_raise(L, "hmac_b64: 'sha1' or 'sha256' expected");
    const enum crypto_hash hash = sha256 ? CRYPTO_SHA256 : CRYPTO_SHA1;
    const struct view part = view_of(text, len);
    budget_charge(L, secret->count * (20 + len / BYTES_PER_INSTRUCTION));
    lua_createtable(L, (int)secret->count, 0);
    for (size_t i = 0; i < secret->count; i++) {
        uint8_t mac[CRYPTO_HASH_MAX];
        char encoded[4 * ((CRYPTO_HASH_MAX + 2) / 3) + 1];
        if (crypto_hmac(policy_of(L)->world.crypto, hash, view_of(secret->lines[i], secret->lens[i]), &part, 1, mac))
            state_raise(L, "hmac_b64: the MAC cannot be computed");
        const size_t encoded_len = crypto_base64(view_of(mac, crypto_hash_len(hash)), encoded);
        lua_pushlstring(L, encoded, encoded_len);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int hide(lua_State *L)
{
    lua_pushliteral(L, "relay.secret(hidden)");
    return 1;
}

static const struct member secret_members[] = {
    CALL("hmac_b64", "fun(algorithm: \"sha1\"|\"sha256\", text: string): string[]",
         "in Base64, of the newest secret first: `passwords` of `relay.key`", hmac_b64, 0),
};
const struct shown secret_shown = SHOWN(ROLE_OBJECT, "secret", "The secret itself cannot be read; `tostring` hides it.", secret_members);

void secret_open(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__tostring", hide}, {NULL, NULL}};
    object_define(L, OBJECT_SECRET, "secret", &secret_shown, meta);
}
