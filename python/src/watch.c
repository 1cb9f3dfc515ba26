/*
 * watch.c - readiness of the program's own descriptors: an epoll instance, which the loop's proactor polls.
 *
 * A poll in a ring keeps a file open that the program has closed, so that its peer never hears of it. epoll forgets
 * such a file, refuses what it cannot watch, and tells what is ready by one system call for all: this is what programs
 * know from selectors.
 *
 * A descriptor with a reader or a writer is registered level-triggered. So after an event of one, the next turn looks
 * again, and does not sleep before. One with operations only is registered edge-triggered, and stays so when they have
 * ended: the next one, of the same socket, tries first, and loses no edge. What else begins to wait is armed, which is
 * one epoll_ctl(), and has readiness told that is there already. If a number turns out to be another file's since, what
 * waited for the old one is dropped. An event says of which registering it is.
 *
 * The kernel keeps a registration until the file is closed under its last number, in the last process. One that cannot
 * be taken back, and would be told of for ever, ends with the epoll instance, in whose place a new one is put.
 *
 * Each turn learns what is ready when it has waited, as asyncio does, and runs it behind all that it delivers, before
 * its timers: as handles in the core's list of what is due.
 */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/memory.h"
#include "handle.h"
#include "proactor/proactor.h"

enum { PER_CHUNK = 64, EVENTS = 128 };

typedef struct watch watch;

/* One direction of a descriptor. */
typedef struct side {
    watch *watch;
    rpy_handle *handle; /* of add_reader() or add_writer(), or NULL */
    uint64_t serial;    /* of that */
    uint64_t told;      /* that of the one which was there when the kernel told of readiness */
    rp_handle ready;    /* runs the handle, and has what waits try again */
    rp_node waiting;    /* rpy_waiters */
} side;

struct watch {
    int fd;
    uint32_t generation; /* of the latest registering */
    uint32_t registered; /* EPOLLIN, EPOLLOUT, EPOLLET, as far as we know */
    rpy_loop *loop;
    PyObject *socket; /* a weak reference to the one that operations had it registered for, or NULL */
    PyObject *file;   /* what the program named it by when its handles were added; NULL: a number */
    side sides[RPY_DIRECTIONS];
};

typedef struct place {
    PyObject *transport; /* borrowed */
    watch *watch;        /* NULL: nothing has waited so far */
} place;

typedef struct rpy_watches {
    PyObject_HEAD
    rpy_kept kept;
    rpy_loop *loop;
    int epoll;     /* -1: not made */
    rp_op arrived; /* polls it */
    bool is_polled;
    bool is_stale;  /* it has a registration that cannot be taken back */
    rp_node due;    /* sides, by their handles: what this turn is to run */
    place **chunks; /* by descriptors */
    size_t count;
} rpy_watches;

static const uint32_t events_of[RPY_DIRECTIONS] = {EPOLLIN, EPOLLOUT};

/* ---- finding ---- */

static place *find_place(const rpy_watches *w, int fd)
{
    size_t chunk = (unsigned)fd / PER_CHUNK;

    if (!w || chunk >= w->count || !w->chunks[chunk])
        return NULL;
    return &w->chunks[chunk][(unsigned)fd % PER_CHUNK];
}

static watch *find(const rpy_watches *w, int fd)
{
    const place *p = find_place(w, fd);

    return p ? p->watch : NULL;
}

static rpy_watches *make_watches(rpy_loop *loop);

static place *make_place(rpy_loop *loop, int fd)
{
    rpy_watches *w = loop->watches ? loop->watches : make_watches(loop);
    size_t chunk = (unsigned)fd / PER_CHUNK;

    if (!w)
        return NULL;
    if (chunk >= w->count) {
        size_t count = chunk + chunk / 2 + 1;
        place **chunks = rp_realloc(w->chunks, count * sizeof *chunks);

        if (!chunks)
            return (place *)PyErr_NoMemory();
        for (size_t i = w->count; i < count; i++)
            chunks[i] = NULL;
        w->chunks = chunks;
        w->count = count;
    }
    if (!w->chunks[chunk])
        w->chunks[chunk] = rp_calloc(PER_CHUNK * sizeof(place));
    return w->chunks[chunk] ? find_place(w, fd) : (place *)PyErr_NoMemory();
}

