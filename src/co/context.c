/*
 * context.c - rp_contextvar: task locals, as the running task sees them.
 */
#include "co/bindings.h"
#include "co/task.h"

void *rp_contextvar_get(const rp_contextvar *var)
{
    void *const *value = rp_bindings_find(rp_co_bindings(), var);

    return value ? *value : var->default_value;
}

int rp_contextvar_set(rp_contextvar *var, void *value, rp_contextvar_token *token)
{
    rp_contextvar_token before = {.var = var};
    void *const *found;

    if (!rp_co_running)
        return RP_ENOLOOP;
    found = rp_bindings_find(rp_co_running->bindings, var);
    if (found)
        before = (rp_contextvar_token){.var = var, .old_value = *found, .was_set = true};
    RP_TRY(rp_bindings_set(&rp_co_running->bindings, var, value));
    if (token)
        *token = before;
    return 0;
}

int rp_contextvar_reset(const rp_contextvar_token *token)
{
    if (token->was_set)
        return rp_contextvar_set(token->var, token->old_value, NULL);
    if (!rp_co_running)
        return RP_ENOLOOP;
    return rp_bindings_unset(&rp_co_running->bindings, token->var);
}
