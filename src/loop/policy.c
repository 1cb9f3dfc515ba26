/*
 * policy.c - the policy: how a program makes loops, and keeps one for each thread.
 */
#include "base/thread.h"
#include "ringport/loop.h"

static _Thread_local rp_loop *thread_loop;
static rp_mutex lock = RP_MUTEX_INIT;
static rp_event_loop_policy *installed; /* under the lock; NULL until first use */

__attribute__((constructor)) static void guard_lock(void)
{
    rp_mutex_hold_in_forks(&lock);
}

static int default_new_event_loop(rp_event_loop_policy *policy, rp_loop **loop)
{
    (void)policy;
    return rp_loop_new(NULL, loop);
}

static int default_get_event_loop(rp_event_loop_policy *policy, rp_loop **loop)
{
    (void)policy;
    *loop = thread_loop;
    return thread_loop ? 0 : RP_ENOLOOP;
}

static int default_set_event_loop(rp_event_loop_policy *policy, rp_loop *loop)
{
    (void)policy;
    thread_loop = loop;
    return 0;
}

static rp_event_loop_policy default_policy = {
    .new_event_loop = default_new_event_loop,
    .get_event_loop = default_get_event_loop,
    .set_event_loop = default_set_event_loop,
};

rp_event_loop_policy *rp_get_event_loop_policy(void)
{
    rp_event_loop_policy *policy;

    rp_mutex_lock(&lock);
    if (!installed)
        installed = &default_policy;
    policy = installed;
    rp_mutex_unlock(&lock);
    return policy;
}

void rp_set_event_loop_policy(rp_event_loop_policy *policy)
{
    rp_mutex_lock(&lock);
    installed = policy;
    rp_mutex_unlock(&lock);
}

int rp_new_event_loop(rp_loop **loop)
{
    rp_event_loop_policy *policy = rp_get_event_loop_policy();

    return policy->new_event_loop(policy, loop);
}

int rp_set_event_loop(rp_loop *loop)
{
    rp_event_loop_policy *policy = rp_get_event_loop_policy();

    return policy->set_event_loop(policy, loop);
}

int rp_get_event_loop(rp_loop **loop)
{
    rp_event_loop_policy *policy = rp_get_event_loop_policy();

    *loop = rp_get_running_loop();
    return *loop ? 0 : policy->get_event_loop(policy, loop);
}
