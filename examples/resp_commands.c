/*
 * resp_commands.c - the commands of resp_server.c; it knows nothing of ringport. No command waits, so each is
 * atomic; but where memory ends, one of many values has set the first of them.
 */
#include "resp_commands.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A command as its function sees it: argument 0 is its name. */
typedef struct call {
    resp_service *service;
    resp_session *session;
    resp_store *store;
    resp_table *database;
    resp_reply *reply;
    const char *bytes;
    const resp_argument *arguments;
    size_t count;
} call;

static const char *data(const call *c, size_t i)
{
    return c->bytes + c->arguments[i].offset;
}

static size_t length(const call *c, size_t i)
{
    return c->arguments[i].length;
}

static bool is_word(const call *c, size_t i, const char *word)
{
    return length(c, i) == strlen(word) && strncasecmp(data(c, i), word, length(c, i)) == 0;
}

static void no_memory(call *c)
{
    resp_reply_error(c->reply, "OOM command not allowed when used memory > 'maxmemory'.");
}

static void wrong_count(call *c, const char *name)
{
    char text[80];

    snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
    resp_reply_error(c->reply, text);
}

static void reply_bytes(call *c, const resp_bytes *bytes)
{
    if (bytes)
        resp_reply_string(c->reply, bytes->data, bytes->length);
    else
        resp_reply_null(c->reply);
}

/* ---- keys ---- */

static resp_entry *find(const call *c, size_t i)
{
    return resp_table_find(c->store, c->database, data(c, i), length(c, i));
}

static void drop(call *c, resp_entry *entry)
{
    resp_value_free(c->store, entry->value);
    resp_table_remove(c->store, c->database, entry);
}

