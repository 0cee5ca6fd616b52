/* cost.c: two looks at the clocks. */
#include "policy/cost.h"

#include "policy/wait.h"

static struct policy_cost measure(const struct policy *policy)
{
    return (struct policy_cost){.ns = clock_monotonic_ns(), .instructions = policy_instructions(policy)};
}

void cost_begin(struct policy *policy)
{
    if (policy->config->measures)
        policy->began = measure(policy);
}

void cost_end(struct policy *policy)
{
    struct run *run = policy->run;
    if (!policy->config->measures)
        return;
    const struct policy_cost now = measure(policy);
    run->cost.ns += now.ns - policy->began.ns;
    run->cost.instructions += now.instructions - policy->began.instructions;
    run->cost.waited = run->wait != NULL;
    policy->cost = run->cost;
}

const struct policy_cost *policy_cost(const struct policy *policy)
{
    return &policy->cost;
}
