/*
 * macros.cpp - every macro of the public headers that takes arguments, in C++. `make check` compiles it with all
 * warnings, and sees to it that none is missing here.
 */
#include <cstdio>
#include <string>

#include <ringport.h>

namespace
{

static_assert(RP_NSEC(5) == 5 && RP_USEC(5) == 5000 && RP_MSEC(5) == 5000000, "units");
static_assert(RP_SEC(0.5) == 500000000 && RP_SEC(-1) == -1000000000 && RP_MSEC(1.5F) == 1500000, "units");

template <typename number> int64_t all_units(number n)
{
    return RP_NSEC(n) + RP_USEC(n) + RP_MSEC(n) + RP_SEC(n);
}

int64_t of_any_type(int a, unsigned b, long c, unsigned long d, long long e, unsigned long long f, double g)
{
    return RP_SEC(a) + RP_SEC(b) + RP_SEC(c) + RP_SEC(d) + RP_SEC(e) + RP_SEC(f) + RP_SEC(g) + all_units(a) +
           all_units(b) + all_units(c) + all_units(d) + all_units(e) + all_units(f) + all_units(g);
}

int errors(rp_co *co, int a, long b, int64_t c)
{
    RP_TRY(a);
    RP_TRY(b);
    RP_TRY(c);
    RP_TRY(rp_sleep(co, RP_NEVER));
    return 0;
}

RP_PRINTF(1, 2) int print(const char *format, ...)
{
    return std::puts(format);
}

#define COUNT(name, value, text) +1
const int count = RP_OWN_ERRORS(COUNT);

} // namespace

/* What is not called would be warned of. */
int64_t use_all(rp_co *co);
int64_t use_all(rp_co *co)
{
    return of_any_type(1, 2, 3, 4, 5, 6, 7) + errors(co, 1, 2, 3) + print("%d", 1) + count;
}
