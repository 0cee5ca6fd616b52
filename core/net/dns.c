/* dns.c: a channel of c-ares whose sockets and timer are watches of the loop. */
#define CARES_NO_DEPRECATED
#include "net/dns.h"

#include "base/crypto.h"
#include "base/err.h"
#include "base/table.h"
#include "net/dns_answer.h"

#include <ares.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define TRY_MS 1000 /* until a server is asked again, or another; then twice that */
#define TRIES 2
#define CLASS_IN 1
#define SERVERS_MAX 8
#define SOCKETS_MAX 64 /* of servers that are asked over UDP, and over TCP for what did not fit */

/* struct dns_socket: one that c-ares wants watched. */
struct dns_socket {
    struct dns *dns;
    ares_socket_t fd;
    struct watch in, out;
};

/* struct kept: an answer in one block of memory, with the name in lower case. */
struct kept {
    char name[DNS_NAME_MAX + 1];
    enum dns_type type;
    msec_t until;
    struct dns_answer answer;
    struct dns_record records[];
};

struct dns_lookup {
    struct dns *dns;
    struct dns_ending ending; /* done NULL: nobody wants it any more */
    char name[DNS_NAME_MAX + 1];
    enum dns_type type;
    struct kept *found; /* what is to be told */
    struct dns_lookup *next; /* of those that have ended */
};

struct dns {
    struct loop *loop;
    ares_channel channel;
    struct dns_socket sockets[SOCKETS_MAX];
    struct watch timer, soon;
    struct dns_lookup *ended; /* for c-ares; who asked is to be told */
    size_t count;             /* with those that c-ares has */
    struct hash_key key;
    struct kept *kept[DNS_KEPT];
    bool closing;
};

static void read_name(const char *name, char out[DNS_NAME_MAX + 1])
{
    size_t len = 0;
    for (; len < DNS_NAME_MAX && name[len]; len++)
        out[len] = (char)tolower((unsigned char)name[len]);
    out[len] = 0;
}

/* ---- what is kept ---- */

/* place_of: where an answer is kept; another one may be. */
static struct kept **place_of(struct dns *dns, const char *name, enum dns_type type)
{
    const uint64_t hash = table_hash(&dns->key, view_text(name)) + (uint64_t)type;
    return &dns->kept[hash % DNS_KEPT];
}

const struct dns_answer *dns_recall(struct dns *dns, const struct dns_question *question)
{
    char name[DNS_NAME_MAX + 1];
    read_name(question->name, name);
    const struct kept *kept = *place_of(dns, name, question->type);
    const bool is_it = kept && kept->type == question->type && strcmp(kept->name, name) == 0 && kept->until > loop_now(dns->loop);
    return is_it ? &kept->answer : NULL;
}

/* kept_new: an error, or with a copy of what was read. */
static struct kept *kept_new(const struct dns_lookup *lookup, const char *error, const struct dns_reading *reading)
{
    const size_t count = error ? 0 : reading->count, texts = error ? 0 : reading->text_len;
    struct kept *kept = malloc(sizeof *kept + count * sizeof *kept->records + texts);
    if (!kept)
        return NULL;
    char *text = (char *)&kept->records[count];
    memcpy(kept->name, lookup->name, sizeof kept->name);
    kept->type = lookup->type;
    kept->answer = (struct dns_answer){error, kept->records, count};
    if (texts)
        memcpy(text, reading->text, texts);
    for (size_t i = 0; i < count; i++) {
        kept->records[i] = reading->records[i];
        kept->records[i].text.at = (const uint8_t *)text + ((const char *)reading->records[i].text.at - reading->text);
    }
    return kept;
}

/* keep: in the place of whatever was there. */
static void keep(struct dns *dns, struct kept *kept)
{
    struct kept **place = place_of(dns, kept->name, kept->type);
    if (kept->until <= loop_now(dns->loop)) {
        free(kept);
        return;
    }
    free(*place);
    *place = kept;
}

