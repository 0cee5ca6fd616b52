/* world.h: the world around an engine in a test: a host that keeps books, a virtual clock, clients and peers.
 *
 *     struct world w;
 *     world_start(&w, NULL);
 *     struct client c = client_at(&w, "198.18.0.1:5000", "ann");
 *     CHECK_INT(client_allocate(&c), 0);
 *     world_end(&w);                          checks that nothing is left: units, ports, sockets
 *
 * Every answer is checked as a client would check it: a whole message, the transaction's id and method, MESSAGE-INTEGRITY where the
 * request was authentic, zero padding. A client's calls return 0, the error code of the answer, or NO_ANSWER.
 */
#ifndef RELAY_TESTS_WORLD_H
#define RELAY_TESTS_WORLD_H

#include "test.h"
#include "turn/engine.h"
#include "turn/tcp_relay.h"
#include "wire/attr.h"
#include "wire/build.h"
#include "wire/channel.h"
#include "wire/integrity.h"

#define NO_ANSWER (-1)
#define START_MS 1000000
#define START_UNIX_MS INT64_C(1800000000000)
#define REALM "example.org"
#define PEER "9.9.9.1:7000" /* somewhere on the Internet */
#define PEER_IP "9.9.9.1"
#define PEER_V6 "[2a00:1::1]:7000"
#define RELAY_V4 "10.0.0.5" /* as bound */
#define SHOWN_V4 "20.0.0.5" /* as told: external-ip */
#define RELAY_V6 "2a00:5::5"
#define SERVER_V4 "20.0.0.5:3478"
#define SERVER_V6 "[2a00:5::5]:3478"
#define FIRST_PORT 50000
#define LAST_PORT 50999
#define SOCKETS_MAX 4096
#define FIRST_WORKER 3 /* world_second is the next */
#define CONNS_MAX 512

struct world;
typedef void world_hook_fn(struct world *, const struct question *, struct verdict *);

struct told { /* the last event of a type */
    unsigned count;
    int code;
    uint64_t decision;
    char reason[REASON_MAX], by[REASON_MAX], tenant[160], user[160], realm[160];
    struct usage delta;
    struct addr peer;
};

struct world {
    struct engine_config config;
    struct relay_address relays[3];
    struct addr listeners[3];
    struct cidr_set allowed, denied;
    struct engine_shared shared;
    struct host host;
    struct engine *engine;
    struct engine *second; /* another worker's, after world_second; NULL before */
    struct crypto *crypto;
    msec_t now;

    struct world_socket {
        bool is_open, is_listener;
        struct addr local;
        struct handle owner;
    } sockets[SOCKETS_MAX];
    int open_sockets, most_sockets;
    int held; /* 5-tuples that have an allocation, as the host was told */

    struct world_conn { /* a connection with a peer of a TCP allocation */
        bool is_open;
        int sock; /* the listener that it goes out from; -1: it came in */
        struct addr to;
        struct handle peer;
        uint64_t link; /* of the client's data connection, 0: none */
    } conns[CONNS_MAX];
    int open_conns, last_conn;
    int connect_error;  /* what connecting answers at once, 0: nothing */
    bool no_data_connection;

    uint16_t foreign_first, foreign_last; /* ports that another program holds */
    bool no_descriptors;

    world_hook_fn *on[HOOK_COUNT];
    unsigned asked[HOOK_COUNT];
    struct verdict verdict; /* what world_says answers */
    struct ticket ticket;   /* of the last question that may wait */
    int forgotten;
    struct told told[EVENT_POLICY_ERROR + 1];
};

/* world_start: `change` edits the configuration before the engine is made, or is NULL. world_end: checks the books, then frees everything.
 */
void world_start(struct world *, void (*change)(struct engine_config *, struct world *));
void world_end(struct world *);
void world_second(struct world *);          /* a second worker: it shares what workers share */
void world_pass(struct world *, msec_t ms); /* time goes by, with the sweeps that belong to it */
void world_skip(struct world *, msec_t ms); /* time goes by, nothing is swept */

/* world_answer: `fn` answers a hook; NULL: nobody does.  world_says: answers w->verdict.  world_key: the right key for ann, bob and cleo.
 */
void world_answer(struct world *, enum hook, world_hook_fn *fn);
void world_says(struct world *, const struct question *, struct verdict *);
void world_key(struct world *, const struct question *, struct verdict *);
void world_later(struct world *, const struct question *, struct verdict *);

