/*
 * queue.c - rp_queue: pointers on their way from tasks to tasks, in order, the newest first, or by priority.
 *
 * All three keep their items in one array. The first is a ring from `head` on. The second is the same ring, with items
 * taken at its end. The third is a binary heap, with `head` 0.
 *
 * A task that is woken to put or get has been promised nothing: it looks again, and may have to wait again if another
 * came first. Each item that comes and each that goes wakes one task, which takes something or finds nothing left. So
 * no task sleeps while there is something for it.
 *
 * The array doubles when it is full and, unless it is small, is halved when a quarter of it is used: it is half full
 * after either, so that at least half as many items come or go before the next change as were copied.
 */
#include "base/memory.h"
#include "co/waitlist.h"

enum {
    FIRST_CAPACITY = 16,
    KEPT_CAPACITY = 128, /* so little is not given back: producer and consumer may fill and empty it in turns */
};

/* ---- the items ---- */

static void **place(const rp_queue *queue, size_t index)
{
    size_t to_end = queue->capacity - queue->head;

    return &queue->items[index < to_end ? queue->head + index : index - to_end];
}

/* Moves the items to an array of another size. -ENOMEM: they are where they were. */
static int resize(rp_queue *queue, size_t capacity)
{
    void **items = capacity <= SIZE_MAX / 2 / sizeof *items ? rp_malloc(capacity * sizeof *items) : NULL;

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < queue->size; i++)
        items[i] = *place(queue, i);
    rp_free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->head = 0;
    return 0;
}

/* Makes room for one more. -ENOMEM. */
static int make_room(rp_queue *queue)
{
    size_t capacity = queue->capacity ? queue->capacity * 2 : FIRST_CAPACITY;

    if (queue->size < queue->capacity)
        return 0;
    return resize(queue, queue->maxsize > 0 && capacity > queue->maxsize ? queue->maxsize : capacity);
}

/* Gives half of the memory back if three quarters are not used. If there is none to move to, it stays. */
static void give_back(rp_queue *queue)
{
    if (queue->capacity > KEPT_CAPACITY && queue->size <= queue->capacity / 4)
        (void)resize(queue, queue->capacity / 2);
}

static void drop_items(rp_queue *queue)
{
    rp_free(queue->items);
    queue->items = NULL;
    queue->size = queue->capacity = queue->head = 0;
}

/* Puts an item where the heap has a hole at its end: what comes after it moves down. */
static void heap_insert(rp_queue *queue, size_t hole, void *item)
{
    while (hole > 0) {
        size_t parent = (hole - 1) / 2;

        if (queue->compare(item, queue->items[parent]) >= 0)
            break;
        queue->items[hole] = queue->items[parent];
        hole = parent;
    }
    queue->items[hole] = item;
}

/* Puts an item where the heap has a hole at its top: what comes before it moves up. */
static void heap_sink(rp_queue *queue, void *item)
{
    size_t hole = 0, child;

    while ((child = hole * 2 + 1) < queue->size) {
        if (child + 1 < queue->size && queue->compare(queue->items[child + 1], queue->items[child]) < 0)
            child++;
        if (queue->compare(item, queue->items[child]) <= 0)
            break;
        queue->items[hole] = queue->items[child];
        hole = child;
    }
    queue->items[hole] = item;
}

static void insert(rp_queue *queue, void *item)
{
    size_t end = queue->size++;

    if (queue->compare)
        heap_insert(queue, end, item);
    else
        *place(queue, end) = item;
}

static void *take(rp_queue *queue)
{
    size_t last = --queue->size;
    void *item;

    if (queue->lifo)
        return *place(queue, last);
    item = queue->items[queue->head];
    if (queue->compare) {
        if (last > 0)
            heap_sink(queue, queue->items[last]);
    } else if (++queue->head == queue->capacity)
        queue->head = 0;
    return item;
}

/* ---- life ---- */

