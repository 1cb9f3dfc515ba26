/*
 * resp_store.c - the memory of resp_server.c; it knows nothing of ringport. All that it holds counts for its limit.
 */
#include "resp_store.h"

#include <stdlib.h>
#include <string.h>

static void *take(resp_store *store, size_t size)
{
    void *memory = store->used + size > RESP_STORE_LIMIT ? NULL : malloc(size);

    if (memory)
        store->used += size;
    return memory;
}

static void give_back(resp_store *store, void *memory, size_t size)
{
    if (memory)
        store->used -= size;
    free(memory);
}

/* ---- the room of tables and lists ---- */

static size_t larger(size_t capacity)
{
    return capacity == 0 ? 4 : 2 * capacity;
}

/* Whether half of the room is to be given back; far from when it would be too little again. */
static bool is_sparse(size_t count, size_t capacity)
{
    return capacity > 4 && count < capacity / 8;
}

/* ---- bytes ---- */

resp_bytes *resp_bytes_new(resp_store *store, const char *data, size_t length)
{
    resp_bytes *bytes = take(store, sizeof *bytes + length);

    if (bytes) {
        bytes->length = length;
        memcpy(bytes->data, data, length);
    }
    return bytes;
}

void resp_bytes_free(resp_store *store, resp_bytes *bytes)
{
    if (bytes)
        give_back(store, bytes, sizeof *bytes + bytes->length);
}

