/* turn.c: the TURN client of the load generator. */
#include "turn.h"

#include "base/err.h"
#include "wire/attr.h"
#include "wire/build.h"
#include "wire/channel.h"
#include "wire/frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 20000 /* under valgrind everything takes its time */
#define REQUEST_MAX 512
#define UDP_TRANSPORT (UINT32_C(17) << 24)

void turn_die(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

/* ---- out ---- */

static void put(const struct turn *turn, struct view bytes)
{
    if (bytes.len == 0 || send(turn->fd, bytes.at, bytes.len, MSG_NOSIGNAL) != (ssize_t)bytes.len)
        turn_die("cannot send");
}

static void begin(struct build *build, uint8_t bytes[REQUEST_MAX], uint16_t method, enum stun_class class)
{
    uint8_t tid[STUN_TID_LEN];
    crypto_random(tid, sizeof tid);
    build_begin(build, slab_over(bytes, REQUEST_MAX), method, class, tid);
}

static void put_signed(const struct turn *turn, struct build *build)
{
    if (turn->nonce_len) {
        build_attr_text(build, ATTR_USERNAME, turn->login->user);
        build_attr(build, ATTR_REALM, view_of(turn->realm, turn->realm_len));
        build_attr(build, ATTR_NONCE, view_of(turn->nonce, turn->nonce_len));
        build_integrity(build, turn->login->crypto, view_of(turn->key, sizeof turn->key));
    }
    put(turn, build_end(build));
}

void turn_put_binding(struct turn *turn)
{
    uint8_t bytes[REQUEST_MAX];
    struct build build;
    begin(&build, bytes, METHOD_BINDING, STUN_REQUEST);
    put(turn, build_end(&build));
}

void turn_put_allocate(struct turn *turn)
{
    uint8_t bytes[REQUEST_MAX];
    struct build build;
    begin(&build, bytes, METHOD_ALLOCATE, STUN_REQUEST);
    build_attr_u32(&build, ATTR_REQUESTED_TRANSPORT, UDP_TRANSPORT);
    put_signed(turn, &build);
}

void turn_put_release(struct turn *turn)
{
    uint8_t bytes[REQUEST_MAX];
    struct build build;
    begin(&build, bytes, METHOD_REFRESH, STUN_REQUEST);
    build_attr_u32(&build, ATTR_LIFETIME, 0);
    put_signed(turn, &build);
}

void turn_put_channel(struct turn *turn, struct view payload)
{
    uint8_t bytes[CHANNEL_HEADER_LEN + TURN_PAYLOAD_MAX + 3];
    memcpy(bytes + CHANNEL_HEADER_LEN, payload.at, payload.len);
    put(turn, channel_around(bytes + CHANNEL_HEADER_LEN, payload.len, TURN_CHANNEL, turn->stream));
}

void turn_put_send(struct turn *turn, const struct addr *peer, struct view payload)
{
    uint8_t bytes[REQUEST_MAX + TURN_PAYLOAD_MAX], tid[STUN_TID_LEN] = "indication";
    struct build build;
    build_begin(&build, slab_over(bytes, sizeof bytes), METHOD_SEND, STUN_INDICATION, tid);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, peer);
    build_attr(&build, ATTR_DATA, payload);
    put(turn, build_end(&build));
}

/* ---- in ---- */

static bool receive(struct turn *turn)
{
    memmove(turn->in, turn->in + turn->start, turn->end - turn->start);
    turn->end -= turn->start;
    turn->start = 0;
    const ssize_t got = recv(turn->fd, turn->in + turn->end, sizeof turn->in - turn->end, MSG_DONTWAIT);
    if (got > 0)
        turn->end += (size_t)got;
    else if (got == 0 && turn->stream)
        turn_die("the server closed the connection");
    return got > 0;
}

bool turn_next(struct turn *turn, struct view *frame)
{
    size_t used;
    do {
        const struct view in = view_of(turn->in + turn->start, turn->end - turn->start);
        const int err = turn->stream ? frame_cut(in, frame, &used) : in.len ? 0 : ERR_PARTIAL;
        if (err == ERR_BAD)
            turn_die("what the server sent is no stream of frames");
        if (err == 0) {
            if (!turn->stream)
                *frame = in;
            turn->start += turn->stream ? used : in.len;
            return true;
        }
    } while (receive(turn));
    return false;
}