/* Of a descriptor that is open: an absurd number gets no memory. */
static watch *make(rpy_loop *loop, int fd)
{
    watch *made = find(loop->watches, fd);

    if (made)
        return made;
    if (fcntl(fd, F_GETFD) < 0)
        return (watch *)PyErr_SetFromErrno(PyExc_OSError);
    place *p = make_place(loop, fd);
    if (!p)
        return NULL;
    made = rp_calloc(sizeof *made);
    if (!made)
        return (watch *)PyErr_NoMemory();
    made->fd = fd;
    made->loop = loop;
    for (int i = 0; i < RPY_DIRECTIONS; i++) {
        made->sides[i].watch = made;
        rp_list_init(&made->sides[i].waiting);
    }
    p->watch = made;
    return made;
}

/* ---- registering ---- */

/* What the kernel is to tell of: these events and what is waited for; levels if that is so, or if there is a handle. */
static uint32_t wanted(const watch *of, uint32_t events, bool levels)
{
    for (int i = 0; i < RPY_DIRECTIONS; i++) {
        if (of->sides[i].handle || !rp_list_empty(&of->sides[i].waiting))
            events |= events_of[i];
        levels = levels || of->sides[i].handle;
    }
    return events == 0 || levels ? events : events | EPOLLET;
}

static int control(watch *of, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)of->generation << 32 | (uint32_t)of->fd};

    if (epoll_ctl(of->loop->watches->epoll, operation, of->fd, &event) < 0)
        return -errno;
    of->registered = events;
    return 0;
}

/* `handle` takes the place of the one that there is, which is returned, and the caller's to let go of. */
static rpy_handle *exchange_handle(side *of, rpy_handle *handle)
{
    rpy_handle *before = of->handle;

    of->handle = handle;
    of->serial++;
    return before;
}

/* What the handle refers to may close the loop when it goes, and with that the watches end: so this comes last. */
static void let_go(rpy_handle *handle)
{
    if (!handle)
        return;
    rpy_handle_cancel(handle);
    Py_DECREF((PyObject *)handle);
}

static void drop_handle(side *of)
{
    if (of->handle)
        let_go(exchange_handle(of, NULL));
}

static bool has_handle(const watch *of)
{
    return of->sides[RPY_READ].handle || of->sides[RPY_WRITE].handle;
}

static void drop_file(watch *of)
{
    if (!has_handle(of))
        Py_CLEAR(of->file);
}

/*
 * Nothing comes any more for handles, and for what waits for a file that has been closed. false: something of that has
 * closed the loop, and the watch has ended.
 */
static bool drop_waiting(watch *of)
{
    rpy_loop *loop = of->loop;
    PyObject *watches = Py_NewRef((PyObject *)loop->watches);

    for (int i = 0; i < RPY_DIRECTIONS; i++) {
        side *s = &of->sides[i];
        rp_node *node = s->waiting.next;

        drop_handle(s);
        while (node != &s->waiting) {
            rpy_waiter *waiter = rp_container_of(node, rpy_waiter, link);
            PyObject *object = Py_NewRef(waiter->object);

            if (waiter->gone(object))
                rpy_watch_leave(waiter);
            node = rp_node_linked(&waiter->link) ? waiter->link.next : s->waiting.next;
            Py_DECREF(object);
        }
    }
    drop_file(of);
    Py_DECREF(watches);
    return !loop->loop->closed;
}

/* The number is another file's, or none's. false as above. */
static bool forget_file(watch *of)
{
    of->registered = 0;
    Py_CLEAR(of->socket);
    return drop_waiting(of);
}

/* Has the kernel tell of these too, and now of what holds already. 0 or an error. */
static int arm(watch *of, uint32_t events, bool levels)
{
    int rc = -ENOENT;

    if (of->registered) {
        rc = control(of, EPOLL_CTL_MOD, wanted(of, events, levels));
        if (rc == 0)
            return 0;
        if (!forget_file(of))
            return RP_ECLOSED;
    }
    if (rc != -ENOENT)
        return rc;
    of->generation++;
    rc = control(of, EPOLL_CTL_ADD, wanted(of, events, levels));
    return rc == -EEXIST ? control(of, EPOLL_CTL_MOD, wanted(of, events, levels)) : rc;
}

/* Has the kernel tell of what is waited for, and of nothing else. */
static void settle(watch *of)
{
    uint32_t events = wanted(of, 0, false);

    if (events == of->registered || rp_loop_is_forked(of->loop->loop))
        return;
    if (control(of, events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, events) < 0)
        of->registered = 0; /* the program has closed it already */
}

/* ---- what the kernel tells ---- */

