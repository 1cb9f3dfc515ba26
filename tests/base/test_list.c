/*
 * test_list.c - intrusive lists.
 */
#include "harness/harness.h"

#include "base/list.h"

typedef struct item {
    int number;
    rp_node link;
} item;

static item items[6];
static rp_node list;

static void set_up(int count)
{
    rp_list_init(&list);
    for (int i = 0; i < count; i++) {
        items[i] = (item){.number = i};
        CHECK(!rp_node_linked(&items[i].link));
        rp_list_push(&list, &items[i].link);
        CHECK(rp_node_linked(&items[i].link));
    }
}

/* Checks a list's numbers, as decimal digits, in both directions. */
static void check_list(const rp_node *head, const char *digits)
{
    const rp_node *node = head;

    for (; *digits; digits++) {
        CHECK(node->next->prev == node);
        node = node->next;
        CHECK(node != head);
        CHECK_INT(rp_container_of(node, item, link)->number, ==, *digits - '0');
    }
    CHECK(node->next == head);
    CHECK(head->prev == node);
}

TEST(push_and_pop_are_first_in_first_out)
{
    set_up(3);
    check_list(&list, "012");
    for (int i = 0; i < 3; i++) {
        rp_node *node = rp_list_pop(&list);
        CHECK(node == &items[i].link);
        CHECK(!rp_node_linked(node));
    }
    CHECK(rp_list_pop(&list) == NULL);
    CHECK(rp_list_empty(&list));
}

TEST(push_front_and_insert)
{
    set_up(2);
    items[2].number = 2;
    rp_list_push_front(&list, &items[2].link);
    check_list(&list, "201");
    items[3].number = 3;
    rp_list_insert(&items[1].link, &items[3].link);
    check_list(&list, "2031");
}

TEST(remove_anywhere)
{
    set_up(4);
    rp_list_remove(&items[1].link);
    CHECK(!rp_node_linked(&items[1].link));
    check_list(&list, "023");
    rp_list_remove(&items[0].link);
    rp_list_remove(&items[3].link);
    check_list(&list, "2");
    rp_list_remove(&items[2].link);
    CHECK(rp_list_empty(&list));
}

TEST(splice_moves_all_to_the_end)
{
    rp_node other;

    set_up(2);
    rp_list_init(&other);
    rp_list_splice(&list, &other);
    check_list(&list, "01");
    for (int i = 2; i < 4; i++) {
        items[i].number = i;
        rp_list_push(&other, &items[i].link);
    }
    rp_list_splice(&list, &other);
    check_list(&list, "0123");
    CHECK(rp_list_empty(&other));
    rp_list_splice(&other, &list);
    check_list(&other, "0123");
    CHECK(rp_list_empty(&list));
}
