/*
 * context.c - task locals. Mirrors contextvars.
 *
 * The bindings of a task are one array, shared by reference with the tasks it creates and copied before the first
 * change to a shared one. Tasks of different loops may share it: the count is atomic, what is shared is never changed.
 * A program has few such variables, so that looking through the array is quicker than any map.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "co/task.h"

typedef struct binding {
    const rp_contextvar *var;
    void *value;
} binding;

struct rp_bindings {
    atomic_uint refs;
    unsigned count;
    unsigned capacity;
    binding list[];
};

enum { CAPACITY = 4 };

/* What a function that runs on a thread on behalf of a task sees. */
static _Thread_local rp_bindings *lent;

static rp_bindings *current(void)
{
    return rp_co_running ? rp_co_running->bindings : lent;
}

void rp_bindings_lend(rp_bindings *bindings)
{
    lent = bindings;
}

rp_bindings *rp_bindings_inherit(void)
{
    rp_bindings *bindings = current();

    if (bindings)
        atomic_fetch_add_explicit(&bindings->refs, 1, memory_order_relaxed);
    return bindings;
}

void rp_bindings_unref(rp_bindings *bindings)
{
    if (bindings && atomic_fetch_sub_explicit(&bindings->refs, 1, memory_order_acq_rel) == 1)
        rp_free(bindings);
}

static binding *find(rp_bindings *bindings, const rp_contextvar *var)
{
    for (unsigned i = 0; bindings && i < bindings->count; i++)
        if (bindings->list[i].var == var)
            return &bindings->list[i];
    return NULL;
}

void *rp_contextvar_get(const rp_contextvar *var)
{
    const binding *found = find(current(), var);

    return found ? found->value : var->default_value;
}

/* Makes the running task's bindings its own, with room for one more. */
static rp_bindings *make_private(rp_co *co)
{
    rp_bindings *old = co->bindings, *copy;
    unsigned count = old ? old->count : 0, capacity = old ? old->capacity : CAPACITY;

    if (old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1 && count < capacity)
        return old;
    if (count == capacity)
        capacity *= 2;
    copy = rp_malloc(sizeof *copy + capacity * sizeof copy->list[0]);
    if (!copy)
        return NULL;
    atomic_init(&copy->refs, 1);
    copy->count = count;
    copy->capacity = capacity;
    if (old)
        memcpy(copy->list, old->list, count * sizeof copy->list[0]);
    rp_bindings_unref(old);
    co->bindings = copy;
    return copy;
}

int rp_contextvar_set(rp_contextvar *var, void *value, rp_contextvar_token *token)
{
    rp_bindings *bindings;
    binding *found;

    if (!rp_co_running)
        return RP_ENOLOOP;
    bindings = make_private(rp_co_running);
    if (!bindings)
        return -ENOMEM;
    found = find(bindings, var);
    if (token)
        *token = (rp_contextvar_token){.var = var, .old_value = found ? found->value : NULL, .was_set = found};
    if (!found)
        found = &bindings->list[bindings->count++];
    *found = (binding){.var = var, .value = value};
    return 0;
}

int rp_contextvar_reset(const rp_contextvar_token *token)
{
    rp_bindings *bindings;
    binding *found;

    if (token->was_set)
        return rp_contextvar_set(token->var, token->old_value, NULL);
    if (!rp_co_running)
        return RP_ENOLOOP;
    if (!find(rp_co_running->bindings, token->var))
        return 0;
    bindings = make_private(rp_co_running);
    if (!bindings)
        return -ENOMEM;
    found = find(bindings, token->var);
    *found = bindings->list[--bindings->count];
    return 0;
}
