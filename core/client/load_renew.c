/* load_renew.c: a client that is renewed asks for its permission or channel once more, and then for its allocation. */
#include "client/load_state.h"

static void on_answer(struct load *load, struct client *client, int code, const struct message *message)
{
    if (code != 0)
        load_fail_answer(load, client, code, message);
    else if (client->method != METHOD_REFRESH)
        client_ask(load, client, METHOD_REFRESH);
}

void renew_begin(struct load *load)
{
    load->answered = on_answer;
}

void renew_turn(struct load *load, uint64_t now)
{
    const uint32_t count = load->config->clients;
    for (const uint64_t due = pace_renewals(now - load->set_up_ns, count); load->renewed < due && !load->is_over; load->renewed++) {
        struct client *client = &load->clients[load->renewed % count];
        if (!client->is_asking)
            client_ask(load, client, load_permitting(load));
    }
}
