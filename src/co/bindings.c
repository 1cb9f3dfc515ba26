/*
 * bindings.c - an array of variables and their values, with a count of references.
 */
#include "co/bindings.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"

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

rp_bindings *rp_bindings_ref(rp_bindings *bindings)
{
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

void **rp_bindings_find(rp_bindings *bindings, const rp_contextvar *var)
{
    binding *found = find(bindings, var);

    return found ? &found->value : NULL;
}

/* Makes the bindings the caller's own, with room for one more. -ENOMEM. */
static int make_private(rp_bindings **bindings)
{
    rp_bindings *old = *bindings, *copy;
    unsigned count = old ? old->count : 0, capacity = old ? old->capacity : CAPACITY;

    if (old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1 && count < capacity)
        return 0;
    if (count == capacity)
        capacity *= 2;
    copy = rp_malloc(sizeof *copy + capacity * sizeof copy->list[0]);
    if (!copy)
        return -ENOMEM;
    atomic_init(&copy->refs, 1);
    copy->count = count;
    copy->capacity = capacity;
    if (old)
        memcpy(copy->list, old->list, count * sizeof copy->list[0]);
    rp_bindings_unref(old);
    *bindings = copy;
    return 0;
}

int rp_bindings_set(rp_bindings **bindings, const rp_contextvar *var, void *value)
{
    binding *found;

    if (make_private(bindings) < 0)
        return -ENOMEM;
    found = find(*bindings, var);
    if (!found)
        found = &(*bindings)->list[(*bindings)->count++];
    *found = (binding){.var = var, .value = value};
    return 0;
}

int rp_bindings_unset(rp_bindings **bindings, const rp_contextvar *var)
{
    binding *found;

    if (!find(*bindings, var))
        return 0;
    if (make_private(bindings) < 0)
        return -ENOMEM;
    found = find(*bindings, var);
    *found = (*bindings)->list[--(*bindings)->count];
    return 0;
}

void rp_bindings_lend(rp_bindings *bindings)
{
    lent = bindings;
}

rp_bindings *rp_bindings_lent(void)
{
    return lent;
}
