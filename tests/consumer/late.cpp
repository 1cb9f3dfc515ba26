/*
 * late.cpp - a C++ library that a C program loads while its tasks run already (late_host.c). Its own suspend in catch.
 */
#include <ringport.h>

static int rethrow(rp_co *co, void *arg)
{
    const int *number = static_cast<int *>(arg);

    try {
        throw *number;
    } catch (int) {
        RP_TRY(rp_sleep(co, 0));
        try {
            throw;
        } catch (int caught) {
            return caught == *number ? 0 : -EINVAL;
        }
    }
}

extern "C" int late(rp_co *co)
{
    int numbers[3] = {1, 2, 3};
    rp_group group;
    int rc = 0;

    rp_group_begin(co, &group);
    for (int &number : numbers)
        if (rc == 0)
            rc = rp_group_create_task(&group, nullptr, rethrow, &number);
    return rp_group_end(co, &group, rc);
}
