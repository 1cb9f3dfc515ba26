/*
 * link_windows.h - reparse points: which of them are links, what these lead to, and making one.
 */
#ifndef RP_PROACTOR_LINK_WINDOWS_H
#define RP_PROACTOR_LINK_WINDOWS_H

#include "proactor/path_windows.h"

#ifndef IO_REPARSE_TAG_LX_SYMLINK /* a link of Linux under Windows, which Windows itself does not follow */
#define IO_REPARSE_TAG_LX_SYMLINK 0xA000001D
#endif

/* What an open file is a reparse point of; 0 if it is none. */
DWORD rp_reparse_tag(HANDLE file);

/* Whether that is a link. Junctions are, too: whoever may make a directory can make one. */
bool rp_is_link(DWORD tag);

/* Opens the reparse point itself, where Windows finds nobody to follow it. A link is followed, or it is an error. */
NTSTATUS rp_path_open_unfollowed(const rp_path *path, HANDLE *file);

/*
 * What an open link leads to, in UTF-8: how many bytes of it there was room for. -EINVAL: it is no link.
 */
int64_t rp_link_read(HANDLE link, char *target, size_t size);

/*
 * Makes a link, for which Windows wants a privilege or its developer mode: else -EPERM. It is one to a directory if
 * there is such a directory now.
 */
int rp_link_make(const char *target, rp_fd directory, const char *path);

#endif