/* ---- a lookup ends ---- */

static void lookup_free(struct dns_lookup *lookup)
{
    lookup->dns->count--;
    free(lookup->found);
    free(lookup);
}

static const char *error_of(int status)
{
    switch (status) {
        case ARES_SUCCESS:
            return NULL;
        case ARES_ENOTFOUND:
        case ARES_ENODATA:
            return "not found";
        case ARES_ETIMEOUT:
            return "timeout";
        default:
            return "failed";
    }
}

/* found: what c-ares brought, and for how long it holds. */
static struct kept *found(const struct dns_lookup *lookup, int status, struct view message)
{
    struct dns_reading reading;
    const char *error = error_of(status);
    msec_t seconds = DNS_KEEP_NONE_S;
    if (!error) {
        const int err = dns_answer_read(message, lookup->type, &reading);
        error = err == ERR_NOT_FOUND ? "not found" : err ? "failed" : NULL;
        seconds = err ? seconds : reading.ttl_s < DNS_KEEP_MAX_S ? reading.ttl_s : DNS_KEEP_MAX_S;
    }
    struct kept *kept = kept_new(lookup, error, &reading);
    if (kept)
        kept->until = error && strcmp(error, "not found") != 0 ? 0 : loop_now(lookup->dns->loop) + seconds * 1000;
    return kept;
}

/* tell_all: between two calls of c-ares, whose own state is whole. Who is told may begin others, or give them up. */
static void tell_all(struct dns *dns)
{
    static const struct dns_answer failed = {.error = "failed"};
    for (struct dns_lookup *lookup; (lookup = dns->ended);) {
        struct kept *kept = lookup->found;
        const struct dns_ending ending = lookup->ending;
        dns->ended = lookup->next;
        lookup->found = NULL;
        lookup_free(lookup);
        if (ending.done)
            ending.done(ending.owner, kept ? &kept->answer : &failed);
        if (kept)
            keep(dns, kept);
    }
}

static void on_answer(void *owner, int status, int timeouts, unsigned char *bytes, int len)
{
    struct dns_lookup *lookup = owner;
    struct dns *dns = lookup->dns;
    (void)timeouts;
    if (dns->closing) {
        lookup_free(lookup);
        return;
    }
    lookup->found = found(lookup, status, view_of(bytes, bytes ? (size_t)len : 0));
    lookup->next = dns->ended;
    dns->ended = lookup;
}

/* ---- c-ares on the loop ---- */

static void on_time(void *owner);

static void set_timer(struct dns *dns)
{
    struct timeval wait;
    if (ares_timeout(dns->channel, NULL, &wait))
        watch_after(&dns->timer, dns->loop, (msec_t)wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1, on_time, dns);
    else
        watch_stop(&dns->timer);
}

static void act(struct dns *dns, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(dns->channel, readable, writable);
    tell_all(dns);
    set_timer(dns);
}

