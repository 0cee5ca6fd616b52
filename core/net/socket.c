/* socket.c: making sockets. */
#include "net/socket.h"

#include "base/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

void socket_close(int fd)
{
    const int kept = errno;
    close(fd);
    errno = kept;
}

bool socket_is_exhausted(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int socket_accept(int listener, struct addr *from)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    const int fd = accept4(listener, (struct sockaddr *)&at, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN ? ERR_NOT_FOUND : socket_is_exhausted(errno) ? ERR_MEMORY : ERR_SYSTEM;
    *from = addr_from_sockaddr(&at);
    return fd;
}

bool socket_flag(int fd, int level, int option)
{
    const int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

/* prepared: a listener of TCP binds while connections of an earlier process linger (SO_REUSEADDR); for UDP that option would share the
 * port. */
static bool prepared(int fd, int type, const struct addr *local, enum socket_sharing sharing)
{
    return (local->family != ADDR_IPV6 || socket_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
           (type != SOCK_STREAM || socket_flag(fd, SOL_SOCKET, SO_REUSEADDR)) &&
           (sharing == SOCKET_EXCLUSIVE || socket_flag(fd, SOL_SOCKET, SO_REUSEPORT));
}

int socket_bound(int type, const struct addr *local, enum socket_sharing sharing)
{
    const int fd = socket(local->family == ADDR_IPV6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    struct sockaddr_storage at;
    const socklen_t len = addr_to_sockaddr(local, &at);
    if (prepared(fd, type, local, sharing) && bind(fd, (const struct sockaddr *)&at, len) == 0)
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

bool socket_is_taken(int type, const struct addr *local)
{
    if (local->port == 0)
        return false;
    const int fd = socket_bound(type, local, SOCKET_EXCLUSIVE);
    if (fd < 0)
        return errno == EADDRINUSE;
    close(fd);
    return false;
}

struct addr socket_local(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return (struct addr){0};
    return addr_from_sockaddr(&at);
}

bool socket_is_passing(int error)
{
    switch (error) {
        case ECONNREFUSED:
        case ECONNRESET:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case ENONET:
        case ENOPROTOOPT:
        case EOPNOTSUPP:
        case EPROTO:
        case EMSGSIZE:
        case EACCES:
        case EPERM:
        case ENOMEM:
        case ENOBUFS:
            return true;
        default:
            return false;
    }
}

/* IP_PMTUDISC_OMIT is like IP_PMTUDISC_DONT, but for this: the socket is told when a router had no way on for what was sent with DF a moment ago. */
bool socket_keep_whole(int fd, uint8_t family, bool whole)
{
    const bool v6 = family == ADDR_IPV6;
    const int mode = v6 ? (whole ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT) : (whole ? IP_PMTUDISC_DO : IP_PMTUDISC_OMIT);
    return setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &mode, sizeof mode) == 0;
}
