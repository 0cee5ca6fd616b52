/* probe_state.h: what the files of the probe share; for them alone. */
#ifndef RELAY_CLIENT_PROBE_STATE_H
#define RELAY_CLIENT_PROBE_STATE_H

#include "client/probe.h"

/* probe_traffic.c: false: a connection broke. Both have bound TALK_CHANNEL to each other. */
bool traffic_game(struct talk *player, struct talk *mate, unsigned seconds, struct probe_game *out);
bool traffic_bulk(struct talk *player, struct talk *mate, unsigned seconds, double *mbit_s);

/* probe_words.c: what an error response to a request means, and what to do about it. */
void words_of_refusal(const struct probe_config *, const struct talk *, uint16_t method, struct probe_step *);

/* words_of_code: the same for who has but the code: false: nothing is known of it. */
bool words_of_code(int code, uint16_t method, const char **what, const char **advice);

#endif