static void on_time(void *owner)
{
    act(owner, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_soon(void *owner)
{
    tell_all(owner);
}

static void on_readable(void *owner)
{
    const struct dns_socket *socket = owner;
    act(socket->dns, socket->fd, ARES_SOCKET_BAD);
}

static void on_writable(void *owner)
{
    const struct dns_socket *socket = owner;
    act(socket->dns, ARES_SOCKET_BAD, socket->fd);
}

static void want(struct watch *watch, struct dns_socket *socket, bool wanted)
{
    const bool is_in = watch == &socket->in;
    if (wanted && !watch->loop)
        (is_in ? watch_read : watch_write)(watch, socket->dns->loop, socket->fd, is_in ? on_readable : on_writable, socket);
    else if (!wanted)
        watch_stop(watch);
}

/* socket_of: the one that is watched already, or a free place for another. */
static struct dns_socket *socket_of(struct dns *dns, ares_socket_t fd)
{
    struct dns_socket *free_one = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct dns_socket *socket = &dns->sockets[i];
        const bool is_watched = socket->in.loop || socket->out.loop;
        if (is_watched && socket->fd == fd)
            return socket;
        if (!is_watched)
            free_one = socket;
    }
    return free_one;
}

/* Without a place for it the lookup ends by its timeouts: c-ares has at most two sockets for each server, and we give it few. */
static void set_socket(void *owner, ares_socket_t fd, int readable, int writable)
{
    struct dns_socket *socket = socket_of(owner, fd);
    if (!socket)
        return;
    socket->dns = owner;
    socket->fd = fd;
    want(&socket->in, socket, readable);
    want(&socket->out, socket, writable);
}

/* ---- the client ---- */

static int set_servers(struct dns *dns, const struct addr *servers, size_t count)
{
    struct ares_addr_port_node nodes[SERVERS_MAX] = {0};
    if (count == 0)
        return 0;
    count = count < SERVERS_MAX ? count : SERVERS_MAX;
    for (size_t i = 0; i < count; i++) {
        const bool is_v6 = servers[i].family == ADDR_IPV6;
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
        nodes[i].family = is_v6 ? AF_INET6 : AF_INET;
        memcpy(&nodes[i].addr, servers[i].ip + (is_v6 ? 0 : 12), is_v6 ? 16 : 4);
        nodes[i].udp_port = nodes[i].tcp_port = servers[i].port;
    }
    return ares_set_servers_ports(dns->channel, nodes) == ARES_SUCCESS ? 0 : ERR_MEMORY;
}

struct dns *dns_new(struct loop *loop, const struct addr *servers, size_t server_count)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (!dns)
        return NULL;
    struct ares_options options = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                                   .timeout = TRY_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = set_socket,
                                   .sock_state_cb_data = dns};
    dns->loop = loop;
    crypto_random(&dns->key, sizeof dns->key);
    if (ares_init_options(&dns->channel, &options, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS) {
        free(dns);
        return NULL;
    }
    if (set_servers(dns, servers, server_count) == 0)
        return dns;
    dns_free(dns);
    return NULL;
}

void dns_free(struct dns *dns)
{
    if (!dns)
        return;
    dns->closing = true;
    ares_destroy(dns->channel);
    for (struct dns_lookup *lookup = dns->ended, *next; lookup; lookup = next) {
        next = lookup->next;
        lookup_free(lookup);
    }
    watch_stop(&dns->timer);
    watch_stop(&dns->soon);
    for (size_t i = 0; i < DNS_KEPT; i++)
        free(dns->kept[i]);
    free(dns);
}

/* is_name: what can be put on the wire; ares_query would say so only later. RFC 1035 section 2.3.4. */
static bool is_name(const char *name)
{
    size_t label = 0, len = 0;
    for (; name[len]; len++) {
        if (name[len] == '.' && label == 0)
            return false;
        label = name[len] == '.' ? 0 : label + 1;
        if (label > 63 || name[len] == '\\')
            return false;
    }
    return len > 0 && len <= DNS_NAME_MAX;
}

int dns_start(struct dns *dns, const struct dns_question *question, const struct dns_ending *ending, struct dns_lookup **out)
{
    if (!is_name(question->name))
        return ERR_BAD;
    if (dns->count >= DNS_LOOKUPS_MAX)
        return ERR_BUSY;
    struct dns_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return ERR_MEMORY;
    lookup->dns = dns;
    lookup->ending = *ending;
    lookup->type = question->type;
    read_name(question->name, lookup->name);
    dns->count++;
    *out = lookup;
    ares_query(dns->channel, lookup->name, CLASS_IN, (int)question->type, on_answer, lookup);
    if (dns->ended) /* it could not even be asked */
        watch_after(&dns->soon, dns->loop, 0, on_soon, dns);
    set_timer(dns);
    return 0;
}

void dns_cancel(struct dns_lookup *lookup)
{
    lookup->ending.done = NULL;
}
