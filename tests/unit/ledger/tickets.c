/* tickets.c: a reservation is claimed once, by its owner, in time; otherwise its port goes back. */
#include "ledger/tickets.h"
#include "base/err.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

struct desk {
    struct ports *ports;
    struct tickets *tickets;
};

static struct desk open_desk(uint32_t count)
{
    struct desk desk = {.ports = ports_new(1, 50000, 50999)};
    desk.tickets = tickets_new(count, desk.ports);
    CHECK(desk.ports && desk.tickets);
    return desk;
}

static void close_desk(struct desk *desk)
{
    tickets_free(desk->tickets);
    ports_free(desk->ports);
}

/* An even port, whose odd sibling is what the ticket stands for. */
static struct ticket_port take_pair(struct ports *ports)
{
    uint16_t port;
    CHECK_INT(ports_take(ports, 0, PORTS_PAIR, 0, &port), 0);
    return (struct ticket_port){.port = (uint16_t)(port + 1), .family = ADDR_IPV4};
}

TEST(a_ticket_is_claimed_once)
{
    struct desk desk = open_desk(4);
    const struct ticket_port port = take_pair(desk.ports);
    struct ticket_port got;
    uint64_t token;
    CHECK_INT(tickets_issue(desk.tickets, &port, 11, 1000, &token), 0);
    CHECK(token != 0);
    CHECK_INT(tickets_claim(desk.tickets, token, 11, 1001, &got), 0);
    CHECK_INT(got.port, port.port);
    CHECK_INT(got.family, ADDR_IPV4);
    CHECK_INT(tickets_claim(desk.tickets, token, 11, 1002, &got), ERR_NOT_FOUND);
    CHECK(ports_is_taken(desk.ports, 0, port.port)); /* the claimer's now */
    tickets_cancel(desk.tickets, token);
    tickets_sweep(desk.tickets, 1000000);
    CHECK(ports_is_taken(desk.ports, 0, port.port));
    close_desk(&desk);
}

TEST(a_foreign_or_unknown_token_is_not_found_and_changes_nothing)
{
    struct desk desk = open_desk(4);
    const struct ticket_port port = take_pair(desk.ports);
    struct ticket_port got;
    uint64_t token;
    CHECK_INT(tickets_claim(desk.tickets, 0, 11, 0, &got), ERR_NOT_FOUND);
    CHECK_INT(tickets_issue(desk.tickets, &port, 11, 0, &token), 0);
    CHECK_INT(tickets_claim(desk.tickets, token, 12, 1, &got), ERR_NOT_FOUND);
    CHECK_INT(tickets_claim(desk.tickets, token + 1, 11, 1, &got), ERR_NOT_FOUND);
    CHECK_INT(tickets_claim(desk.tickets, 0, 0, 1, &got), ERR_NOT_FOUND);
    CHECK_INT(tickets_claim(desk.tickets, token, 11, 1, &got), 0);
    close_desk(&desk);
}

TEST(an_expired_ticket_is_not_found_and_the_sweep_gives_its_port_back)
{
    struct desk desk = open_desk(4);
    const struct ticket_port early = take_pair(desk.ports), late = take_pair(desk.ports);
    struct ticket_port got;
    uint64_t a, b;
    CHECK_INT(tickets_issue(desk.tickets, &early, 1, 0, &a), 0);
    CHECK_INT(tickets_issue(desk.tickets, &late, 1, 10, &b), 0);
    tickets_sweep(desk.tickets, TICKET_LIFETIME_MS - 1);
    CHECK(ports_is_taken(desk.ports, 0, early.port));
    CHECK_INT(tickets_claim(desk.tickets, a, 1, TICKET_LIFETIME_MS, &got), ERR_NOT_FOUND);
    tickets_sweep(desk.tickets, TICKET_LIFETIME_MS);
    CHECK(!ports_is_taken(desk.ports, 0, early.port));
    CHECK(ports_is_taken(desk.ports, 0, late.port));
    CHECK_INT(tickets_claim(desk.tickets, b, 1, TICKET_LIFETIME_MS, &got), 0);
    close_desk(&desk);
}

TEST(a_cancelled_ticket_gives_its_port_back_once)
{
    struct desk desk = open_desk(4);
    const struct ticket_port port = take_pair(desk.ports);
    struct ticket_port got;
    uint64_t token;
    uint16_t again;
    CHECK_INT(tickets_issue(desk.tickets, &port, 1, 0, &token), 0);
    tickets_cancel(desk.tickets, token);
    CHECK(!ports_is_taken(desk.ports, 0, port.port));
    CHECK_INT(ports_take(desk.ports, 0, PORTS_ANY, 1, &again), 0); /* another's now */
    tickets_cancel(desk.tickets, token);
    tickets_cancel(desk.tickets, 0);
    CHECK(ports_is_taken(desk.ports, 0, again));
    CHECK_INT(tickets_claim(desk.tickets, token, 1, 1, &got), ERR_NOT_FOUND);
    close_desk(&desk);
}

