/* chain.c: doubly linked lists of a pool's items. */
#include "turn/chain.h"

static struct links *chain_links(struct chain_of of, uint32_t index)
{
    return (struct links *)(void *)((char *)pool_index(of.pool, index) + of.links);
}

void chain_init(struct chain *chain)
{
    chain->first = chain->last = POOL_NONE;
}

void chain_append(struct chain_of of, struct chain *chain, uint32_t index)
{
    struct links *links = chain_links(of, index);
    links->next = POOL_NONE;
    links->prev = chain->last;
    if (chain->last == POOL_NONE)
        chain->first = index;
    else
        chain_links(of, chain->last)->next = index;
    chain->last = index;
}

void chain_remove(struct chain_of of, struct chain *chain, uint32_t index)
{
    const struct links *links = chain_links(of, index);
    if (links->prev == POOL_NONE)
        chain->first = links->next;
    else
        chain_links(of, links->prev)->next = links->next;
    if (links->next == POOL_NONE)
        chain->last = links->prev;
    else
        chain_links(of, links->next)->prev = links->prev;
}

uint32_t chain_next(struct chain_of of, uint32_t index)
{
    return chain_links(of, index)->next;
}