struct view turn_data(struct view frame)
{
    struct view data = {0};
    struct message message;
    uint16_t number;
    if (frame_kind_of(frame) == FRAME_CHANNEL)
        channel_open(frame, &number, &data);
    else if (message_open(&message, frame) == 0 && message.method == METHOD_DATA)
        data = message_attr(&message, SLOT_DATA);
    return data;
}

bool turn_is_granted(struct view frame, uint16_t method)
{
    struct message message;
    if (message_open(&message, frame) != 0 || message.method != method)
        return false;
    errno = 0;
    if (message.class == STUN_ERROR)
        turn_die("a request was refused");
    return message.class == STUN_SUCCESS;
}

/* ---- setting up ---- */

/* answer: to the last request; data that are on their way still are passed over. */
static struct message answer(struct turn *turn)
{
    struct pollfd wait = {.fd = turn->fd, .events = POLLIN};
    struct message message;
    struct view frame;
    do {
        while (!turn_next(turn, &frame))
            if (poll(&wait, 1, ANSWER_MS) <= 0)
                turn_die("no answer");
    } while (message_open(&message, frame) != 0 || message.class == STUN_INDICATION);
    return message;
}

static void must_grant(struct turn *turn, const char *what)
{
    errno = 0;
    if (answer(turn).class != STUN_SUCCESS)
        turn_die(what);
}

static size_t keep(const struct message *message, enum attr_slot slot, uint8_t out[128])
{
    const struct view value = view_cut(message_attr(message, slot), 128);
    memcpy(out, value.at, value.len);
    return value.len;
}

static void challenge(struct turn *turn)
{
    turn_put_allocate(turn);
    const struct message asked = answer(turn);
    if (!message_has(&asked, SLOT_NONCE) || !message_has(&asked, SLOT_REALM))
        turn_die("the first Allocate was not challenged");
    turn->nonce_len = keep(&asked, SLOT_NONCE, turn->nonce);
    turn->realm_len = keep(&asked, SLOT_REALM, turn->realm);
    integrity_key(turn->login->crypto, view_text(turn->login->user), view_of(turn->realm, turn->realm_len),
                  view_text(turn->login->password), turn->key);
}

void turn_open(struct turn *turn, const struct turn_login *login, const struct addr *server, bool stream)
{
    struct sockaddr_storage at;
    const socklen_t len = addr_to_sockaddr(server, &at);
    const int on = 1, bytes = 4 << 20;
    *turn = (struct turn){.login = login, .stream = stream};
    turn->fd = socket(at.ss_family, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (turn->fd < 0 || connect(turn->fd, (const struct sockaddr *)&at, len) != 0)
        turn_die("cannot reach the server");
    setsockopt(turn->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (stream)
        setsockopt(turn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    challenge(turn);
}

void turn_allocate(struct turn *turn)
{
    turn_put_allocate(turn);
    const struct message granted = answer(turn);
    errno = 0;
    if (granted.class != STUN_SUCCESS || attr_xor_addr(&granted, SLOT_XOR_RELAYED_ADDRESS, &turn->relayed) != 0)
        turn_die("Allocate was refused");
}

void turn_bind(struct turn *turn, const struct addr *peer)
{
    uint8_t bytes[REQUEST_MAX];
    struct build build;
    begin(&build, bytes, METHOD_CHANNEL_BIND, STUN_REQUEST);
    build_attr_u32(&build, ATTR_CHANNEL_NUMBER, (uint32_t)TURN_CHANNEL << 16);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, peer);
    put_signed(turn, &build);
    must_grant(turn, "ChannelBind was refused");
}

void turn_permit(struct turn *turn, const struct addr *peer)
{
    uint8_t bytes[REQUEST_MAX];
    struct build build;
    begin(&build, bytes, METHOD_CREATE_PERMISSION, STUN_REQUEST);
    build_xor_addr(&build, ATTR_XOR_PEER_ADDRESS, peer);
    put_signed(turn, &build);
    must_grant(turn, "CreatePermission was refused");
}

void turn_release(struct turn *turn)
{
    turn_put_release(turn);
    must_grant(turn, "Refresh was refused");
}
