/* bound.c: what sock_diag tells of all UDP sockets of the network namespace. */
#include "net/bound.h"

#include "net/udp.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_BYTES 8192 /* the system makes no piece that is longer */

/* struct asking: about the sockets of a family with a port of the range: a filter of two operations, each of which takes two places. `yes` and `no` say how many bytes further
 * on the next one is: just at the end, it is wanted; beyond, it is not. */
struct asking {
    struct nlmsghdr head;
    struct inet_diag_req_v2 what;
    struct nlattr filter;
    struct inet_diag_bc_op operations[4];
};
_Static_assert(sizeof(struct inet_diag_bc_op) == 4, "places of 4 bytes");

/* union answer: a piece of it, with as many messages as fit. */
union answer {
    struct nlmsghdr head;
    uint8_t bytes[ANSWER_BYTES];
};

enum progress { MORE, DONE, FAILED };

static enum progress take(struct bound *bound, const struct nlmsghdr *head)
{
    if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY && head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
        const struct inet_diag_msg *socket = NLMSG_DATA(head);
        const uint16_t port = ntohs(socket->id.idiag_sport);
        bound->taken[port / 64] |= UINT64_C(1) << port % 64;
        return MORE;
    }
    int err = -1;
    if (head->nlmsg_type == NLMSG_DONE && head->nlmsg_len >= NLMSG_LENGTH(sizeof err))
        memcpy(&err, NLMSG_DATA(head), sizeof err);
    return err == 0 ? DONE : FAILED;
}

static enum progress take_piece(struct bound *bound, const union answer *answer, size_t len)
{
    enum progress progress = MORE;
    for (size_t at = 0; progress == MORE && at < len;) {
        const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)(answer->bytes + at);
        if (!NLMSG_OK(head, len - at))
            return FAILED;
        progress = take(bound, head);
        at += NLMSG_ALIGN(head->nlmsg_len);
    }
    return progress;
}

/* take_all: each piece is there when it is asked for. */
static bool take_all(struct bound *bound, int fd)
{
    union answer answer;
    enum progress progress = MORE;
    while (progress == MORE) {
        const ssize_t got = recv(fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
        progress = got > 0 && got <= ANSWER_BYTES ? take_piece(bound, &answer, (size_t)got) : FAILED;
    }
    return progress == DONE;
}

static bool look_at(struct bound *bound, int fd, uint8_t family)
{
    const struct asking asking = {
        .head = {.nlmsg_len = sizeof asking, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .what = {.sdiag_family = family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = UINT32_MAX},
        .filter = {sizeof asking.filter + sizeof asking.operations, INET_DIAG_REQ_BYTECODE},
        .operations = {{INET_DIAG_BC_S_GE, 8, 20}, {.no = bound->first}, {INET_DIAG_BC_S_LE, 8, 12}, {.no = bound->last}},
    };
    return send(fd, &asking, sizeof asking, MSG_DONTWAIT) == sizeof asking && take_all(bound, fd);
}

/* look: of both families, as a socket of IPv6 may have the port of IPv4, too. */
static bool look(struct bound *bound)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return false;
    memset(bound->taken, 0, sizeof bound->taken);
    const bool looked = look_at(bound, fd, AF_INET) && look_at(bound, fd, AF_INET6);
    close(fd);
    return looked;
}

int bound_find(struct bound *bound, const struct addr *local, msec_t now)
{
    if (now - bound->since >= BOUND_MS) {
        bound->since = now;
        bound->asked = 0;
        bound->is_known = false;
    }
    if (bound->asked++ == BOUND_FEW)
        bound->is_known = look(bound);
    const bool is_free = bound->is_known && !(bound->taken[local->port / 64] >> local->port % 64 & 1);
    return is_free ? 0 : udp_probe(local);
}
