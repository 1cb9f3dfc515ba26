/*
 * slot.h - where a tenant finds what it has in a loop: loop->slots[...], NULL until it puts something there.
 *
 * A tenant is what a loop has at most one of. The loop looks into no slot: what is to happen at its end, a tenant says
 * by a resource. A new tenant is a line here.
 */
#ifndef RP_LOOP_SLOT_H
#define RP_LOOP_SLOT_H

enum {
    RP_SLOT_READERS,        /* readers.c */
    RP_SLOT_SIGNALS,        /* signals_posix.c, signals_windows.c */
    RP_SLOT_EXECUTOR,       /* executor.c: the default one */
    RP_SLOT_NOTIFIER,       /* watch_source_linux.c */
    RP_SLOT_GENERATORS,     /* generators.c: the hook */
    RP_SLOT_GENERATORS_ARG, /* and its argument */
    RP_SLOT_AGENS,          /* the hook of src/co/agen.c, which is called first */
    RP_SLOT_AGENS_OVER,     /* not NULL: they have been shut down */
    RP_SLOT_NAMES,          /* src/net/names.c */
    RP_SLOT_COROUTINES,     /* src/co/runtime.c */
    RP_SLOT_DATAGRAMS,      /* src/net/datagram_batch.c */
    RP_SLOT_TLS,            /* src/tls/wire.c */
    RP_SLOT_FACE,           /* a face of its own, such as Python's: its loop object */
    RP_SLOTS
};

#endif