/* Finds the value of the key that argument 1 is: false, and the client is told, if it has another type. */
static bool look_up(call *c, resp_type type, resp_entry **entry)
{
    *entry = find(c, 1);
    if (!*entry || (*entry)->value->type == type)
        return true;
    resp_reply_error(c->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
    return false;
}

/* The same, and makes an empty value if there is none. */
static bool look_up_or_make(call *c, resp_type type, resp_entry **entry)
{
    resp_value *value;

    if (!look_up(c, type, entry))
        return false;
    if (*entry)
        return true;
    value = resp_value_new(c->store, type);
    if (value)
        *entry = resp_table_add(c->store, c->database, data(c, 1), length(c, 1));
    if (*entry) {
        (*entry)->value = value;
        return true;
    }
    if (value)
        resp_value_free(c->store, value);
    no_memory(c);
    return false;
}

/* A list, set or hash without elements is none. */
static void drop_if_empty(call *c, resp_entry *entry)
{
    const resp_value *value = entry->value;

    if ((value->type == RESP_LIST ? value->list.count : value->table.count) == 0)
        drop(c, entry);
}

static void call_del(call *c)
{
    long long count = 0;

    for (size_t i = 1; i < c->count; i++) {
        resp_entry *entry = find(c, i);

        if (entry) {
            drop(c, entry);
            count++;
        }
    }
    resp_reply_integer(c->reply, count);
}

static void call_exists(call *c)
{
    long long count = 0;

    for (size_t i = 1; i < c->count; i++)
        count += find(c, i) != NULL;
    resp_reply_integer(c->reply, count);
}

static void call_type(call *c)
{
    static const char *const names[] = {"string", "list", "set", "hash"};
    const resp_entry *entry = find(c, 1);

    resp_reply_status(c->reply, entry ? names[entry->value->type] : "none");
}

/* ---- strings ---- */

/* Sets the key of argument `key` to argument `value`, whatever it was before. */
static bool set(call *c, size_t key, size_t value)
{
    resp_entry *entry = find(c, key);
    resp_value *fresh = resp_value_new(c->store, RESP_STRING);

    if (!fresh)
        return false;
    fresh->string = resp_bytes_new(c->store, data(c, value), length(c, value));
    if (fresh->string && !entry)
        entry = resp_table_add(c->store, c->database, data(c, key), length(c, key));
    else if (fresh->string)
        resp_value_free(c->store, entry->value);
    if (!fresh->string || !entry) {
        resp_value_free(c->store, fresh);
        return false;
    }
    entry->value = fresh;
    return true;
}

static void call_set(call *c)
{
    bool only_new = c->count == 4 && is_word(c, 3, "NX");
    bool only_old = c->count == 4 && is_word(c, 3, "XX");

    if (c->count > 3 && !only_new && !only_old)
        resp_reply_error(c->reply, "ERR syntax error");
    else if ((only_new || only_old) && (find(c, 1) != NULL) == only_new)
        resp_reply_null(c->reply);
    else if (set(c, 1, 2))
        resp_reply_status(c->reply, "OK");
    else
        no_memory(c);
}

static void call_get(call *c)
{
    resp_entry *entry;

    if (look_up(c, RESP_STRING, &entry))
        reply_bytes(c, entry ? entry->value->string : NULL);
}

static void call_mset(call *c)
{
    if (c->count % 2 == 0) {
        wrong_count(c, "mset");
        return;
    }
    for (size_t i = 1; i < c->count; i += 2)
        if (!set(c, i, i + 1)) {
            no_memory(c);
            return;
        }
    resp_reply_status(c->reply, "OK");
}

static void call_mget(call *c)
{
    resp_reply_array(c->reply, c->count - 1);
    for (size_t i = 1; i < c->count; i++) {
        const resp_entry *entry = find(c, i);

        reply_bytes(c, entry && entry->value->type == RESP_STRING ? entry->value->string : NULL);
    }
}

static void add_to(call *c, long long more)
{
    char text[32];
    long long number = 0, sum;
    resp_entry *entry;
    resp_bytes *string;

    if (!look_up(c, RESP_STRING, &entry))
        return;
    if (entry && !resp_number(entry->value->string->data, entry->value->string->length, &number)) {
        resp_reply_error(c->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(number, more, &sum)) {
        resp_reply_error(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (!look_up_or_make(c, RESP_STRING, &entry))
        return;
    string = resp_bytes_new(c->store, text, (size_t)snprintf(text, sizeof text, "%lld", sum));
    if (!string) {
        if (!entry->value->string)
            drop(c, entry);
        no_memory(c);
        return;
    }
    resp_bytes_free(c->store, entry->value->string);
    entry->value->string = string;
    resp_reply_integer(c->reply, sum);
}

static void call_incr(call *c)
{
    add_to(c, 1);
}

static void call_decr(call *c)
{
    add_to(c, -1);
}

static void call_incrby(call *c)
{
    long long more;

    if (resp_number(data(c, 2), length(c, 2), &more))
        add_to(c, more);
    else
        resp_reply_error(c->reply, "ERR value is not an integer or out of range");
}

/* ---- lists ---- */

static void push(call *c, bool at_end)
{
    resp_entry *entry;

    if (!look_up_or_make(c, RESP_LIST, &entry))
        return;
    for (size_t i = 2; i < c->count; i++) {
        resp_bytes *bytes = resp_bytes_new(c->store, data(c, i), length(c, i));

        if (!bytes || !resp_list_push(c->store, &entry->value->list, bytes, at_end)) {
            resp_bytes_free(c->store, bytes);
            drop_if_empty(c, entry);
            no_memory(c);
            return;
        }
    }
    resp_reply_integer(c->reply, (long long)entry->value->list.count);
}

static void call_lpush(call *c)
{
    push(c, false);
}

static void call_rpush(call *c)
{
    push(c, true);
}

static void pop(call *c, bool at_end)
{
    resp_entry *entry;

    if (!look_up(c, RESP_LIST, &entry))
        return;
    if (!entry) {
        resp_reply_null(c->reply);
        return;
    }

    resp_bytes *bytes = resp_list_pop(c->store, &entry->value->list, at_end);
    reply_bytes(c, bytes);
    resp_bytes_free(c->store, bytes);
    drop_if_empty(c, entry);
}

static void call_lpop(call *c)
{
    pop(c, false);
}

static void call_rpop(call *c)
{
    pop(c, true);
}

static void call_llen(call *c)
{
    resp_entry *entry;

    if (look_up(c, RESP_LIST, &entry))
        resp_reply_integer(c->reply, entry ? (long long)entry->value->list.count : 0);
}

static void call_lrange(call *c)
{
    long long first, last, count;
    resp_entry *entry;

    if (!resp_number(data(c, 2), length(c, 2), &first) || !resp_number(data(c, 3), length(c, 3), &last)) {
        resp_reply_error(c->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (!look_up(c, RESP_LIST, &entry))
        return;
    count = entry ? (long long)entry->value->list.count : 0;
    first = first < -count ? 0 : first < 0 ? first + count : first;
    last = last < -count ? -1 : last < 0 ? last + count : last < count ? last : count - 1;
    resp_reply_array(c->reply, first > last ? 0 : (size_t)(last - first + 1));
    for (; first <= last; first++)
        reply_bytes(c, resp_list_at(&entry->value->list, (size_t)first));
}

/* ---- sets ---- */

static void call_sadd(call *c)
{
    long long added = 0;
    resp_entry *entry;

    if (!look_up_or_make(c, RESP_SET, &entry))
        return;
    for (size_t i = 2; i < c->count; i++) {
        resp_table *members = &entry->value->table;

        if (resp_table_find(c->store, members, data(c, i), length(c, i)))
            continue;
        if (!resp_table_add(c->store, members, data(c, i), length(c, i))) {
            drop_if_empty(c, entry);
            no_memory(c);
            return;
        }
        added++;
    }
    resp_reply_integer(c->reply, added);
}

static void call_spop(call *c)
{
    resp_entry *entry, *member;

    if (!look_up(c, RESP_SET, &entry))
        return;
    if (!entry) {
        resp_reply_null(c->reply);
        return;
    }
    member = resp_table_next(&entry->value->table, NULL);
    reply_bytes(c, member->key);
    resp_table_remove(c->store, &entry->value->table, member);
    drop_if_empty(c, entry);
}

static void call_scard(call *c)
{
    resp_entry *entry;

    if (look_up(c, RESP_SET, &entry))
        resp_reply_integer(c->reply, entry ? (long long)entry->value->table.count : 0);
}

static void call_sismember(call *c)
{
    resp_entry *entry;

    if (look_up(c, RESP_SET, &entry))
        resp_reply_integer(c->reply,
                           entry && resp_table_find(c->store, &entry->value->table, data(c, 2), length(c, 2)));
}

static void call_smembers(call *c)
{
    resp_entry *entry;

    if (!look_up(c, RESP_SET, &entry))
        return;
    resp_reply_array(c->reply, entry ? entry->value->table.count : 0);
    for (resp_entry *member = NULL; entry && (member = resp_table_next(&entry->value->table, member));)
        reply_bytes(c, member->key);
}

/* ---- hashes ---- */

static bool set_field(call *c, resp_table *fields, size_t i, long long *added)
{
    resp_bytes *bytes = resp_bytes_new(c->store, data(c, i + 1), length(c, i + 1));
    resp_entry *field = resp_table_find(c->store, fields, data(c, i), length(c, i));

    if (bytes && !field) {
        field = resp_table_add(c->store, fields, data(c, i), length(c, i));
        *added += field != NULL;
    }
    if (!bytes || !field) {
        resp_bytes_free(c->store, bytes);
        return false;
    }
    resp_bytes_free(c->store, field->bytes);
    field->bytes = bytes;
    return true;
}

static void call_hset(call *c)
{
    long long added = 0;
    resp_entry *entry;

    if (c->count % 2 != 0) {
        wrong_count(c, "hset");
        return;
    }
    if (!look_up_or_make(c, RESP_HASH, &entry))
        return;
    for (size_t i = 2; i < c->count; i += 2)
        if (!set_field(c, &entry->value->table, i, &added)) {
            drop_if_empty(c, entry);
            no_memory(c);
            return;
        }
    resp_reply_integer(c->reply, added);
}

static void call_hget(call *c)
{
    resp_entry *entry, *field;

    if (!look_up(c, RESP_HASH, &entry))
        return;
    field = entry ? resp_table_find(c->store, &entry->value->table, data(c, 2), length(c, 2)) : NULL;
    reply_bytes(c, field ? field->bytes : NULL);
}

static void call_hgetall(call *c)
{
    resp_entry *entry;

    if (!look_up(c, RESP_HASH, &entry))
        return;
    resp_reply_array(c->reply, entry ? 2 * entry->value->table.count : 0);
    for (resp_entry *field = NULL; entry && (field = resp_table_next(&entry->value->table, field));) {
        reply_bytes(c, field->key);
        reply_bytes(c, field->bytes);
    }
}

/* ---- the connection and the server ---- */

static void call_ping(call *c)
{
    if (c->count > 1)
        resp_reply_string(c->reply, data(c, 1), length(c, 1));
    else
        resp_reply_status(c->reply, "PONG");
}

static void call_echo(call *c)
{
    resp_reply_string(c->reply, data(c, 1), length(c, 1));
}

static void call_quit(call *c)
{
    c->session->ended = true;
    resp_reply_status(c->reply, "OK");
}

static void call_select(call *c)
{
    long long index;

    if (!resp_number(data(c, 1), length(c, 1), &index)) {
        resp_reply_error(c->reply, "ERR value is not an integer or out of range");
    } else if (index < 0 || index >= RESP_DATABASES) {
        resp_reply_error(c->reply, "ERR DB index is out of range");
    } else {
        c->session->database = (size_t)index;
        resp_reply_status(c->reply, "OK");
    }
}

static void call_dbsize(call *c)
{
    resp_reply_integer(c->reply, (long long)c->database->count);
}

static void call_flushall(call *c)
{
    for (size_t i = 0; i < RESP_DATABASES; i++)
        resp_store_flush(c->store, &c->store->databases[i]);
    resp_reply_status(c->reply, "OK");
}

static void call_info(call *c)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "# Server\r\nserver_name:resp_server\r\nredis_version:7.0.0\r\nmultiplexing_api:%s\r\n\r\n"
                     "# Clients\r\nconnected_clients:%zu\r\n\r\n"
                     "# Memory\r\nused_memory:%zu\r\nmaxmemory:%d\r\nmem_clients_normal:%zu\r\n\r\n"
                     "# Stats\r\ntotal_commands_processed:%llu\r\n\r\n# Keyspace\r\n",
                     c->service->backend, c->service->clients, c->store->used, RESP_STORE_LIMIT, c->service->held,
                     c->service->calls);

    for (size_t i = 0; i < RESP_DATABASES; i++)
        if (c->store->databases[i].count > 0)
            n += snprintf(text + n, sizeof text - (size_t)n, "db%zu:keys=%zu,expires=0\r\n", i,
                          c->store->databases[i].count);
    resp_reply_string(c->reply, text, (size_t)n);
}

static void call_config(call *c)
{
    static const char *const settings[][2] = {{"save", ""}, {"appendonly", "no"}, {"databases", "16"}};

    if (c->count != 3 || !is_word(c, 1, "GET")) {
        resp_reply_error(c->reply, "ERR only CONFIG GET is known");
        return;
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (is_word(c, 2, settings[i][0])) {
            resp_reply_array(c->reply, 2);
            resp_reply_text(c->reply, settings[i][0]);
            resp_reply_text(c->reply, settings[i][1]);
            return;
        }
    resp_reply_array(c->reply, 0);
}

/* ---- the table ---- */

static void call_command(call *c);

typedef struct command {
    const char *name;
    size_t least; /* arguments, with the name */
    size_t most;
    void (*function)(call *c);
} command;

#define ANY RESP_ARGUMENTS_LIMIT

static const command commands[] = {
    {"get", 2, 2, call_get},           {"set", 3, ANY, call_set},
    {"ping", 1, 2, call_ping},         {"incr", 2, 2, call_incr},
    {"lpush", 3, ANY, call_lpush},     {"rpush", 3, ANY, call_rpush},
    {"lpop", 2, 2, call_lpop},         {"rpop", 2, 2, call_rpop},
    {"sadd", 3, ANY, call_sadd},       {"hset", 4, ANY, call_hset},
    {"spop", 2, 2, call_spop},         {"lrange", 4, 4, call_lrange},
    {"mset", 3, ANY, call_mset},       {"mget", 2, ANY, call_mget},
    {"del", 2, ANY, call_del},         {"exists", 2, ANY, call_exists},
    {"type", 2, 2, call_type},         {"decr", 2, 2, call_decr},
    {"incrby", 3, 3, call_incrby},     {"llen", 2, 2, call_llen},
    {"scard", 2, 2, call_scard},       {"sismember", 3, 3, call_sismember},
    {"smembers", 2, 2, call_smembers}, {"hget", 3, 3, call_hget},
    {"hgetall", 2, 2, call_hgetall},   {"echo", 2, 2, call_echo},
    {"quit", 1, ANY, call_quit},       {"select", 2, 2, call_select},
    {"dbsize", 1, 1, call_dbsize},     {"flushall", 1, 2, call_flushall},
    {"info", 1, ANY, call_info},       {"config", 2, ANY, call_config},
    {"command", 1, ANY, call_command},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void call_command(call *c)
{
    if (c->count == 2 && is_word(c, 1, "COUNT"))
        resp_reply_integer(c->reply, COMMANDS);
    else
        resp_reply_array(c->reply, 0);
}

static void unknown_command(call *c)
{
    char name[64], text[128];
    size_t n = length(c, 0) < sizeof name - 1 ? length(c, 0) : sizeof name - 1;

    for (size_t i = 0; i < n; i++)
        name[i] = data(c, 0)[i] > ' ' && data(c, 0)[i] <= '~' ? data(c, 0)[i] : '?';
    name[n] = '\0';
    snprintf(text, sizeof text, "ERR unknown command '%s'", name);
    resp_reply_error(c->reply, text);
}

void resp_execute(resp_service *service, resp_session *session, const resp_request *request, const char *bytes,
                  resp_reply *reply)
{
    call c = {service, session, &service->store,    &service->store.databases[session->database],
              reply,   bytes,   request->arguments, request->count};
    const command *found = commands;

    resp_reply_begin(reply); /* also of nothing: that has not failed */
    if (c.count == 0)
        return;
    service->calls++;
    while (found < commands + COMMANDS && !is_word(&c, 0, found->name))
        found++;
    if (found == commands + COMMANDS)
        unknown_command(&c);
    else if (c.count < found->least || c.count > found->most)
        wrong_count(&c, found->name);
    else
        found->function(&c);
    resp_reply_end(reply);
}