static void call_handle(side *s)
{
    rpy_handle *handle = (rpy_handle *)Py_NewRef((PyObject *)s->handle);

    if (!handle->cancelled)
        rpy_handle_call(handle);
    if (s->handle == handle && handle->cancelled) {
        drop_handle(s);
        drop_file(s->watch);
        settle(s->watch);
    }
    Py_DECREF((PyObject *)handle);
}

static void serve_waiters(side *s)
{
    bool done = true;

    while (done && !rp_list_empty(&s->waiting)) {
        rpy_waiter *waiter = rp_container_of(s->waiting.next, rpy_waiter, link);
        PyObject *object = Py_NewRef(waiter->object);

        done = waiter->ready(object);
        if (done)
            rpy_watch_leave(waiter);
        Py_DECREF(object);
    }
}

static void run_side(void *arg)
{
    side *s = arg;

    if (s->handle && s->told == s->serial)
        call_handle(s);
    serve_waiters(s);
}

/* Whether anything waits there, which is to run. */
static bool tell(side *s)
{
    if (!s->handle && rp_list_empty(&s->waiting))
        return false;
    s->told = s->serial;
    if (!rp_node_linked(&s->ready.link)) {
        rp_handle_prepare(&s->ready, s->watch->loop->loop, run_side, s);
        s->ready.state = RP_HANDLE_READY;
        rp_list_push(&s->watch->loop->watches->due, &s->ready.link);
    }
    return true;
}

/* An error, or the end of both directions, concerns both. */
static void dispatch(rpy_watches *w, const struct epoll_event *event)
{
    watch *of = find(w, (int)(uint32_t)event->data.u64);
    uint32_t events = event->events;
    bool found = true;

    if (!of || of->generation != event->data.u64 >> 32 || !of->registered) {
        w->is_stale = true;
        return;
    }
    if (events & ~(uint32_t)EPOLLOUT)
        found = tell(&of->sides[RPY_READ]) || !(events & EPOLLIN);
    if (events & ~(uint32_t)EPOLLIN)
        found = (tell(&of->sides[RPY_WRITE]) || !(events & EPOLLOUT)) && found;
    if (!found)
        settle(of);
    if (of->registered && !(of->registered & EPOLLET))
        w->loop->look = true;
}

static void on_arrived(rp_op *op);

static int poll_epoll(rpy_watches *w)
{
    if (w->is_polled)
        return 0;
    rp_op_recv_stream(&w->arrived, w->epoll, on_arrived, w); /* it tells edges, and asks nobody before it does */
    int rc = rp_submit(w->loop->loop, &w->arrived);
    if (rc < 0) {
        rpy_set_error(w->loop->state, rc);
        return -1;
    }
    w->is_polled = true;
    return 0;
}

/* What it tells is seen when the turn has waited. If it ends, which is rare, it begins anew. */
static void on_arrived(rp_op *op)
{
    rpy_watches *w = op->data;

    if (op->flags & RP_OP_MORE)
        return;
    w->is_polled = false;
    if (poll_epoll(w) < 0)
        PyErr_WriteUnraisable((PyObject *)w);
}

/* Puts a new epoll in the old one's place, under its number. The poll of the old one ends, and begins anew. */
static void renew(rpy_watches *w)
{
    int old = w->epoll, fresh = epoll_create1(EPOLL_CLOEXEC);

    if (fresh < 0)
        return; /* it is tried again */
    w->is_stale = false;
    w->epoll = fresh;
    for (size_t i = 0; i < w->count; i++)
        for (size_t j = 0; w->chunks[i] && j < PER_CHUNK; j++) {
            watch *of = w->chunks[i][j].watch;

            if (of && of->registered && control(of, EPOLL_CTL_ADD, of->registered) < 0)
                of->registered = 0;
        }
    dup3(fresh, old, O_CLOEXEC);
    close(fresh);
    w->epoll = old;
    rp_cancel(w->loop->loop, &w->arrived);
}

