/* talk.c: requests, and the frames that are none. */
#include "client/talk.h"

#include "base/err.h"
#include "wire/attr.h"
#include "wire/channel.h"
#include "wire/frame.h"

#include <string.h>

#define RTO_MS 500 /* RFC 8489 section 6.2.1 */

static uint64_t now_us(void)
{
    return (uint64_t)clock_monotonic_ns() / 1000;
}

static void put_credential(struct talk *talk)
{
    build_attr_text(&talk->build, ATTR_USERNAME, talk->user);
    build_attr(&talk->build, ATTR_REALM, view_of(talk->realm, talk->realm_len));
    build_attr(&talk->build, ATTR_NONCE, view_of(talk->nonce, talk->nonce_len));
    build_integrity(&talk->build, talk->crypto, view_of(talk->key, sizeof talk->key));
}

/* learn: what the challenge says. */
static bool learn(struct talk *talk)
{
    const struct view realm = message_attr(&talk->answer, SLOT_REALM), nonce = message_attr(&talk->answer, SLOT_NONCE);
    if (!nonce.len || nonce.len > sizeof talk->nonce || realm.len > sizeof talk->realm)
        return false;
    if (realm.at)
        memcpy(talk->realm, realm.at, talk->realm_len = realm.len);
    memcpy(talk->nonce, nonce.at, talk->nonce_len = nonce.len);
    if (!talk->user)
        return false;
    talk->is_challenged = integrity_key(talk->crypto, view_text(talk->user), view_of(talk->realm, talk->realm_len),
                                        view_text(talk->password ? talk->password : ""), talk->key) == 0;
    return talk->is_challenged;
}

/* is_answer: of the request that was sent last; it is kept. */
static bool is_answer(struct talk *talk, struct view frame)
{
    struct message message;
    if (frame.len > sizeof talk->answered || frame_kind_of(frame) != FRAME_STUN || message_open(&message, frame) != 0 ||
        message.class == STUN_INDICATION || message.class == STUN_REQUEST || memcmp(message.tid, talk->tid, STUN_TID_LEN) != 0)
        return false;
    memcpy(talk->answered, frame.at, frame.len);
    message_open(&talk->answer, view_of(talk->answered, frame.len));
    return true;
}

static int await_answer(struct talk *talk, msec_t until)
{
    struct view frame;
    for (msec_t left; (left = until - clock_monotonic_ms()) > 0;) {
        const int err = dial_receive(talk->dial, left, &frame);
        if (err)
            return err == ERR_BAD ? ERR_SYSTEM : err;
        if (is_answer(talk, frame))
            return 0;
    }
    return ERR_NOT_FOUND;
}

/* exchange: over datagrams it is sent again, each time after twice as long. */
static int exchange(struct talk *talk, struct view request)
{
    const msec_t until = clock_monotonic_ms() + talk->patience_ms;
    msec_t lapse = dial_is_stream(talk->dial) ? talk->patience_ms : RTO_MS;
    int err = ERR_NOT_FOUND;
    for (; err == ERR_NOT_FOUND && clock_monotonic_ms() < until; lapse *= 2) {
        const msec_t next = clock_monotonic_ms() + lapse;
        const uint64_t sent_us = now_us();
        err = dial_send(talk->dial, request);
        if (!err)
            err = await_answer(talk, next < until ? next : until);
        talk->took_us = (uint32_t)(now_us() - sent_us);
    }
    return err;
}

static int ask_once(struct talk *talk, uint16_t method, talk_put_fn *put, const void *ctx)
{
    const bool is_signed = talk->is_challenged && method != METHOD_BINDING;
    crypto_random(talk->tid, sizeof talk->tid);
    build_begin(&talk->build, slab_over(talk->request, sizeof talk->request), method, STUN_REQUEST, talk->tid);
    if (put)
        put(&talk->build, ctx);
    if (is_signed)
        put_credential(talk);
    const struct view request = build_end(&talk->build);
    const int err = request.len ? exchange(talk, request) : ERR_MEMORY;
    if (err)
        return err;
    struct view reason;
    talk->code = 0;
    talk->asked_for_password = !is_signed;
    if (talk->answer.class == STUN_ERROR && attr_error(&talk->answer, &talk->code, &reason) != 0)
        talk->code = STUN_BAD_REQUEST;
    return 0;
}

int talk_ask(struct talk *talk, uint16_t method, talk_put_fn *put, const void *ctx)
{
    int err = ask_once(talk, method, put, ctx);
    if (err)
        return err;
    const bool is_challenge = (talk->code == STUN_UNAUTHENTICATED && talk->asked_for_password) || talk->code == STUN_STALE_NONCE;
    return is_challenge && learn(talk) ? ask_once(talk, method, put, ctx) : 0;
}

/* copy_plain: what a stranger said may be more than text to a terminal. */
static void copy_plain(struct view text, char *out, size_t cap)
{
    view_copy(text, out, cap);
    for (char *at = out; *at; at++)
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
}

void talk_reason(const struct talk *talk, char *out, size_t cap)
{
    struct view reason = {0};
    int code;
    if (attr_error(&talk->answer, &code, &reason) != 0)
        reason = (struct view){0};
    copy_plain(reason, out, cap);
}

void talk_realm(const struct talk *talk, char *out, size_t cap)
{
    copy_plain(view_of(talk->realm, talk->realm_len), out, cap);
}

int talk_put_data(struct talk *talk, struct view data)
{
    uint8_t bytes[CHANNEL_HEADER_LEN + TALK_DATA_MAX + 3];
    memcpy(bytes + CHANNEL_HEADER_LEN, data.at, data.len);
    return dial_send(talk->dial, channel_around(bytes + CHANNEL_HEADER_LEN, data.len, TALK_CHANNEL, dial_is_stream(talk->dial)));
}

int talk_data(struct talk *talk, msec_t timeout_ms, struct view *data)
{
    const msec_t until = clock_monotonic_ms() + timeout_ms;
    struct view frame;
    uint16_t number;
    for (;;) {
        const msec_t left = until - clock_monotonic_ms();
        const int err = dial_receive(talk->dial, left > 0 ? left : 0, &frame);
        if (err)
            return err;
        if (frame_kind_of(frame) == FRAME_CHANNEL && channel_open(frame, &number, data) == 0 && number == TALK_CHANNEL)
            return 0;
    }
}
