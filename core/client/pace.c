/* pace.c: a clock to send by, and a ring of what is on its way. */
#include "client/pace.h"

#include "base/err.h"

#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define RENEW_S 150  /* rounds of renewals begin so often, the first after that time */
#define ROUND_S 100  /* and last so long */

int pace_open(struct pace *pace)
{
    pace->sent_ns = calloc(PACE_REMEMBERED, sizeof *pace->sent_ns);
    return pace->sent_ns ? 0 : ERR_MEMORY;
}

void pace_close(struct pace *pace)
{
    free(pace->sent_ns);
    pace->sent_ns = NULL;
}

/* wanted: how many should have left by now: a burst when it begins, the next when all of this one would have left. */
static uint64_t wanted(const struct pace *pace, uint64_t now_ns)
{
    const uint64_t since = now_ns - pace->start_ns;
    const uint64_t bursts = since / SECOND * pace->rate / pace->burst; /* whole seconds apart, so that nothing overflows */
    const uint64_t left = since / SECOND * pace->rate % pace->burst;
    return (bursts + (left * SECOND + since % SECOND * pace->rate) / (SECOND * pace->burst) + 1) * pace->burst;
}

uint64_t pace_due(const struct pace *pace, uint64_t now_ns)
{
    uint64_t due;
    if (pace_is_over(pace, now_ns))
        return 0;
    if (pace->rate) {
        const uint64_t all = wanted(pace, now_ns);
        due = all > pace->sent ? all - pace->sent : 0;
    } else {
        due = pace->window > pace->on_their_way ? (pace->window - pace->on_their_way) / pace->burst * pace->burst : 0;
    }
    return pace->packets && due > pace->packets - pace->sent ? pace->packets - pace->sent : due;
}

bool pace_is_over(const struct pace *pace, uint64_t now_ns)
{
    return (pace->packets && pace->sent >= pace->packets) || (pace->end_ns && now_ns >= pace->end_ns);
}

uint64_t pace_sleep_ns(const struct pace *pace, uint64_t now_ns)
{
    const double at = (double)pace->sent * (double)SECOND / pace->rate, since = (double)(now_ns - pace->start_ns);
    return at > since ? (uint64_t)(at - since) : 0;
}

/* forget: the oldest is not waited for. */
static void forget(struct pace *pace)
{
    pace->on_their_way -= pace->sent_ns[pace->oldest % PACE_REMEMBERED] != 0;
    pace->oldest++;
}

uint32_t pace_sent(struct pace *pace, uint64_t now_ns)
{
    if (pace->sent - pace->oldest == PACE_REMEMBERED)
        forget(pace);
    pace->sent_ns[pace->sent % PACE_REMEMBERED] = now_ns;
    pace->on_their_way++;
    return (uint32_t)pace->sent++;
}

bool pace_came(struct pace *pace, uint32_t number, uint64_t sent_ns)
{
    const uint64_t before = (uint32_t)((uint32_t)pace->sent - number);
    if (before == 0 || before > pace->sent || before > PACE_REMEMBERED || !sent_ns)
        return false;
    const uint64_t whole = pace->sent - before;
    uint64_t *at = &pace->sent_ns[whole % PACE_REMEMBERED];
    if (*at != sent_ns)
        return false;
    *at = 0;
    pace->came++;
    pace->on_their_way -= whole >= pace->oldest;
    while (pace->oldest < pace->sent && !pace->sent_ns[pace->oldest % PACE_REMEMBERED])
        pace->oldest++;
    return true;
}

void pace_give_up(struct pace *pace, uint64_t before_ns)
{
    while (pace->oldest < pace->sent && pace->sent_ns[pace->oldest % PACE_REMEMBERED] < before_ns)
        forget(pace);
}

uint64_t pace_renewals(uint64_t since_ns, uint32_t count)
{
    const uint64_t rounds = since_ns / SECOND / RENEW_S;
    if (rounds == 0)
        return 0;
    const double in_round = (double)(since_ns - rounds * RENEW_S * SECOND) / (ROUND_S * (double)SECOND);
    return (rounds - 1) * count + (uint64_t)((in_round < 1 ? in_round : 1) * count);
}