void rpy_watch_collect(rpy_loop *loop)
{
    rpy_watches *w = loop->watches;
    struct epoll_event events[EVENTS];
    int n;

    if (!w || !(rp_proactor_has_told(&w->arrived) || loop->look))
        return;
    loop->look = false;
    do {
        n = epoll_wait(w->epoll, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            dispatch(w, &events[i]);
    } while (n == EVENTS && !loop->look);
    if (w->is_stale)
        renew(w);
}

void rpy_watch_schedule(rpy_loop *loop)
{
    if (!loop->watches || rp_list_empty(&loop->watches->due))
        return;
    rp_list_splice(&loop->watches->due, &loop->loop->due);
    rp_list_splice(&loop->loop->due, &loop->watches->due);
}

/* The descriptor's watch, when there is an epoll to register it with; NULL with an exception. */
static watch *prepare(rpy_loop *loop, int fd)
{
    watch *of = rpy_loop_check(loop) < 0 ? NULL : make(loop, fd);

    if (!of)
        return NULL;
    rpy_watches *w = loop->watches;
    if (w->epoll < 0)
        w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        return (watch *)PyErr_SetFromErrno(PyExc_OSError);
    return poll_epoll(w) < 0 ? NULL : of;
}

/* ---- waiting ---- */

/* Whether the socket is what the descriptor is registered for already: it tells of edges by itself. */
static bool is_armed(const watch *of, int direction, PyObject *socket)
{
    return of->registered & events_of[direction] && of->registered & EPOLLET && of->socket &&
           rpy_weakref_is(of->socket, socket);
}

/* The descriptor is registered, for this socket. */
static void remember_socket(watch *of, PyObject *socket)
{
    if (of->socket && rpy_weakref_is(of->socket, socket))
        return;
    Py_XSETREF(of->socket, PyWeakref_NewRef(socket, NULL));
    PyErr_Clear();
}

int rpy_watch_wait(rpy_loop *loop, int fd, int direction, rpy_waiter *waiter, PyObject *object, PyObject *socket)
{
    watch *of = prepare(loop, fd);

    if (!of)
        return -1;
    if (!socket || !is_armed(of, direction, socket)) {
        int rc = arm(of, events_of[direction], false);

        if (rc < 0) {
            rpy_set_error(loop->state, rc);
            return -1;
        }
        if (socket)
            remember_socket(of, socket);
        else
            Py_CLEAR(of->socket);
    }
    waiter->object = Py_NewRef(object);
    rp_list_push(&of->sides[direction].waiting, &waiter->link);
    return 0;
}

void rpy_watch_leave(rpy_waiter *waiter)
{
    if (!rp_node_linked(&waiter->link))
        return;
    rp_list_remove(&waiter->link);
    Py_CLEAR(waiter->object);
}

void rpy_watch_again(rpy_loop *loop, int fd)
{
    watch *of = find(loop->watches, fd);

    if (of && of->registered && control(of, EPOLL_CTL_MOD, wanted(of, 0, false)) < 0)
        of->registered = 0;
}

bool rpy_watch_is_busy(const rpy_loop *loop, int fd, int direction)
{
    const watch *of = find(loop->watches, fd);

    return of && !rp_list_empty(&of->sides[direction].waiting);
}

void rpy_watch_settle(const rpy_loop *loop, int fd)
{
    watch *of = find(loop->watches, fd);

    if (of && of->registered)
        settle(of);
}

/* ---- whose descriptors they are ---- */

int rpy_watch_own(rpy_loop *loop, int fd, PyObject *transport)
{
    place *p = fd < 0 ? NULL : make_place(loop, fd);

    if (!p)
        return fd < 0 ? 0 : -1;
    p->transport = transport;
    return 0;
}

void rpy_watch_disown(rpy_loop *loop, int fd, const PyObject *transport)
{
    place *p = find_place(loop->watches, fd);

    if (!p || p->transport != transport)
        return;
    p->transport = NULL;
    if (!p->watch || loop->loop->closed || rp_loop_is_forked(loop->loop))
        return;
    if (drop_waiting(p->watch))
        settle(p->watch);
}

int rpy_watch_check_free(const rpy_loop *loop, int fd, PyObject *file)
{
    const place *p = find_place(loop->watches, fd);

    if (!p || !p->transport)
        return 0;
    PyObject *transport = Py_NewRef(p->transport);
    PyObject *closing = PyObject_CallMethodNoArgs(transport, loop->state->names.is_closing);
    int is_closing = closing ? PyObject_IsTrue(closing) : -1;
    Py_XDECREF(closing);
    if (is_closing == 0)
        PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", file, transport);
    Py_DECREF(transport);
    return is_closing > 0 ? 0 : -1;
}

/* ---- handles ---- */

int rpy_watch_set_handle(rpy_loop *loop, int fd, int direction, rpy_handle *handle, PyObject *file)
{
    watch *of = prepare(loop, fd);
    int rc = of ? arm(of, events_of[direction], true) : 0;

    if (rc < 0)
        rpy_set_error(loop->state, rc);
    if (!of || rc < 0)
        return -1;
    if (!of->file && file)
        of->file = Py_NewRef(file);
    let_go(exchange_handle(&of->sides[direction], (rpy_handle *)Py_NewRef((PyObject *)handle)));
    return 0;
}

bool rpy_watch_drop_handle(rpy_loop *loop, int fd, int direction)
{
    watch *of = find(loop->watches, fd);

    if (!of || !of->sides[direction].handle)
        return false;
    rpy_handle *handle = exchange_handle(&of->sides[direction], NULL);
    PyObject *file = has_handle(of) ? NULL : of->file;
    if (file)
        of->file = NULL;
    settle(of);
    let_go(handle);
    Py_XDECREF(file);
    return true;
}

int rpy_watch_find_file(const rpy_loop *loop, const PyObject *file)
{
    const rpy_watches *w = loop->watches;

    for (size_t i = 0; w && i < w->count; i++)
        for (size_t j = 0; w->chunks[i] && j < PER_CHUNK; j++)
            if (w->chunks[i][j].watch && w->chunks[i][j].watch->file == file)
                return w->chunks[i][j].watch->fd;
    return -1;
}

/* ---- life ---- */

static void clear_watch(watch *of)
{
    for (int i = 0; i < RPY_DIRECTIONS; i++) {
        rp_node *node;

        if (of->sides[i].handle)
            rpy_handle_discard(of->sides[i].handle);
        drop_handle(&of->sides[i]);
        while ((node = of->sides[i].waiting.next) != &of->sides[i].waiting)
            rpy_watch_leave(rp_container_of(node, rpy_waiter, link));
    }
    Py_CLEAR(of->file);
    Py_CLEAR(of->socket);
}

static int clear(PyObject *object)
{
    rpy_watches *w = (rpy_watches *)object;

    for (size_t i = 0; i < w->count; i++)
        for (size_t j = 0; w->chunks[i] && j < PER_CHUNK; j++)
            if (w->chunks[i][j].watch)
                clear_watch(w->chunks[i][j].watch);
    return 0;
}

/* The loop is closed. In a child of fork() the registrations are the parent's. */
static void dropped(PyObject *object)
{
    rpy_watches *w = (rpy_watches *)object;

    if (w->epoll >= 0)
        close(w->epoll);
    w->epoll = -1;
    w->loop->watches = NULL;
    clear(object);
}

static int traverse_watch(const watch *of, visitproc visit, void *arg)
{
    Py_VISIT(of->file);
    Py_VISIT(of->socket);
    for (int i = 0; i < RPY_DIRECTIONS; i++) {
        const side *s = &of->sides[i];
        int rc = s->handle ? rpy_handle_traverse_pending(&s->handle->core.handle, visit, arg) : 0;

        if (rc)
            return rc;
        for (const rp_node *node = s->waiting.next; node != &s->waiting; node = node->next)
            Py_VISIT(rp_container_of(node, rpy_waiter, link)->object);
    }
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    rpy_watches *w = (rpy_watches *)object;

    Py_VISIT(Py_TYPE(object));
    for (size_t i = 0; i < w->count; i++)
        for (size_t j = 0; w->chunks[i] && j < PER_CHUNK; j++) {
            int rc = w->chunks[i][j].watch ? traverse_watch(w->chunks[i][j].watch, visit, arg) : 0;

            if (rc)
                return rc;
        }
    return 0;
}

static void dealloc(PyObject *object)
{
    rpy_watches *w = (rpy_watches *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    clear(object);
    for (size_t i = 0; i < w->count; i++) {
        for (size_t j = 0; w->chunks[i] && j < PER_CHUNK; j++)
            rp_free(w->chunks[i][j].watch);
        rp_free(w->chunks[i]);
    }
    rp_free(w->chunks);
    type->tp_free(object);
    Py_DECREF((PyObject *)type);
}

static rpy_watches *make_watches(rpy_loop *loop)
{
    rpy_watches *w = (rpy_watches *)PyType_GenericAlloc(loop->state->watches_type, 0);

    if (!w)
        return NULL;
    w->loop = loop;
    w->epoll = -1;
    rp_list_init(&w->due);
    rpy_loop_keep(loop, &w->kept, (PyObject *)w, dropped);
    loop->watches = w;
    Py_DECREF((PyObject *)w);
    return w;
}

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "ringport._core.Watches",
    .basicsize = sizeof(rpy_watches),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int rpy_watch_init(PyObject *module, rpy_state *state)
{
    state->watches_type = rpy_add_type(module, &spec, NULL);
    return state->watches_type ? 0 : -1;
}
