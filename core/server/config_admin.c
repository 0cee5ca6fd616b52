/* config_admin.c: where the admin door is. Runs when nothing is wrong, and the listeners of TURN are known. */
#include "server/loader.h"

#include <string.h>

static void add_door(struct loader *loader, const struct config_door *door)
{
    struct config *config = loader->config;
    struct config_door *item = loader_append(loader, &config->doors, &config->door_count, sizeof *item);
    if (item)
        *item = *door;
}

/* One unix socket, whichever option names it: the verbs ask there. */
static void derive_socket(struct loader *loader)
{
    struct config *config = loader->config;
    struct config_door door = {.path = config->admin_socket, .where = config_where(config, "admin-socket"), .option = "admin-socket"};
    for (size_t i = 0; i < config->admin_listen_count; i++) {
        const struct config_door *said = &config->admin_listens[i];
        if (!said->path)
            continue;
        if (door.path && strcmp(door.path, said->path) != 0)
            loader_error(loader, said->where, said->option, "there is one unix socket, and %s says %s: leave one of them out", door.option,
                         door.path);
        else if (!door.path)
            door = *said;
    }
    config->admin_socket = door.path;
    if (door.path)
        add_door(loader, &door);
}

static bool is_loopback(const struct addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};
    const struct addr v6 = addr_v6(one, addr->port);
    return addr->family == ADDR_IPV4 ? addr->ip[12] == 127 : addr_equal_ip(addr, &v6);
}

/* is_turn: on any address: whoever forwards a port to TURN opens no door with it. */
static bool is_turn(const struct config *config, uint16_t port)
{
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].port == port)
            return true;
    return false;
}

static bool is_twice(const struct config *config, const struct config_door *door)
{
    for (size_t i = 0; i < config->door_count; i++)
        if (!config->doors[i].path && addr_equal(&config->doors[i].at, &door->at))
            return true;
    return false;
}

static void derive_address(struct loader *loader, const struct config_door *door)
{
    const struct config *config = loader->config;
    char text[ADDR_TEXT_MAX];
    addr_format(&door->at, text);
    if (!is_loopback(&door->at) && !(config->admin_cert && config->admin_pkey))
        loader_error(loader, door->where, door->option,
                     "%s is not of this machine alone, and keys would cross the network in the clear: add admin-cert=FILE and "
                     "admin-pkey=FILE, or listen on 127.0.0.1",
                     text);
    else if (is_turn(config, door->at.port))
        loader_error(loader, door->where, door->option, "clients of TURN come to port %u: choose another", door->at.port);
    else if (is_twice(config, door))
        loader_error(loader, door->where, door->option, "%s was said before", text);
    else
        add_door(loader, door);
}

static void check_file(struct loader *loader, const char *option, const char *path)
{
    const int err = path ? file_unreadable(path) : 0;
    if (err)
        loader_error(loader, config_where(loader->config, option), option, "%s cannot be read: %s", path, strerror(err));
}

static void check_certificate(struct loader *loader)
{
    const struct config *config = loader->config;
    const char *where = config_where(config, config->admin_cert ? "admin-cert" : "admin-pkey");
    bool is_used = false;
    for (size_t i = 0; i < config->admin_listen_count; i++)
        is_used |= !config->admin_listens[i].path;
    check_file(loader, "admin-cert", config->admin_cert);
    check_file(loader, "admin-pkey", config->admin_pkey);
    if (config->admin_cert && !config->admin_pkey)
        loader_error(loader, where, "admin-cert", "needs admin-pkey, its private key");
    else if (config->admin_pkey && !config->admin_cert)
        loader_error(loader, where, "admin-pkey", "needs admin-cert, its certificate");
    else if (config->admin_cert && !is_used)
        loader_error(loader, where, "admin-cert", "is of no use without an address: add admin-listen=ADDRESS:PORT");
    if (is_used && !config->userdb)
        loader_warning(loader, config_where(config, "admin-listen"), "admin-listen",
                       "without userdb there are no keys, and nobody may ask more there than whether the relay runs: add userdb=FILE and "
                       "run relay key add");
}

void loader_derive_admin(struct loader *loader)
{
    const struct config *config = loader->config;
    check_certificate(loader);
    derive_socket(loader);
    for (size_t i = 0; i < config->admin_listen_count; i++)
        if (!config->admin_listens[i].path)
            derive_address(loader, &config->admin_listens[i]);
}
