/* steer.c: the program, its maps, and what attaches it to the network namespace. */
#include "net/steer.h"

#include "base/err.h"
#include "net/control.h"
#include "net/socket.h"
#include "net/udp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAMILIES 2u            /* sockets of a worker: IPv4, IPv6 */

struct steer {
    struct steer_config config;
    uint32_t ports, total; /* of an address; of all */
    int addresses, owners, sockets, program, link;
    _Atomic uint16_t *owner; /* of each port of each address: 0, nobody, or worker + 1 */
    size_t owner_bytes;
};

/* Instructions, as the program below writes them. PASS: where `pass` is, found when it is loaded. */
#define PASS INT16_MAX
#define INSTRUCTION(operation, ...) {.code = (operation), __VA_ARGS__}
#define MOVE(to, from) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from))
#define SET(to, value) INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (int32_t)(value))
#define ADD(to, from) INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = (to), .src_reg = (from))
#define ADD_VALUE(to, value) INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (to), .imm = (int32_t)(value))
#define SHIFT_LEFT(to, bits) INSTRUCTION(BPF_ALU64 | BPF_LSH | BPF_K, .dst_reg = (to), .imm = (bits))
#define SHIFT_RIGHT(to, bits) INSTRUCTION(BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = (to), .imm = (bits))
#define LOAD(size, to, from, at) INSTRUCTION(BPF_LDX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from), .off = (int16_t)(at))
#define STORE(at, from) INSTRUCTION(BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .src_reg = (from), .off = (int16_t)(at))
#define PASS_IF(to, how, value) INSTRUCTION(BPF_JMP | (how) | BPF_K, .dst_reg = (to), .off = PASS, .imm = (int32_t)(value))
#define CALL(function) INSTRUCTION(BPF_JMP | BPF_CALL, .imm = (function))
#define EXIT() INSTRUCTION(BPF_JMP | BPF_EXIT, 0)
#define MAP(to, what, fd) INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, .dst_reg = (to), .src_reg = (what), .imm = (fd)), {0}
#define FIND(fd, at) MAP(BPF_REG_1, BPF_PSEUDO_MAP_FD, fd), MOVE(BPF_REG_2, BPF_REG_10), ADD_VALUE(BPF_REG_2, at), CALL(BPF_FUNC_map_lookup_elem)
#define CONTEXT(to, field) LOAD(BPF_W, to, BPF_REG_6, offsetof(struct bpf_sk_lookup, field))
#define KEEP(at, field) CONTEXT(BPF_REG_1, field), STORE(at, BPF_REG_1)

#define KEY (-(int)sizeof(struct key)) /* where on the stack */
#define KEY_V6(word) (KEY + (int)offsetof(struct key, v6) + 4 * (word))

/* struct key: of an address; of the one that it is not, zeroes, which is what the context has there. */
struct key {
    uint32_t v4, v6[4];
};

/* The place of a socket in its map: what owns the port is the place of the worker's first one, 0: nobody. AF_INET >> 3 is 0, AF_INET6 >> 3 is 1. */
static uint16_t place_of(unsigned worker)
{
    return (uint16_t)(1 + FAMILIES * worker);
}
_Static_assert(AF_INET >> 3 == 0 && AF_INET6 >> 3 == 1, "the family counts the sockets of a worker");

