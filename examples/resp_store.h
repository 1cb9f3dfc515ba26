/*
 * resp_store.h - keys and their values: strings, lists, and tables, which are sets, hashes and the databases
 * themselves.
 */
#ifndef RESP_STORE_H
#define RESP_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESP_DATABASES = 16, RESP_STORE_LIMIT = 256 * 1024 * 1024 }; /* bytes of all values */

typedef struct resp_bytes {
    size_t length;
    char data[];
} resp_bytes;

typedef enum resp_type {
    RESP_STRING,
    RESP_LIST,
    RESP_SET,
    RESP_HASH,
} resp_type;

typedef struct resp_value resp_value;

/* A key of a table. What belongs to it: a value in a database, bytes in a hash, nothing in a set. */
typedef struct resp_entry {
    struct resp_entry *next;
    uint64_t hash;
    union {
        resp_value *value;
        resp_bytes *bytes;
    };
    resp_bytes *key;
} resp_entry;

typedef struct resp_table {
    resp_entry **buckets;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t first; /* no bucket before it has an entry */
} resp_table;

/* A ring: items[(first + i) % capacity] is the ith. */
typedef struct resp_list {
    resp_bytes **items;
    size_t capacity;
    size_t first;
    size_t count;
} resp_list;

struct resp_value {
    resp_type type;
    union {
        resp_bytes *string;
        resp_list list;
        resp_table table;
    };
};

typedef struct resp_store {
    resp_table databases[RESP_DATABASES];
    uint64_t secret[2]; /* so that nobody can choose keys which fall into the same bucket */
    size_t used;        /* bytes */
} resp_store;

/* What fails does so for want of memory, or at the limit, and has changed nothing. */

resp_bytes *resp_bytes_new(resp_store *store, const char *data, size_t length);
void resp_bytes_free(resp_store *store, resp_bytes *bytes);

/* A table's entry of that key; NULL: there is none. */
resp_entry *resp_table_find(const resp_store *store, const resp_table *table, const char *key, size_t length);

/* Adds a key that is not there yet; NULL: it failed. */
resp_entry *resp_table_add(resp_store *store, resp_table *table, const char *key, size_t length);

/* Removes a key, whose value or bytes the caller has freed. */
void resp_table_remove(resp_store *store, resp_table *table, resp_entry *entry);

/* The entry after another one, or the first; NULL: that was the last. */
resp_entry *resp_table_next(resp_table *table, const resp_entry *entry);

/* The list owns the bytes, unless this fails. */
bool resp_list_push(resp_store *store, resp_list *list, resp_bytes *bytes, bool at_end);

/* The bytes are the caller's. The list must not be empty. */
resp_bytes *resp_list_pop(resp_store *store, resp_list *list, bool at_end);

resp_bytes *resp_list_at(const resp_list *list, size_t index);

resp_value *resp_value_new(resp_store *store, resp_type type);
void resp_value_free(resp_store *store, resp_value *value);

/* Empties a database. */
void resp_store_flush(resp_store *store, resp_table *database);

#endif
