/*
 * readers.h - add_reader() and its like, as methods of the Loop.
 */
#ifndef RPY_READERS_H
#define RPY_READERS_H

#include "loop.h"

PyObject *rpy_ensure_fd_no_transport(PyObject *loop, PyObject *file);
PyObject *rpy_add_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_add_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_remove_reader(PyObject *loop, PyObject *file);
PyObject *rpy_remove_writer(PyObject *loop, PyObject *file);
PyObject *rpy_add_own_reader(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_add_own_writer(PyObject *loop, PyObject *const *args, Py_ssize_t count);
PyObject *rpy_remove_own_reader(PyObject *loop, PyObject *file);
PyObject *rpy_remove_own_writer(PyObject *loop, PyObject *file);

/* clang-format off */
#define RPY_READER_METHODS                                                                                             \
    {"_ensure_fd_no_transport", rpy_ensure_fd_no_transport, METH_O,                                                   \
     PyDoc_STR("_ensure_fd_no_transport(fd, /)\n--\n\nRaise RuntimeError if the descriptor is a transport's.")},   \
    {"add_reader", (PyCFunction)(void (*)(void))rpy_add_reader, METH_FASTCALL,                                        \
     PyDoc_STR("add_reader(fd, callback, /, *args)\n--\n\n"                                                           \
               "Run callback(*args) in every turn in which the descriptor is readable.")},                            \
    {"add_writer", (PyCFunction)(void (*)(void))rpy_add_writer, METH_FASTCALL,                                        \
     PyDoc_STR("add_writer(fd, callback, /, *args)\n--\n\n"                                                           \
               "Run callback(*args) in every turn in which the descriptor is writable.")},                            \
    {"remove_reader", rpy_remove_reader, METH_O,                                                                      \
     PyDoc_STR("remove_reader(fd, /)\n--\n\nUndo add_reader(). Return whether there was one.")},                      \
    {"remove_writer", rpy_remove_writer, METH_O,                                                                      \
     PyDoc_STR("remove_writer(fd, /)\n--\n\nUndo add_writer(). Return whether there was one.")},                      \
    {"_add_reader", (PyCFunction)(void (*)(void))rpy_add_own_reader, METH_FASTCALL,                                   \
     PyDoc_STR("_add_reader(fd, callback, /, *args)\n--\n\nadd_reader() for transports. Return the Handle.")},        \
    {"_add_writer", (PyCFunction)(void (*)(void))rpy_add_own_writer, METH_FASTCALL,                                   \
     PyDoc_STR("_add_writer(fd, callback, /, *args)\n--\n\nadd_writer() for transports. Return the Handle.")},        \
    {"_remove_reader", rpy_remove_own_reader, METH_O,                                                                 \
     PyDoc_STR("_remove_reader(fd, /)\n--\n\nremove_reader() for transports.")},                                      \
    {"_remove_writer", rpy_remove_own_writer, METH_O,                                                                 \
     PyDoc_STR("_remove_writer(fd, /)\n--\n\nremove_writer() for transports.")}
/* clang-format on */

#endif
