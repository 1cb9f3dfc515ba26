/* engines.c - in tests of engines alone, an engine stands for its transport. */
#include "harness/engines.h"
#include "harness/wrap.h"

WRAP(rp_tls_engine *, rp_tls_filter_engine, const rp_transport *transport)
{
    return (rp_tls_engine *)(uintptr_t)transport;
}
