/* tally.c: counts of answers, and of times by powers of two. */
#include "policy/tally.h"

#define FIRST_NS 1000

void tally_hooks(struct policy *policy)
{
    for (size_t i = 0; policy->tallies && i < policy->script_count; i++)
        for (size_t hook = 0; hook < HOOK_COUNT; hook++)
            policy->tallies[i][hook].is_there = policy->scripts[i].hooks[hook] != LUA_NOREF;
}

void tally_begin(struct policy *policy)
{
    struct run *run = policy->run;
    if (!policy->tallies)
        return;
    run->began_ns = run->resumed_ns = clock_monotonic_ns();
    run->busy_ns = 0;
}

void tally_pause(struct policy *policy)
{
    struct run *run = policy->run;
    if (!policy->tallies)
        return;
    const int64_t now = clock_monotonic_ns();
    run->busy_ns += now - run->resumed_ns;
    run->resumed_ns = now;
}

void tally_resume(struct policy *policy)
{
    if (policy->tallies)
        policy->run->resumed_ns = clock_monotonic_ns();
}

static void count(struct policy_times *times, int64_t ns)
{
    size_t place = 0;
    while (place < POLICY_TIMES - 1 && ns > (int64_t)FIRST_NS << place)
        place++;
    times->counts[place]++;
    times->ns += (uint64_t)ns;
}

void tally_end(struct policy *policy, enum verdict_kind kind)
{
    const struct run *run = policy->run;
    if (!policy->tallies || run->timer)
        return;
    struct policy_tally *tally = &policy->tallies[run->at][run->hook];
    const int64_t now = clock_monotonic_ns();
    tally->answers[kind]++;
    count(&tally->busy, run->busy_ns + (now - run->resumed_ns));
    count(&tally->all, now - run->began_ns);
}
