/*
 * report.c - the core's reports, in asyncio's words.
 *
 * The core reports what no caller can be told, and what neither a peer nor the network may cause: most often a lack of
 * memory or of descriptors.
 */
#include "report.h"

#include "datagram.h"
#include "loop/exception.h"
#include "protocol.h"

static const char *text_of(rp_where where, const rpy_transport *transport)
{
    bool piped = transport && transport->piped;

    if (transport && transport->below)
        return "Fatal error on SSL protocol";
    switch (where) {
    case RP_WHERE_READER:
        return "Fatal error on the descriptor of a reader or writer";
    case RP_WHERE_ACCEPT:
        return "socket.accept() out of system resource";
    case RP_WHERE_PROTOCOL_FACTORY:
        return "Error on transport creation for incoming connection";
    case RP_WHERE_READ_START:
    case RP_WHERE_READ:
    case RP_WHERE_READ_MEMORY:
    case RP_WHERE_GET_BUFFER:
        return piped ? "Fatal read error on pipe transport" : "Fatal read error on socket transport";
    case RP_WHERE_WRITE_START:
    case RP_WHERE_WRITE:
    case RP_WHERE_WRITE_MEMORY:
    case RP_WHERE_WRITE_EOF:
        return piped ? "Fatal write error on pipe transport" : "Fatal write error on socket transport";
    default:
        return "Error in the event loop";
    }
}

/* In a thread of the loop's own: it has the GIL. */
static void report(rp_loop *core, const rp_report *report)
{
    rpy_loop *self = core->slots[RP_SLOT_FACE];
    rpy_transport *transport = report->transport ? rpy_protocol_transport(report->transport) : NULL;
    PyObject *error = NULL;

    if (report->transport && !transport)
        transport = rpy_datagram_object(report->transport);
    if (report->error) {
        error = transport ? rpy_connection_error(transport, report->error)
                          : rpy_error_object(self->state, report->error);
        if (!error)
            PyErr_Clear();
    }
    if (transport && error)
        rpy_connection_report(transport, error, text_of(report->where, transport));
    else
        rpy_loop_call_exception_handler(self, text_of(report->where, transport), error, NULL);
    Py_XDECREF(error);
}

void rpy_report_install(rpy_loop *self)
{
    self->loop->slots[RP_SLOT_FACE] = self;
    self->loop->reporter = report;
}
