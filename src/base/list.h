/*
 * list.h - intrusive doubly linked lists in a ring: the head is a node too, and an empty list's head names itself.
 *
 * A node that is in no list has both links NULL; every function that takes a node out leaves it so.
 */
#ifndef RP_BASE_LIST_H
#define RP_BASE_LIST_H

#include "ringport/base.h"

#define rp_container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void rp_list_init(rp_node *list)
{
    list->next = list->prev = list;
}

static inline bool rp_list_empty(const rp_node *list)
{
    return list->next == list;
}

static inline bool rp_node_linked(const rp_node *node)
{
    return node->next;
}

/* Inserts a node before `position`; before the head means at the end. */
static inline void rp_list_insert(rp_node *position, rp_node *node)
{
    node->next = position;
    node->prev = position->prev;
    position->prev->next = node;
    position->prev = node;
}

static inline void rp_list_push(rp_node *list, rp_node *node)
{
    rp_list_insert(list, node);
}

static inline void rp_list_push_front(rp_node *list, rp_node *node)
{
    rp_list_insert(list->next, node);
}

static inline void rp_list_remove(rp_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

/* Takes the first node out; NULL if there is none. */
static inline rp_node *rp_list_pop(rp_node *list)
{
    rp_node *node = list->next;

    if (node == list)
        return NULL;
    rp_list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void rp_list_splice(rp_node *to, rp_node *from)
{
    if (rp_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    rp_list_init(from);
}

#endif
