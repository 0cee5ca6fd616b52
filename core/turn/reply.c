/* reply.c: the one place that turns a code into bytes. */
#include "turn/reply.h"

#include "turn/auth.h"
#include "turn/discovery.h"
#include "turn/nonce.h"
#include "wire/build.h"

static void reply_allocated(struct transaction *tr, struct build *build)
{
    build_xor_addr(build, ATTR_XOR_RELAYED_ADDRESS, &tr->answer.relayed);
    if (tr->answer.other.family != ADDR_NONE)
        build_xor_addr(build, ATTR_XOR_RELAYED_ADDRESS, &tr->answer.other);
    if (tr->answer.refused_code)
        build_address_error(build, tr->answer.refused_family, tr->answer.refused_code);
    build_attr_u32(build, ATTR_LIFETIME, tr->answer.lifetime_s);
    if (tr->answer.reservation)
        build_attr_u64(build, ATTR_RESERVATION_TOKEN, tr->answer.reservation);
    build_xor_addr(build, ATTR_XOR_MAPPED_ADDRESS, &tr->flow->client);
}

/* reply_origin: the sender, and the other address that it has; named anew by RFC 5780 section 7. */
static void reply_origin(const struct transaction *tr, struct build *build)
{
    const struct addr from = discovery_origin(tr), *other = discovery_other(tr);
    build_addr(build, tr->message.is_classic ? CLASSIC_SOURCE_ADDRESS : ATTR_RESPONSE_ORIGIN, &from);
    if (other)
        build_addr(build, tr->message.is_classic ? CLASSIC_CHANGED_ADDRESS : ATTR_OTHER_ADDRESS, other);
}

static void reply_binding(struct transaction *tr, struct build *build)
{
    const struct engine_config *config = tr->engine->config;
    const bool is_classic = tr->message.is_classic;
    if (!is_classic)
        build_xor_addr(build, ATTR_XOR_MAPPED_ADDRESS, &tr->flow->client);
    if (is_classic || config->mapped_address)
        build_addr(build, ATTR_MAPPED_ADDRESS, &tr->flow->client);
    if (is_classic || config->origins)
        reply_origin(tr, build);
    if (tr->answer.has_padding)
        build_padding(build, tr->answer.padding);
}

static void reply_success(struct transaction *tr, struct build *build)
{
    switch (tr->message.method) {
        case METHOD_BINDING:
            reply_binding(tr, build);
            break;
        case METHOD_ALLOCATE:
            reply_allocated(tr, build);
            break;
        case METHOD_REFRESH:
            build_attr_u32(build, ATTR_LIFETIME, tr->answer.lifetime_s);
            break;
        case METHOD_CONNECT:
            build_attr_u32(build, ATTR_CONNECTION_ID, tr->answer.connection_id);
            break;
        default:
            break;
    }
    if (tr->answer.ticket[0])
        build_attr_text(build, ATTR_MOBILITY_TICKET, tr->answer.ticket);
}

static void reply_challenge(struct transaction *tr, struct build *build)
{
    char nonce[NONCE_MAX_LEN + 1];
    nonce_make(tr->engine->config, tr->flow, tr->now, nonce);
    build_attr_text(build, ATTR_REALM, tr->identity.realm);
    build_attr_text(build, ATTR_NONCE, nonce);
    if (tr->engine->config->offer_sha256)
        build_attr(build, ATTR_PASSWORD_ALGORITHMS, auth_offer());
    if (tr->engine->config->oauth)
        build_attr_text(build, ATTR_THIRD_PARTY_AUTHORIZATION, transaction_server_name(tr));
}

static void reply_alternate(const struct transaction *tr, struct build *build)
{
    const struct alternate *alternate = &tr->answer.alternate;
    const bool has_certificate = tr->flow->transport == TRANSPORT_TLS || tr->flow->transport == TRANSPORT_DTLS;
    for (size_t i = 0; i < 2; i++)
        if (alternate->servers[i].family != ADDR_NONE)
            build_addr(build, ATTR_ALTERNATE_SERVER, &alternate->servers[i]);
    if (has_certificate && alternate->domain[0])
        build_attr_text(build, ATTR_ALTERNATE_DOMAIN, alternate->domain);
}

/* reply_unknown: RFC 3489 section 11.2.10 wants an even number of types, and one said twice to make it so. */
static void reply_unknown(struct transaction *tr, struct build *build)
{
    struct answer *answer = &tr->answer;
    if (tr->message.is_classic && answer->unknown_count % 2) {
        answer->unknown[answer->unknown_count] = answer->unknown[answer->unknown_count - 1];
        answer->unknown_count++;
    }
    build_unknown(build, answer->unknown, answer->unknown_count);
}

static void reply_error(struct transaction *tr, struct build *build, int code)
{
    build_error(build, code, tr->is_authentic ? stun_code_reason(code) : "");
    switch (code) {
        case STUN_UNAUTHENTICATED:
        case STUN_STALE_NONCE:
            reply_challenge(tr, build);
            return;
        case STUN_TRY_ALTERNATE:
            reply_alternate(tr, build);
            return;
        case STUN_UNKNOWN_ATTRIBUTE:
            reply_unknown(tr, build);
            return;
        default:
            return;
    }
}

/* reply_sign: with the kind of integrity that the request had, RFC 8489 section 9.2.4. */
static int reply_sign(const struct transaction *tr, struct build *build)
{
    const struct view key = view_of(tr->identity.key.bytes, tr->identity.key.len);
    if (message_has(&tr->message, SLOT_MESSAGE_INTEGRITY_SHA256))
        return build_integrity_sha256(build, tr->engine->crypto, key);
    return build_integrity(build, tr->engine->crypto, key);
}

static void reply_begin(const struct transaction *tr, struct build *build, int code)
{
    struct engine *engine = tr->engine;
    const struct message *message = &tr->message;
    const struct slab out = slab_over(engine->reply, sizeof engine->reply);
    const enum stun_class class = code ? STUN_ERROR : STUN_SUCCESS;
    if (message->is_classic)
        build_begin_classic(build, out, message->method, class, message->tid - 4);
    else
        build_begin(build, out, message->method, class, message->tid);
}

/* reply_end: SOFTWARE, the signature and FINGERPRINT, of which RFC 3489 knows none. */
static int reply_end(const struct transaction *tr, struct build *build)
{
    const struct engine_config *config = tr->engine->config;
    int err = 0;
    if (tr->message.is_classic)
        return 0;
    if (config->software[0])
        build_attr_text(build, ATTR_SOFTWARE, config->software);
    if (tr->is_authentic)
        err = reply_sign(tr, build);
    if (config->fingerprint || message_has(&tr->message, SLOT_FINGERPRINT))
        build_fingerprint(build);
    return err;
}

struct view reply_make(struct transaction *tr, int code)
{
    struct build build;
    reply_begin(tr, &build, code);
    if (code)
        reply_error(tr, &build, code);
    else
        reply_success(tr, &build);
    return reply_end(tr, &build) != 0 ? (struct view){0} : build_end(&build);
}
