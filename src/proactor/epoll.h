/*
 * epoll.h - the backend epoll.
 */
#ifndef RP_PROACTOR_EPOLL_H
#define RP_PROACTOR_EPOLL_H

#include "proactor/backend.h"

extern const rp_backend rp_epoll_backend;

#endif
