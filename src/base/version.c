/*
 * version.c - the version of the library.
 */
#include "ringport/base.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *rp_version(void)
{
    return TEXT(RP_VERSION_MAJOR) "." TEXT(RP_VERSION_MINOR) "." TEXT(RP_VERSION_PATCH);
}