/* ---- tables ---- */

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3. */
static uint64_t hash(const resp_store *store, const char *key, size_t length)
{
    uint64_t v[4] = {store->secret[0] ^ 0x736f6d6570736575, store->secret[1] ^ 0x646f72616e646f6d,
                     store->secret[0] ^ 0x6c7967656e657261, store->secret[1] ^ 0x7465646279746573};
    uint64_t word;

    for (size_t left = length;; left -= sizeof word, key += sizeof word) {
        bool last = left < sizeof word;

        word = last ? (uint64_t)length << 56 : 0;
        for (size_t i = 0; i < (last ? left : sizeof word); i++)
            word |= (uint64_t)(unsigned char)key[i] << 8 * i;
        v[3] ^= word;
        mix(v);
        v[0] ^= word;
        if (last)
            break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static resp_entry *find(const resp_table *table, uint64_t hashed, const char *key, size_t length)
{
    resp_entry *entry = table->capacity == 0 ? NULL : table->buckets[hashed & (table->capacity - 1)];

    while (entry &&
           (entry->hash != hashed || entry->key->length != length || memcmp(entry->key->data, key, length) != 0))
        entry = entry->next;
    return entry;
}

resp_entry *resp_table_find(const resp_store *store, const resp_table *table, const char *key, size_t length)
{
    return table->count == 0 ? NULL : find(table, hash(store, key, length), key, length);
}

static void link_entry(resp_table *table, resp_entry *entry)
{
    size_t index = entry->hash & (table->capacity - 1);

    entry->next = table->buckets[index];
    table->buckets[index] = entry;
    if (index < table->first)
        table->first = index;
}

static bool resize(resp_store *store, resp_table *table, size_t capacity)
{
    resp_table resized = {.capacity = capacity, .count = table->count, .first = capacity};

    resized.buckets = take(store, capacity * sizeof(resp_entry *));
    if (!resized.buckets)
        return false;
    memset(resized.buckets, 0, capacity * sizeof(resp_entry *));
    for (size_t i = 0; i < table->capacity; i++)
        for (resp_entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            link_entry(&resized, entry);
        }
    give_back(store, table->buckets, table->capacity * sizeof(resp_entry *));
    *table = resized;
    return true;
}

resp_entry *resp_table_add(resp_store *store, resp_table *table, const char *key, size_t length)
{
    if (table->count == table->capacity && !resize(store, table, larger(table->capacity)))
        return NULL;

    resp_entry *entry = take(store, sizeof *entry);
    resp_bytes *copy = entry ? resp_bytes_new(store, key, length) : NULL;

    if (!copy) {
        give_back(store, entry, sizeof *entry);
        return NULL;
    }
    *entry = (resp_entry){.hash = hash(store, key, length), .key = copy};
    link_entry(table, entry);
    table->count++;
    return entry;
}

void resp_table_remove(resp_store *store, resp_table *table, resp_entry *entry)
{
    resp_entry **link = &table->buckets[entry->hash & (table->capacity - 1)];

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    resp_bytes_free(store, entry->key);
    give_back(store, entry, sizeof *entry);
    table->count--;
    if (is_sparse(table->count, table->capacity))
        resize(store, table, table->capacity / 2);
}

resp_entry *resp_table_next(resp_table *table, const resp_entry *entry)
{
    size_t index;

    if (entry && entry->next)
        return entry->next;
    index = entry ? (entry->hash & (table->capacity - 1)) + 1 : table->first;
    while (index < table->capacity && !table->buckets[index])
        index++;
    if (!entry)
        table->first = index;
    return index < table->capacity ? table->buckets[index] : NULL;
}

/* ---- lists ---- */

resp_bytes *resp_list_at(const resp_list *list, size_t index)
{
    return list->items[(list->first + index) & (list->capacity - 1)];
}

static bool resize_list(resp_store *store, resp_list *list, size_t capacity)
{
    resp_bytes **items = take(store, capacity * sizeof(resp_bytes *));

    if (!items)
        return false;
    for (size_t i = 0; i < list->count; i++)
        items[i] = resp_list_at(list, i);
    give_back(store, list->items, list->capacity * sizeof(resp_bytes *));
    *list = (resp_list){.items = items, .capacity = capacity, .count = list->count};
    return true;
}

bool resp_list_push(resp_store *store, resp_list *list, resp_bytes *bytes, bool at_end)
{
    if (list->count == list->capacity && !resize_list(store, list, larger(list->capacity)))
        return false;
    if (!at_end)
        list->first = (list->first - 1) & (list->capacity - 1);
    list->count++;
    list->items[(list->first + (at_end ? list->count - 1 : 0)) & (list->capacity - 1)] = bytes;
    return true;
}

resp_bytes *resp_list_pop(resp_store *store, resp_list *list, bool at_end)
{
    resp_bytes *bytes = resp_list_at(list, at_end ? list->count - 1 : 0);

    if (!at_end)
        list->first = (list->first + 1) & (list->capacity - 1);
    list->count--;
    if (is_sparse(list->count, list->capacity))
        resize_list(store, list, list->capacity / 2);
    return bytes;
}

/* ---- values ---- */

resp_value *resp_value_new(resp_store *store, resp_type type)
{
    resp_value *value = take(store, sizeof *value);

    if (value) {
        memset(value, 0, sizeof *value);
        value->type = type;
    }
    return value;
}

static void empty_table(resp_store *store, resp_table *table)
{
    for (resp_entry *entry; (entry = resp_table_next(table, NULL));) {
        resp_bytes_free(store, entry->bytes);
        resp_table_remove(store, table, entry);
    }
    give_back(store, table->buckets, table->capacity * sizeof(resp_entry *));
}

void resp_value_free(resp_store *store, resp_value *value)
{
    if (value->type == RESP_STRING) {
        resp_bytes_free(store, value->string);
    } else if (value->type == RESP_LIST) {
        while (value->list.count > 0)
            resp_bytes_free(store, resp_list_pop(store, &value->list, true));
        give_back(store, value->list.items, value->list.capacity * sizeof(resp_bytes *));
    } else {
        empty_table(store, &value->table);
    }
    give_back(store, value, sizeof *value);
}

void resp_store_flush(resp_store *store, resp_table *database)
{
    for (resp_entry *entry; (entry = resp_table_next(database, NULL));) {
        resp_value_free(store, entry->value);
        resp_table_remove(store, database, entry);
    }
    give_back(store, database->buckets, database->capacity * sizeof(resp_entry *));
    *database = (resp_table){0};
}
