/* mill.c: libmicrohttpd at each place of a door: it is started, run and replaced. */
#include "admin/request.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TURNS 64 /* of one mill in one mill_run */
#define OPTIONS 12

/* TLS 1.2 and 1.3 with AEAD and forward secrecy; GnuTLS's words. */
#define PRIORITIES                                                                                                                         \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:" \
    "%SERVER_PRECEDENCE"

static bool is_tcp(const struct door *door, size_t place)
{
    return !door->config.places[place].path;
}

/* options_of: returns how many. */
static size_t options_of(const struct door *door, size_t place, int fd, struct MHD_OptionItem out[OPTIONS])
{
    const bool tcp = is_tcp(door, place);
    size_t count = 0;
    out[count++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
    out[count++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_LIMIT, tcp ? DOOR_CONNECTIONS_TCP : DOOR_CONNECTIONS, NULL};
    out[count++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_MEMORY_LIMIT, DOOR_MEMORY, NULL};
    out[count++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_TIMEOUT, DOOR_TIMEOUT_S, NULL};
    if (tcp)
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_PER_IP_CONNECTION_LIMIT, DOOR_CONNECTIONS_EACH, NULL};
    if (tcp && door->chain) {
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, door->chain};
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, door->key};
        out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES};
    }
    out[count++] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return count;
}

static struct MHD_Daemon *start(const struct door *door, size_t place, int fd)
{
    struct MHD_OptionItem options[OPTIONS];
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_tcp(door, place) && door->chain ? MHD_USE_TLS : 0);
    options_of(door, place, fd, options);
    return MHD_start_daemon(flags, 0, NULL, NULL, door->on_request, (void *)(uintptr_t)door, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_NOTIFY_COMPLETED, door->on_done, NULL, MHD_OPTION_URI_LOG_CALLBACK, door->on_target, door,
                            MHD_OPTION_END);
}

static int watch(const struct door *door, struct MHD_Daemon *daemon)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(door->ready, EPOLL_CTL_ADD, MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, &event) == 0 ? 0
                                                                                                                               : ERR_SYSTEM;
}

/* mill_start: its own descriptor of the socket is the library's to close. */
int mill_start(struct door *door, size_t place)
{
    struct mill *mill = calloc(1, sizeof *mill);
    const int fd = mill ? fcntl(door->listening[place], F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        free(mill);
        return mill ? ERR_SYSTEM : ERR_MEMORY;
    }
    mill->daemon = start(door, place, fd);
    if (!mill->daemon) {
        close(fd);
        free(mill);
        return is_tcp(door, place) && door->chain ? ERR_DENIED : ERR_MEMORY;
    }
    mill->is_tcp = is_tcp(door, place);
    mill->next = door->mills;
    door->mills = mill;
    return watch(door, mill->daemon);
}

void mill_retire(struct mill *mill)
{
    const int fd = MHD_quiesce_daemon(mill->daemon);
    mill->is_retired = true;
    if (fd >= 0)
        close(fd);
}

static void run(struct mill *mill)
{
    MHD_UNSIGNED_LONG_LONG left = 0;
    for (int turns = 0; turns < TURNS && left == 0; turns++) {
        MHD_run(mill->daemon);
        if (MHD_get_timeout(mill->daemon, &left) != MHD_YES)
            break;
    }
}

static bool is_empty(const struct mill *mill)
{
    return mill->is_retired && MHD_get_daemon_info(mill->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections == 0;
}

static void stop(struct mill **at)
{
    struct mill *mill = *at;
    *at = mill->next;
    MHD_stop_daemon(mill->daemon);
    free(mill);
}

void mill_run(struct door *door)
{
    for (struct mill **at = &door->mills; *at;) {
        run(*at);
        if (is_empty(*at))
            stop(at);
        else
            at = &(*at)->next;
    }
}

void mill_stop(struct door *door, const struct mill *until)
{
    while (door->mills != until)
        stop(&door->mills);
}
