/* tickets.c: reservations in a fixed array, found by their token; one lock. */
#include "ledger/tickets.h"

#include "base/crypto.h"
#include "base/err.h"
#include "base/table.h"

#include <pthread.h>
#include <stdlib.h>

struct reservation {
    uint64_t token; /* 0: free */
    uint64_t owner;
    msec_t expires;
    struct ticket_port port;
    uint32_t next_free;
};

struct tickets {
    pthread_mutex_t lock; /* guards all below */
    struct ports *ports;
    struct table by_token; /* a token is random, so it is its own hash */
    uint32_t free, count;
    struct reservation reservations[];
};

struct tickets *tickets_new(uint32_t count, struct ports *ports)
{
    struct tickets *tickets = calloc(1, sizeof *tickets + count * sizeof tickets->reservations[0]);
    if (!tickets)
        return NULL;
    pthread_mutex_init(&tickets->lock, NULL);
    table_init(&tickets->by_token);
    tickets->ports = ports;
    tickets->count = count;
    tickets->free = count ? 0 : TABLE_NONE;
    for (uint32_t i = 0; i < count; i++)
        tickets->reservations[i].next_free = i + 1 < count ? i + 1 : TABLE_NONE;
    return tickets;
}

void tickets_free(struct tickets *tickets)
{
    if (!tickets)
        return;
    table_close(&tickets->by_token);
    pthread_mutex_destroy(&tickets->lock);
    free(tickets);
}

static struct reservation *find(struct tickets *tickets, uint64_t token)
{
    struct table_cursor cursor;
    uint32_t at = token ? table_first(&tickets->by_token, token, &cursor) : TABLE_NONE;
    while (at != TABLE_NONE && tickets->reservations[at].token != token)
        at = table_next(&tickets->by_token, &cursor);
    return at == TABLE_NONE ? NULL : &tickets->reservations[at];
}

static uint64_t new_token(struct tickets *tickets)
{
    uint64_t token;
    do
        crypto_random(&token, sizeof token);
    while (token == 0 || find(tickets, token));
    return token;
}

/* forget: the reservation ends; its port is whose the caller says. */
static void forget(struct tickets *tickets, struct reservation *reservation)
{
    const uint32_t at = (uint32_t)(reservation - tickets->reservations);
    table_drop(&tickets->by_token, reservation->token, at);
    *reservation = (struct reservation){.next_free = tickets->free};
    tickets->free = at;
}

static void give_back(struct tickets *tickets, struct reservation *reservation)
{
    ports_give(tickets->ports, reservation->port.address, reservation->port.port);
    forget(tickets, reservation);
}

static int issue_locked(struct tickets *tickets, const struct ticket_port *port, uint64_t owner, msec_t now, uint64_t *token)
{
    const uint32_t at = tickets->free;
    if (at == TABLE_NONE)
        return ERR_BUSY;
    *token = new_token(tickets);
    if (table_put(&tickets->by_token, *token, at))
        return ERR_BUSY;
    struct reservation *reservation = &tickets->reservations[at];
    tickets->free = reservation->next_free;
    *reservation = (struct reservation){.token = *token, .owner = owner, .expires = now + TICKET_LIFETIME_MS, .port = *port};
    return 0;
}

int tickets_issue(struct tickets *tickets, const struct ticket_port *port, uint64_t owner, msec_t now, uint64_t *token)
{
    pthread_mutex_lock(&tickets->lock);
    const int err = issue_locked(tickets, port, owner, now, token);
    pthread_mutex_unlock(&tickets->lock);
    return err;
}

static int claim_locked(struct tickets *tickets, struct reservation *reservation, uint64_t owner, msec_t now, struct ticket_port *out)
{
    if (!reservation || reservation->owner != owner || reservation->expires <= now)
        return ERR_NOT_FOUND;
    *out = reservation->port;
    forget(tickets, reservation);
    return 0;
}

int tickets_claim(struct tickets *tickets, uint64_t token, uint64_t owner, msec_t now, struct ticket_port *out)
{
    pthread_mutex_lock(&tickets->lock);
    const int err = claim_locked(tickets, find(tickets, token), owner, now, out);
    pthread_mutex_unlock(&tickets->lock);
    return err;
}

void tickets_cancel(struct tickets *tickets, uint64_t token)
{
    pthread_mutex_lock(&tickets->lock);
    struct reservation *reservation = find(tickets, token);
    if (reservation)
        give_back(tickets, reservation);
    pthread_mutex_unlock(&tickets->lock);
}

void tickets_sweep(struct tickets *tickets, msec_t now)
{
    pthread_mutex_lock(&tickets->lock);
    for (uint32_t i = 0; i < tickets->count && tickets->by_token.count > 0; i++) {
        struct reservation *reservation = &tickets->reservations[i];
        if (reservation->token && reservation->expires <= now)
            give_back(tickets, reservation);
    }
    pthread_mutex_unlock(&tickets->lock);
}
