/*
 * filter.c - a filter is a transport that stands on another one, and speaks TLS over it by an engine.
 */
#include "tls/filter.h"

int rp_tls_filter_new(rp_transport *below, rp_tls_factory *factory, const rp_tls_filter_options *options,
                      rp_tls_filter_done *done, void *arg, rp_transport **filter)
{
    return -ENOSYS;
}

rp_tls_engine *rp_tls_filter_engine(const rp_transport *transport)
{
    return NULL;
}

bool rp_tls_filter_truncated(const rp_transport *filter)
{
    return false;
}