struct verdict verdict_key(struct world *, const char *user, const char *password);
struct verdict verdict_deny(int code, const char *reason);

/* the host's: a socket of a relayed address; world_tcp.c has those of TCP allocations */
int world_socket(struct world *, const struct world_socket *wanted, int *sock);
void world_close(void *ctx, int sock);
extern const struct tcp_host world_tcp;

/* the invariant: units taken = live allocations; and every one has its socket */
void world_check_books(struct world *);
struct addr addr_of(const char *text);
uint32_t world_free_ports(const struct world *);

struct client {
    struct world *world;
    struct engine *engine; /* of the worker that gets what it sends; a request that belongs to the other one is sent on, as workers do */
    struct flow flow;
    char username[1024], password[64], realm[160], nonce[64];
    bool fingerprint;
    uint8_t tid[STUN_TID_LEN];

    uint8_t request[4096], answer[4096];
    size_t request_len, answer_len;
    struct build build;
    struct message reply; /* of `answer` */
    bool was_signed;

    struct addr relayed; /* of the last Allocate that succeeded */
    uint32_t lifetime_s;
    uint64_t token;
    char ticket[64]; /* MOBILITY-TICKET of the last answer that had one */
    uint32_t connection_id;
    struct addr mapped;
};

/* world_connected: what becomes of the last connection that was wanted; the answer to Connect. world_accept: a peer connects to the client's relayed
 * address: what the engine wants sent, and the connection's number or -1 if it was refused. */
struct send world_connected(struct world *, bool is_there);
struct send world_accept(struct world *, const struct flow *, const char *from, int *conn);

/* client_at: nobody's challenge is known yet; the password is right: "secret of " and the name. */
struct client client_at(struct world *, const char *address, const char *user);
struct client client_over(struct world *, enum transport, const char *address, const char *server, const char *user);

/* client_begin: a new request; attributes go to c->build. client_send: signs it if a nonce is known, sends it; client_call: also follows
 * one challenge (401, 438). client_resend: the same bytes again. client_send_bytes: any bytes. */
void client_begin(struct client *, uint16_t method);
int client_send(struct client *);
int client_call(struct client *);
int client_resend(struct client *);
int client_send_bytes(struct client *, const void *bytes, size_t len);
int client_take(struct client *, struct send); /* an answer that came by another way */

void client_wish_udp(struct client *);                           /* REQUESTED-TRANSPORT */
void client_peer(struct client *, const char *);                 /* XOR-PEER-ADDRESS */
void client_byte(struct client *, uint16_t type, uint8_t first); /* an attribute of four bytes */

int client_challenge(struct client *); /* learn realm and nonce: 401 */
int client_allocate(struct client *);
int client_allocate_even(struct client *, bool reserve);
int client_allocate_token(struct client *, uint64_t token);
int client_refresh(struct client *, uint32_t lifetime_s);
int client_permit(struct client *, const char *peer);
int client_bind(struct client *, uint16_t number, const char *peer);

/* packet_of: bytes of a test, which the engine may write upon where a packet to another client lies.  client_reaches: what `to` gets of what `from`
 * says: from socket to socket, and then inside, which must come to the same, the counts too.  client_takes_over: what it gets of
 * SEND_TO_HOLDER that another worker's engine wants sent. */
struct packet packet_of(struct view bytes);
struct said {
    const char *peer; /* an address of `to`; NULL: by the channel */
    uint16_t channel;
    size_t len;
};
struct send client_reaches(struct client *from, const struct client *to, struct said);
struct send client_takes_over(const struct client *to, const struct send *);

/* TCP allocations. client_data: another connection of the same client, from another port, that knows the same nonce. */
struct client client_over_tcp(struct world *); /* ann */
struct client world_with_tcp(struct world *);  /* a new world in which ann has a TCP allocation */
int client_allocate_tcp(struct client *);
int client_connect(struct client *, const char *peer); /* NO_ANSWER while it is being connected */
int client_bind_connection(struct client *, uint32_t id);
struct client client_data(const struct client *, uint16_t port);

/* data: what the engine wants sent; `len` bytes of a payload of `len` times 'x' */
struct send client_says_to(struct client *, const char *peer, size_t len);
struct send client_says_on(struct client *, uint16_t channel, size_t len);
struct send peer_says(struct client *, const char *peer, size_t len); /* to the client's relayed address */

#endif
