/* account.c: facts become members of an braces. */
#include "policy/account.h"

#include "policy/answer.h"
#include "policy/argument.h"
#include "policy/reference.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define VEILED_LEN 16 /* bytes of the HMAC */

/* struct braces: an object that is being written. */
struct braces {
    struct slab *out;
    const struct veil *veil;
    bool begun;
};

static void put_view(struct slab *out, struct view text)
{
    json_put_text(out, (const char *)text.at, text.len);
}

/* put_key: the name of a member, which has nothing that JSON wants escaped. */
static void put_key(struct braces *braces, const char *name)
{
    slab_put_text(braces->out, braces->begun ? ",\"" : "{\"");
    slab_put_text(braces->out, name);
    slab_put_text(braces->out, "\":");
    braces->begun = true;
}

static void end(struct braces *braces)
{
    slab_put_text(braces->out, braces->begun ? "}" : "{}");
}

static void put_veiled(struct slab *out, struct view name, const struct veil *veil)
{
    uint8_t hash[CRYPTO_HASH_MAX];
    char hex[2 * VEILED_LEN + 1] = "";
    if (crypto_hmac(veil->crypto, CRYPTO_SHA256, veil->key, &name, 1, hash) == 0)
        crypto_hex(view_of(hash, VEILED_LEN), hex);
    slab_put_text(out, "\"hmac:");
    slab_put_text(out, hex);
    slab_put_u8(out, '"');
}

/* without_signature: of a compact JWS (RFC 7515 section 7.1) what is before its second point; any other name whole. */
static struct view without_signature(struct view name)
{
    static const char begin[] = "eyJ"; /* {" in Base64 */
    const uint8_t *first = name.at ? memchr(name.at, '.', name.len) : NULL;
    if (!first || name.len < sizeof begin || memcmp(name.at, begin, sizeof begin - 1) != 0)
        return name;
    const struct view rest = view_from(name, (size_t)(first - name.at) + 1);
    const uint8_t *second = memchr(rest.at, '.', rest.len);
    return second ? view_cut(name, (size_t)(second - name.at) + 1) : name;
}

void account_put_name(struct slab *out, struct view name, const struct veil *veil)
{
    if (veil->key.at)
        put_veiled(out, name, veil);
    else
        put_view(out, without_signature(name));
}

static void put_tags(struct slab *out, const char *tags)
{
    struct braces braces = {.out = out};
    while (*tags) {
        const size_t pair = strcspn(tags, ","), name = strcspn(tags, "=");
        slab_put_text(out, braces.begun ? "," : "{");
        braces.begun = true;
        json_put_text(out, tags, name);
        slab_put_u8(out, ':');
        json_put_text(out, tags + name + 1, pair - name - 1);
        tags += pair + (tags[pair] == ',');
    }
    end(&braces);
}

static void put_integer(struct slab *out, int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)integer);
    slab_put_text(out, text);
}

static void put_address(struct slab *out, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    slab_put_u8(out, '"');
    slab_put_text(out, addr_format(addr, text));
    slab_put_u8(out, '"');
}

static void put_fact(struct slab *out, const struct fact *fact, const struct veil *veil)
{
    if (fact->kind == FACT_BOOLEAN)
        slab_put_text(out, fact->integer ? "true" : "false");
    else if (fact->kind == FACT_INTEGER)
        put_integer(out, fact->integer);
    else if (fact->kind == FACT_ADDRESS)
        put_address(out, fact->address);
    else if (fact->kind == FACT_TAGS)
        put_tags(out, (const char *)fact->text.at);
    else if (fact->traits & FACT_NAME)
        account_put_name(out, fact->text, veil);
    else
        put_view(out, view_cut(fact->text, ACCOUNT_TEXT_MAX));
}

static void put_member(struct braces *braces, const char *name, const struct fact *fact)
{
    if (fact->kind == FACT_NIL || fact->kind == FACT_FUNCTION || fact->traits & (FACT_SECRET | FACT_FOLLOWS))
        return;
    put_key(braces, name);
    put_fact(braces->out, fact, braces->veil);
}

static void put_members(struct braces *braces, char letter, const struct sight *sight)
{
    const struct shown *shown = reference_argument(letter);
    char scratch[FACT_SCRATCH];
    for (size_t i = 0; i < shown->count; i++) {
        const struct fact fact = argument_fact(letter, sight, (int)i, scratch);
        put_member(braces, shown->members[i].name, &fact);
    }
}

