/* listener.c: see listener.h. */
#include "admin/listener.h"

#include "base/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define BACKLOG_TCP 128

/* is_free: whether a socket may be made at the path: nothing is there, or one that was left behind, which goes. */
static int is_free(const struct sockaddr_un *at)
{
    struct stat file;
    if (lstat(at->sun_path, &file) != 0)
        return errno == ENOENT ? 0 : ERR_SYSTEM;
    if (!S_ISSOCK(file.st_mode))
        return ERR_BAD;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    const bool lives = connect(fd, (const struct sockaddr *)(const void *)at, sizeof *at) == 0 || errno != ECONNREFUSED;
    close(fd);
    if (lives)
        return ERR_EXISTS;
    return unlink(at->sun_path) == 0 ? 0 : ERR_SYSTEM;
}

/* given_up: what is left of it goes; errno stays. */
static int given_up(int fd, const char *path)
{
    const int why = errno;
    close(fd);
    if (path)
        unlink(path);
    errno = why;
    return ERR_SYSTEM;
}

/* Nobody can connect before it listens, and by then its mode is narrow. */
int listener_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        return ERR_BAD;
    memcpy(at.sun_path, path, strlen(path) + 1);
    const int status = is_free(&at);
    if (status)
        return status;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    if (bind(fd, (const struct sockaddr *)(const void *)&at, sizeof at) != 0)
        return given_up(fd, NULL);
    return chmod(path, S_IRUSR | S_IWUSR) == 0 && listen(fd, BACKLOG) == 0 ? fd : given_up(fd, path);
}

/* Of an IPv6 address only IPv6 comes. */
static bool bind_tcp(int fd, const struct addr *at)
{
    struct sockaddr_storage to;
    const socklen_t len = addr_to_sockaddr(at, &to);
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (at->family != ADDR_IPV6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
           bind(fd, (const struct sockaddr *)(const void *)&to, len) == 0 && listen(fd, BACKLOG_TCP) == 0;
}

int listener_tcp(const struct addr *at)
{
    const int fd = socket(at->family == ADDR_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    if (bind_tcp(fd, at))
        return fd;
    given_up(fd, NULL);
    return errno == EADDRINUSE ? ERR_EXISTS : ERR_SYSTEM;
}