static int load(struct steer *steer)
{
    struct bpf_insn program[] = {
        MOVE(BPF_REG_6, BPF_REG_1), /* the context, kept over calls */
        CONTEXT(BPF_REG_1, protocol), PASS_IF(BPF_REG_1, BPF_JNE, IPPROTO_UDP),
        CONTEXT(BPF_REG_7, local_port), ADD_VALUE(BPF_REG_7, -steer->config.first), PASS_IF(BPF_REG_7, BPF_JGE, steer->ports),
        /* which of our addresses: at which of all ports its own begin */
        KEEP(KEY, local_ip4), KEEP(KEY_V6(0), local_ip6[0]), KEEP(KEY_V6(1), local_ip6[1]), KEEP(KEY_V6(2), local_ip6[2]), KEEP(KEY_V6(3), local_ip6[3]),
        FIND(steer->addresses, KEY), PASS_IF(BPF_REG_0, BPF_JEQ, 0),
        LOAD(BPF_W, BPF_REG_1, BPF_REG_0, 0), ADD(BPF_REG_7, BPF_REG_1), PASS_IF(BPF_REG_7, BPF_JGE, steer->total),
        /* who owns the port */
        SHIFT_LEFT(BPF_REG_7, 1), MAP(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, steer->owners), ADD(BPF_REG_1, BPF_REG_7),
        LOAD(BPF_H, BPF_REG_1, BPF_REG_1, 0), PASS_IF(BPF_REG_1, BPF_JEQ, 0),
        /* the socket for the family */
        CONTEXT(BPF_REG_2, family), SHIFT_RIGHT(BPF_REG_2, 3), ADD(BPF_REG_1, BPF_REG_2), STORE(KEY, BPF_REG_1),
        FIND(steer->sockets, KEY), PASS_IF(BPF_REG_0, BPF_JEQ, 0),
        MOVE(BPF_REG_7, BPF_REG_0), MOVE(BPF_REG_1, BPF_REG_6), MOVE(BPF_REG_2, BPF_REG_0), SET(BPF_REG_3, 0), CALL(BPF_FUNC_sk_assign),
        MOVE(BPF_REG_1, BPF_REG_7), CALL(BPF_FUNC_sk_release),
        SET(BPF_REG_0, SK_PASS), EXIT(), /* pass */
    };
    const int16_t count = sizeof program / sizeof *program;
    for (int16_t i = 0; i < count; i++)
        if (program[i].off == PASS)
            program[i].off = (int16_t)(count - 2 - (i + 1));
    const struct bpf_prog_load_opts how = {.sz = sizeof how, .expected_attach_type = BPF_SK_LOOKUP};
    return steer->program = bpf_prog_load(BPF_PROG_TYPE_SK_LOOKUP, "relay_ports", "MIT", program, (size_t)count, &how);
}

static int map_new(enum bpf_map_type type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags)
{
    const struct bpf_map_create_opts how = {.sz = sizeof how, .map_flags = flags};
    return bpf_map_create(type, "relay", key, value, entries, &how);
}

static bool map_put(int map, const void *key, const void *value)
{
    return bpf_map_update_elem(map, key, value, BPF_ANY) == 0;
}

static bool map_addresses(struct steer *steer)
{
    for (uint32_t i = 0; i < steer->config.count; i++) {
        const struct addr *local = &steer->config.relays[i].local;
        const uint32_t begins = i * steer->ports;
        struct key key = {0};
        if (local->family == ADDR_IPV4)
            memcpy(&key.v4, local->ip + 12, sizeof key.v4);
        else
            memcpy(key.v6, local->ip, sizeof key.v6);
        if (!map_put(steer->addresses, &key, &begins))
            return false;
    }
    return true;
}

/* The one value of the map is the table of all ports. */
static bool map_owners(struct steer *steer)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    steer->owner_bytes = (steer->total * sizeof *steer->owner + page - 1) / page * page;
    steer->owner = mmap(NULL, steer->owner_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, steer->owners, 0);
    if (steer->owner != MAP_FAILED)
        return true;
    steer->owner = NULL;
    return false;
}

static bool attach(struct steer *steer)
{
    const int space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (space < 0)
        return false;
    steer->link = bpf_link_create(steer->program, space, BPF_SK_LOOKUP, NULL);
    socket_close(space);
    return steer->link >= 0;
}

/* What the capabilities are for: the program, attaching it, sending from its ports. CAP_SYS_ADMIN has the first of them in it. */
static void missing(char why[STEER_WHY_MAX])
{
    static const struct {
        const char *name;
        unsigned bit, or;
    } needed[] = {{"CAP_BPF", CAP_BPF, CAP_SYS_ADMIN}, {"CAP_NET_ADMIN", CAP_NET_ADMIN, CAP_NET_ADMIN}, {"CAP_NET_RAW", CAP_NET_RAW, CAP_NET_RAW}};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    size_t len = 0;
    if (syscall(SYS_capget, &header, data) != 0)
        return;
    const uint64_t has = data[0].effective | (uint64_t)data[1].effective << 32;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!(has >> needed[i].bit & 1) && !(has >> needed[i].or & 1))
            len += (size_t)snprintf(why + len, STEER_WHY_MAX - len, "%s%s", len ? ", " : "", needed[i].name);
    if (len)
        snprintf(why + len, STEER_WHY_MAX - len, " missing at the start");
}