/* put_other: an argument that is not the first: an object of its own, or a value without members. */
static void put_other(struct braces *braces, char letter, const struct sight *sight)
{
    const struct question *question = sight->question;
    const struct shown *shown = reference_argument(letter);
    struct braces inner = {.out = braces->out, .veil = braces->veil};
    struct fact fact;
    switch (letter) {
        case 'p':
            fact = fact_address(0, question->peer);
            put_member(braces, "peer", &fact);
            break;
        case 'n':
            fact = fact_integer(question->channel);
            put_member(braces, "number", &fact);
            break;
        case 'k':
            fact = fact_text(argument_method(question->method));
            put_member(braces, "kind", &fact);
            break;
        default:
            put_key(braces, shown->name);
            put_members(&inner, letter, sight);
            end(&inner);
    }
}

void account_put_question(struct slab *out, const struct question *question, const struct veil *veil)
{
    const char *letters = hook_rules[question->hook].arguments;
    const struct sight sight = {.question = question};
    struct braces braces = {.out = out, .veil = veil};
    put_members(&braces, *letters, &sight);
    while (*++letters)
        put_other(&braces, *letters, &sight);
    end(&braces);
}

void account_put_event(struct slab *out, const struct event *event, const struct veil *veil)
{
    const struct sight sight = {.event = event};
    struct braces braces = {.out = out, .veil = veil};
    put_members(&braces, 'e', &sight);
    end(&braces);
}

/* X(name, its value): in the order of relay eval; v: the verdict */
#define ANSWER_FIELDS(X)                                                                                                                   \
    X(decision, fact_text(policy_answer_name(v->kind)))                                                                                    \
    X(code, fact_known(v->code > 0 ? (uint64_t)v->code : 0))                                                                               \
    X(reason, fact_text(v->reason))                                                                                                        \
    X(by, fact_text(v->by))                                                                                                                \
    X(tenant, fact_text(v->tenant))                                                                                                        \
    X(user, fact_that(FACT_NAME, fact_text(v->user)))                                                                                      \
    X(realm, fact_text(v->realm))                                                                                                          \
    X(keys, fact_known(v->kind == VERDICT_KEY ? v->key_count : 0))                                                                         \
    X(expires, fact_known(v->expires_unix_s > 0 ? (uint64_t)v->expires_unix_s : 0))                                                        \
    X(on_expiry, fact_text(expiry_name(v->on_expiry)))                                                                           \
    X(server, fact_server(&v->alternate.servers[0]))                                                                                       \
    X(other_server, fact_server(&v->alternate.servers[1]))                                                                                 \
    X(domain, fact_text(v->alternate.domain))                                                                                              \
    X(total_quota, fact_known(v->limits.total_quota))                                                                                      \
    X(realm_quota, fact_known(v->limits.realm_quota))                                                                                      \
    X(user_quota, fact_known(v->limits.user_quota))                                                                                        \
    X(max_lifetime, fact_known(v->limits.max_lifetime_s))                                                                                  \
    X(max_bps, fact_known(v->limits.max_bps))                                                                                              \
    X(max_pps, fact_known(v->limits.max_pps))                                                                                              \
    X(max_user_bps, fact_known(v->limits.max_user_bps))                                                                                    \
    X(max_new_peers, fact_known(v->limits.max_new_peers))                                                                                  \
    X(max_permissions, fact_known(v->limits.max_permissions))                                                                              \
    X(max_channels, fact_known(v->limits.max_channels))                                                                                    \
    X(permission_acl, fact_text(v->limits.acl ? "set" : ""))                                                                               \
    X(group, fact_text(v->labels.group))                                                                                                   \
    X(pool, fact_text(v->labels.pool))                                                                                                     \
    X(tags, fact_text(v->labels.tags))

static const char *expiry_name(enum on_expiry on_expiry)
{
    static const char *const names[] = {[ON_EXPIRY_KEEP] = "", [ON_EXPIRY_REAUTH] = "reauth", [ON_EXPIRY_STRICT] = "strict"};
    return names[on_expiry];
}

static struct fact fact_server(const struct addr *server)
{
    return server->family ? fact_address(0, server) : fact_nil();
}

const char *account_answer(const struct verdict *v, size_t n, struct fact *fact)
{
#define NUMBER(name, value) ANSWER_##name,
#define NAME(name, value) #name,
#define CASE(name, value)                                                                                                                  \
    case ANSWER_##name:                                                                                                                    \
        *fact = value;                                                                                                                     \
        break;
    enum { ANSWER_FIELDS(NUMBER) };
    static const char *const names[] = {ANSWER_FIELDS(NAME)};
    switch (n) {
        ANSWER_FIELDS(CASE)
        default:
            return NULL;
    }
    return names[n];
}

void account_put_answer(struct slab *out, const struct verdict *verdict, const struct veil *veil)
{
    struct braces braces = {.out = out, .veil = veil};
    struct fact fact;
    const char *name;
    for (size_t i = 0; (name = account_answer(verdict, i, &fact)) != NULL; i++)
        put_member(&braces, name, &fact);
    end(&braces);
}