TEST(a_full_table_is_busy_and_the_port_stays_the_callers)
{
    struct desk desk = open_desk(3);
    struct ticket_port port, got;
    uint64_t token[3], more;
    for (int i = 0; i < 3; i++) {
        port = take_pair(desk.ports);
        CHECK_INT(tickets_issue(desk.tickets, &port, 5, 0, &token[i]), 0);
    }
    port = take_pair(desk.ports);
    CHECK_INT(tickets_issue(desk.tickets, &port, 5, 0, &more), ERR_BUSY);
    CHECK(ports_is_taken(desk.ports, 0, port.port));
    CHECK_INT(tickets_claim(desk.tickets, token[1], 5, 1, &got), 0);
    CHECK_INT(tickets_issue(desk.tickets, &port, 5, 1, &more), 0);
    CHECK_INT(tickets_claim(desk.tickets, more, 5, 1, &got), 0);
    CHECK_INT(got.port, port.port);
    close_desk(&desk);
}

TEST(without_memory_nothing_is_reserved)
{
    struct desk desk = open_desk(2);
    const struct ticket_port port = take_pair(desk.ports);
    uint64_t token;
    test_fail_malloc_after(0);
    struct tickets *none = tickets_new(2, desk.ports);
    const int err = tickets_issue(desk.tickets, &port, 1, 0, &token);
    test_fail_malloc_after(-1);
    CHECK(!none);
    CHECK_INT(err, ERR_BUSY);
    CHECK_INT(tickets_issue(desk.tickets, &port, 1, 0, &token), 0);
    close_desk(&desk);
}

#define THREADS 6
#define ROUNDS 3000

struct hammer {
    struct desk desk;
    _Atomic uint64_t tokens[8]; /* where threads leave tokens for each other */
    atomic_uint seeds, claimed;
};

/* Each token left behind is claimed, or cancelled, or both are tried, by whoever finds it; several may find it. */
static void use_token(struct hammer *hammer, uint64_t token, bool cancel)
{
    struct ticket_port got;
    if (cancel) {
        tickets_cancel(hammer->desk.tickets, token);
    } else if (tickets_claim(hammer->desk.tickets, token, 9, 1, &got) == 0) {
        atomic_fetch_add(&hammer->claimed, 1);
        ports_give(hammer->desk.ports, got.address, got.port);
    }
}

static void *hammer_run(void *arg)
{
    struct hammer *hammer = arg;
    uint32_t state = atomic_fetch_add(&hammer->seeds, 1) * 7919 + 1;
    for (int i = 0; i < ROUNDS; i++) {
        struct ticket_port port = {.family = ADDR_IPV4};
        uint64_t token;
        state = state * 1664525u + 1013904223u;
        use_token(hammer, atomic_load(&hammer->tokens[state >> 8 & 7]), state >> 16 & 1);
        if (ports_take(hammer->desk.ports, 0, PORTS_ANY, state, &port.port))
            continue;
        if (tickets_issue(hammer->desk.tickets, &port, 9, 0, &token))
            ports_give(hammer->desk.ports, 0, port.port);
        else
            atomic_store(&hammer->tokens[state >> 12 & 7], token);
    }
    return NULL;
}

TEST(threads_that_race_for_tickets_return_every_port_once)
{
    struct hammer hammer = {.desk = open_desk(64)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, hammer_run, &hammer), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&hammer.claimed) > 0);
    tickets_sweep(hammer.desk.tickets, TICKET_LIFETIME_MS);
    CHECK_INT(ports_free_count(hammer.desk.ports, 0), 1000);
    close_desk(&hammer.desk);
}

TEST_LIST(RUN(a_ticket_is_claimed_once) RUN(a_foreign_or_unknown_token_is_not_found_and_changes_nothing)
              RUN(an_expired_ticket_is_not_found_and_the_sweep_gives_its_port_back) RUN(a_cancelled_ticket_gives_its_port_back_once)
                  RUN(a_full_table_is_busy_and_the_port_stays_the_callers) RUN(without_memory_nothing_is_reserved)
                      RUN(threads_that_race_for_tickets_return_every_port_once))