/* make: what failed, or NULL. */
static const char *make(struct steer *steer)
{
    const struct steer_config *config = &steer->config;
    const uint32_t places = place_of(config->workers);
    if ((steer->addresses = map_new(BPF_MAP_TYPE_HASH, sizeof(struct key), sizeof(uint32_t), config->count, 0)) < 0 || !map_addresses(steer))
        return "making a map";
    if ((steer->owners = map_new(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), steer->total * (uint32_t)sizeof *steer->owner, 1, BPF_F_MMAPABLE)) < 0 || !map_owners(steer))
        return "making a map that is memory (Linux 5.5)";
    if ((steer->sockets = map_new(BPF_MAP_TYPE_SOCKMAP, sizeof(uint32_t), sizeof(uint64_t), places, 0)) < 0)
        return "making a map of sockets";
    if (load(steer) < 0)
        return "loading an sk_lookup program (Linux 5.9)";
    return attach(steer) ? NULL : "attaching an sk_lookup program";
}

int steer_open(const struct steer_config *config, struct steer **out, char why[STEER_WHY_MAX])
{
    *why = 0;
    missing(why);
    if (*why)
        return ERR_SYSTEM;
    struct steer *steer = calloc(1, sizeof *steer);
    if (!steer)
        return ERR_MEMORY;
    steer->config = *config;
    steer->ports = config->last - config->first + 1u;
    steer->total = steer->ports * config->count;
    steer->addresses = steer->owners = steer->sockets = steer->program = steer->link = -1;
    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}); /* before Linux 5.11 maps count there */
    const char *failed = make(steer);
    if (!failed) {
        *out = steer;
        return 0;
    }
    snprintf(why, STEER_WHY_MAX, "%s: %s", failed, strerrordesc_np(errno));
    steer_close(steer);
    return ERR_SYSTEM;
}

void steer_close(struct steer *steer)
{
    if (!steer)
        return;
    const int descriptors[] = {steer->link, steer->program, steer->sockets, steer->owners, steer->addresses};
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    if (steer->owner)
        munmap(steer->owner, steer->owner_bytes);
    free(steer);
}

static size_t setting(const char *path, char *text, size_t cap)
{
    FILE *file = fopen(path, "re");
    const size_t len = file ? fread(text, 1, cap - 1, file) : 0;
    if (file)
        fclose(file);
    text[len] = 0;
    return len;
}

/* is_listed: whether all of first..last are in a list of ranges, "1-5,7", which the system keeps sorted and merged. */
static bool is_listed(const char *list, long first, long last)
{
    for (char *at = NULL; *list; list = *at ? at + 1 : at) {
        const long low = strtol(list, &at, 10), high = *at == '-' ? strtol(at + 1, &at, 10) : low;
        if (at == list)
            return false;
        if (low <= first && first <= high)
            first = high + 1;
        if (first > last)
            return true;
    }
    return false;
}

bool steer_is_reserved(uint16_t first, uint16_t last)
{
    char range[64], reserved[65536];
    long low, high;
    if (!setting("/proc/sys/net/ipv4/ip_local_port_range", range, sizeof range) || sscanf(range, "%ld %ld", &low, &high) != 2)
        return false;
    setting("/proc/sys/net/ipv4/ip_local_reserved_ports", reserved, sizeof reserved);
    low = low > first ? low : first;
    high = high < last ? high : last;
    return low > high || is_listed(reserved, low, high);
}

/* Only a socket with a port may be in the map; it gets one of loopback's, at which nobody looks for it. */
int steer_socket(struct steer *steer, unsigned worker, uint8_t family)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    const bool is_v6 = family == ADDR_IPV6;
    const struct addr local = is_v6 ? addr_v6(v6, 0) : addr_v4(v4, 0);
    const uint32_t place = place_of(worker) + is_v6;
    const int fd = socket_bound(SOCK_DGRAM, &local, SOCKET_EXCLUSIVE);
    const uint64_t value = (uint64_t)fd;
    if (fd < 0)
        return fd;
    udp_buffers(fd);
    if (control_ask_destination(fd, family) && map_put(steer->sockets, &place, &value))
        return fd;
    socket_close(fd);
    return ERR_SYSTEM;
}

static _Atomic uint16_t *owner_at(const struct steer *steer, uint32_t address, uint16_t port)
{
    return &steer->owner[address * steer->ports + port - steer->config.first];
}

void steer_own(struct steer *steer, uint32_t address, uint16_t port, unsigned worker)
{
    atomic_store_explicit(owner_at(steer, address, port), place_of(worker), memory_order_release);
}

void steer_disown(struct steer *steer, uint32_t address, uint16_t port)
{
    atomic_store_explicit(owner_at(steer, address, port), 0, memory_order_release);
}

uint32_t steer_address(const struct steer *steer, const struct addr *local)
{
    uint32_t i = 0;
    while (i < steer->config.count && !addr_equal_ip(&steer->config.relays[i].local, local))
        i++;
    return i;
}