void rp_queue_init(rp_queue *queue, size_t maxsize)
{
    *queue = (rp_queue){.maxsize = maxsize};
    rp_waitlist_init(&queue->getters, "an item in a queue");
    rp_waitlist_init(&queue->putters, "room in a queue");
    rp_waitlist_init(&queue->joiners, "the end of a queue's work");
}

void rp_lifo_queue_init(rp_queue *queue, size_t maxsize)
{
    rp_queue_init(queue, maxsize);
    queue->lifo = true;
}

void rp_priority_queue_init(rp_queue *queue, size_t maxsize, rp_queue_compare *compare)
{
    rp_queue_init(queue, maxsize);
    queue->compare = compare;
}

int rp_queue_fini(rp_queue *queue)
{
    RP_TRY(rp_waitlist_fini(&queue->getters));
    RP_TRY(rp_waitlist_fini(&queue->putters));
    RP_TRY(rp_waitlist_fini(&queue->joiners));
    drop_items(queue);
    return 0;
}

/* ---- putting and getting ---- */

int rp_queue_put_nowait(rp_queue *queue, void *item)
{
    if (queue->is_shut_down)
        return RP_ESHUTDOWN;
    if (rp_queue_full(queue))
        return -EAGAIN;
    RP_TRY(make_room(queue));
    insert(queue, item);
    queue->unfinished++;
    rp_waitlist_wake(&queue->getters, 0);
    return 0;
}

int rp_queue_put(rp_co *co, rp_queue *queue, void *item)
{
    RP_TRY(rp_co_here(co));
    while (rp_queue_full(queue) && !queue->is_shut_down)
        RP_TRY(rp_waitlist_wait(co, &queue->putters));
    return rp_queue_put_nowait(queue, item);
}

int rp_queue_get_nowait(rp_queue *queue, void **item)
{
    if (queue->size == 0)
        return queue->is_shut_down ? RP_ESHUTDOWN : -EAGAIN;
    *item = take(queue);
    give_back(queue);
    rp_waitlist_wake(&queue->putters, 0);
    return 0;
}

int rp_queue_get(rp_co *co, rp_queue *queue, void **item)
{
    RP_TRY(rp_co_here(co));
    while (queue->size == 0 && !queue->is_shut_down)
        RP_TRY(rp_waitlist_wait(co, &queue->getters));
    return rp_queue_get_nowait(queue, item);
}

/* ---- the end of work ---- */

static void finish(rp_queue *queue, size_t count)
{
    queue->unfinished -= count;
    if (queue->unfinished == 0)
        rp_waitlist_wake_all(&queue->joiners, 0);
}

int rp_queue_task_done(rp_queue *queue)
{
    if (queue->unfinished == 0)
        return -EPERM;
    finish(queue, 1);
    return 0;
}

int rp_queue_join(rp_co *co, rp_queue *queue)
{
    RP_TRY(rp_co_here(co));
    return queue->unfinished == 0 ? 0 : rp_waitlist_wait(co, &queue->joiners);
}

void rp_queue_shutdown(rp_queue *queue, bool immediate)
{
    queue->is_shut_down = true;
    if (immediate) {
        /* There can be fewer: task_done may have come before get. */
        finish(queue, queue->size < queue->unfinished ? queue->size : queue->unfinished);
        drop_items(queue);
    }
    rp_waitlist_wake_all(&queue->getters, 0);
    rp_waitlist_wake_all(&queue->putters, 0);
}

/* ---- asking ---- */

size_t rp_queue_size(const rp_queue *queue)
{
    return queue->size;
}

size_t rp_queue_maxsize(const rp_queue *queue)
{
    return queue->maxsize;
}

bool rp_queue_empty(const rp_queue *queue)
{
    return queue->size == 0;
}

bool rp_queue_full(const rp_queue *queue)
{
    return queue->maxsize > 0 && queue->size >= queue->maxsize;
}
