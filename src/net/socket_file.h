/*
 * socket_file.h - the file that a Unix socket leaves at its path: whose it is, and its removal.
 */
#ifndef RP_NET_SOCKET_FILE_H
#define RP_NET_SOCKET_FILE_H

#include <stdint.h>

/* Which file it is, whatever else comes to lie at its path. Zeroed: none. */
typedef struct rp_socket_file {
    uint64_t device;
    uint64_t inode;
} rp_socket_file;

/* Removes what a server that was killed has left behind; anything else at the path is none of our business. */
int rp_socket_file_remove_stale(const char *path);

/* Fills in which file lies there. 0 or an error. */
int rp_socket_file_identify(const char *path, rp_socket_file *file);

/* Removes the file, unless somebody has put another there meanwhile. If it is none, nothing is done. */
void rp_socket_file_remove(const char *path, const rp_socket_file *file);

#endif
