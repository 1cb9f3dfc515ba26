"""add_reader(), add_writer() and their undoing: which descriptors, which order, what each call makes of the others."""

import asyncio
import contextvars
import errno
import gc
import os
import socket
import weakref

import pytest


def turns(loop, count):
    """Runs so many turns."""
    for _ in range(count):
        loop.stop()
        loop.run_forever()


# ---- what is called when ----


def test_a_reader_is_called_for_as_long_as_there_is_something(loop, pair):
    left, right = pair
    seen = []

    def readable(*args):
        seen.append((args, left.recv(2)))
        if len(seen) == 3:
            loop.stop()

    right.send(b"abcdef")
    assert loop.add_reader(left, readable, "one", 2) is None
    loop.run_forever()
    assert seen == [(("one", 2), b"ab"), (("one", 2), b"cd"), (("one", 2), b"ef")]
    turns(loop, 3)
    assert len(seen) == 3
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left) is False


def test_one_that_reads_nothing_is_called_each_turn(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append("called")
        if len(seen) == 5:
            loop.stop()

    right.send(b"x")
    loop.add_reader(left, readable)
    loop.run_forever()
    assert len(seen) == 5
    loop.remove_reader(left)


def test_both_directions(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append(left.recv(10))
        loop.stop()

    def writable():
        seen.append("writable")
        assert loop.remove_writer(left) is True
        right.send(b"now")

    loop.add_reader(left, readable)
    loop.add_writer(left, writable)
    loop.run_forever()
    assert seen == ["writable", b"now"]
    assert loop.remove_writer(left) is False
    assert loop.remove_reader(left) is True


def test_a_writer_waits_for_room(loop, pair):
    left, right = pair
    seen = []
    try:
        while True:
            left.send(bytes(65536))
    except BlockingIOError:
        pass

    def writable():
        seen.append("writable")
        loop.stop()

    loop.add_writer(left, writable)
    turns(loop, 5)
    assert seen == []
    while right.recv(1 << 20):
        try:
            right.recv(1 << 20, socket.MSG_PEEK)
        except BlockingIOError:
            break
    loop.run_forever()
    assert seen == ["writable"]
    loop.remove_writer(left)


def test_the_end_of_the_peer_concerns_both(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append(left.recv(10))
        loop.remove_reader(left)

    def writable():
        seen.append("writable")
        loop.remove_writer(left)
        loop.stop()

    right.close()
    loop.add_reader(left, readable)
    loop.add_writer(left, writable)
    loop.run_forever()
    assert seen == [b"", "writable"]


def test_order_in_a_turn(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append("reader")
        loop.remove_reader(left)
        loop.call_soon(seen.append, "from the reader")

    def soon():
        seen.append("soon")
        loop.call_soon(seen.append, "from soon")

    right.send(b"x")
    loop.add_reader(left, readable)
    loop.call_soon(soon)
    turns(loop, 1)
    assert seen == ["soon", "reader"]
    turns(loop, 1)
    assert seen == ["soon", "reader", "from soon", "from the reader"]


def test_readers_come_before_timers(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append("reader")
        loop.remove_reader(left)

    right.send(b"x")
    loop.call_later(-1, seen.append, "timer")
    loop.add_reader(left, readable)
    turns(loop, 1)
    assert seen == ["reader", "timer"]


def test_a_busy_loop_looks_each_turn(loop, pair):
    left, right = pair
    seen = []

    def busy(number):
        seen.append(number)
        if number == 0:
            right.send(b"x")
            loop.add_reader(left, readable)
        if number < 6:
            loop.call_soon(busy, number + 1)
        else:
            loop.stop()

    def readable():
        seen.append("reader")
        loop.remove_reader(left)

    busy(0)
    loop.run_forever()
    assert seen == [0, 1, "reader", 2, 3, 4, 5, 6]


def test_many_descriptors(loop):
    count = 600
    pairs = [socket.socketpair() for _ in range(count)]
    left = set(range(count))

    def readable(number):
        assert pairs[number][0].recv(10) == str(number).encode()
        assert loop.remove_reader(pairs[number][0])
        left.remove(number)
        if not left:
            loop.stop()

    for number, (here, there) in enumerate(pairs):
        loop.add_reader(here, readable, number)
        there.send(str(number).encode())
    loop.run_forever()
    assert not left
    for here, there in pairs:
        here.close()
        there.close()


def test_pipes(loop):
    here, there = os.pipe()
    seen = []

    def readable():
        seen.append(os.read(here, 10))
        if not seen[-1]:
            loop.stop()

    loop.add_reader(here, readable)
    loop.add_writer(there, lambda: (os.write(there, b"x"), loop.remove_writer(there), os.close(there)))
    loop.run_forever()
    assert seen == [b"x", b""]
    assert loop.remove_reader(here)
    os.close(here)


# ---- replacing and removing ----


def test_a_second_one_replaces_the_first(loop, pair):
    left, right = pair
    seen = []
    right.send(b"x")
    first = loop._add_reader(left, seen.append, "first")
    second = loop._add_reader(left, seen.append, "second")
    assert isinstance(first, asyncio.Handle)
    assert first.cancelled() and not second.cancelled()
    turns(loop, 1)
    assert seen == ["second"]
    assert loop._remove_reader(left) is True
    assert second.cancelled()


@pytest.mark.own("asyncio's handles hold a callback until the collector finds it")
def test_one_that_adds_another_when_it_goes(loop, pair):
    left, right = pair
    called = []

    class Callback:
        def __init__(self, name):
            self.name = name

        def __call__(self):
            called.append(self.name)
            loop.remove_reader(left)

    class Successor(Callback):
        def __del__(self):
            inner = Callback("inner")
            gone.append(weakref.ref(inner))
            loop.add_reader(left, inner)

    gone = []
    loop.add_reader(left, Successor("old"))
    loop.add_reader(left, Callback("outer"))
    right.send(b"x")
    turns(loop, 3)
    assert called == ["inner"]
    assert gone[0]() is None


def test_one_that_is_replaced_in_its_turn_is_not_called(loop, pair):
    left, right = pair
    other, peer = socket.socketpair()
    seen = []

    def both(me, them):
        seen.append("first")
        loop.add_reader(them, replacement, them)
        loop.remove_reader(me)

    def replacement(me):
        seen.append("replacement")
        loop.remove_reader(me)

    with other, peer:
        right.send(b"x")
        peer.send(b"x")
        loop.add_reader(left, both, left, other)
        loop.add_reader(other, both, other, left)
        turns(loop, 1)
        assert seen == ["first"]
        turns(loop, 1)
        assert seen == ["first", "replacement"]


def test_one_that_is_removed_in_its_turn_is_not_called(loop, pair):
    left, right = pair
    other, peer = socket.socketpair()
    seen = []

    def both(me, them):
        seen.append(me)
        assert loop.remove_reader(them)
        assert loop.remove_reader(me)

    with other, peer:
        right.send(b"x")
        peer.send(b"x")
        loop.add_reader(left, both, left, other)
        loop.add_reader(other, both, other, left)
        turns(loop, 3)
        assert len(seen) == 1


def test_removing_and_adding_inside(loop, pair):
    left, right = pair
    seen = []

    def second():
        seen.append(("second", left.recv(1)))
        loop.stop()

    def first():
        seen.append(("first", left.recv(1)))
        loop.remove_reader(left)
        loop.add_reader(left, second)

    right.send(b"ab")
    loop.add_reader(left, first)
    loop.run_forever()
    assert seen == [("first", b"a"), ("second", b"b")]
    loop.remove_reader(left)


def test_a_cancelled_handle_ends_it(loop, pair):
    left, right = pair
    seen = []
    handle = loop._add_reader(left, seen.append, "called")
    handle.cancel()
    right.send(b"x")
    turns(loop, 3)
    assert seen == []


def test_a_number_and_its_object_are_the_same(loop, pair):
    left, right = pair
    loop.add_reader(left, print)
    loop.add_writer(left.fileno(), print)
    assert loop.remove_reader(left.fileno()) is True
    assert loop.remove_writer(left) is True


# ---- closing ----


def test_an_object_can_be_removed_after_it_was_closed(loop):
    left, right = socket.socketpair()
    with right:
        loop.add_reader(left, print)
        left.close()
        assert loop.remove_reader(left) is True
        with pytest.raises(ValueError):
            loop.remove_reader(left)


def test_closing_without_removing_ends_the_connection(loop):
    left, right = socket.socketpair()
    with right:
        loop.add_reader(left, print)
        turns(loop, 2)
        number = left.fileno()
        left.close()
        right.settimeout(60)
        assert right.recv(1) == b""
        assert loop.remove_reader(number) is True


@pytest.mark.own("asyncio's selectors refuse the number, or watch nothing")
@pytest.mark.parametrize("before", ["add_reader", "add_writer"])
def test_a_number_that_was_closed_and_used_again(loop, before):
    left, right = socket.socketpair()
    seen = []
    getattr(loop, before)(left.fileno(), seen.append, "of the closed one")
    if before == "add_reader":
        turns(loop, 1)
    number = left.fileno()
    left.close()
    right.close()
    one, other = socket.socketpair()
    with one, other:
        again, peer = (one, other) if one.fileno() == number else (other, one)
        assert again.fileno() == number

        def readable():
            seen.append(again.recv(10))
            loop.stop()

        peer.send(b"x")
        loop.add_reader(number, readable)
        loop.run_forever()
        assert seen == [b"x"]
        assert loop.remove_reader(number) is True
        assert loop.remove_writer(number) is False


def test_a_number_that_is_used_again_is_not_watched(loop):
    left, right = socket.socketpair()
    seen = []
    loop.add_reader(left.fileno(), seen.append, "of the closed one")
    number = left.fileno()
    left.close()
    right.close()
    one, other = socket.socketpair()
    with one, other:
        assert number in (one.fileno(), other.fileno())
        one.send(b"x")
        other.send(b"x")
        turns(loop, 3)
        assert seen == []


@pytest.mark.own("asyncio's loop never sleeps again")
@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_lives_on_under_another_number(loop, pair, again):
    left, right = pair
    here, there = os.pipe()
    seen = []
    loop.add_reader(here, seen.append, "of the closed one")
    loop.add_reader(left, lambda: seen.append(left.recv(10)))
    turns(loop, 1)
    kept = os.dup(here)
    os.close(here)
    if again:
        os.dup2(right.fileno(), here)
    else:
        assert loop.remove_reader(here) is True
    os.write(there, b"x")
    seen.clear()
    turns(loop, 1)
    if again:
        loop.remove_reader(here)
        os.close(here)
    turns(loop, 5)
    right.send(b"abc")
    before = loop.stats()["turns"]
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert loop.stats()["turns"] - before < 20
    assert seen[-1] == b"abc"
    loop.remove_reader(left)
    os.close(kept)
    os.close(there)


def test_a_closed_loop(new_loop, pair):
    loop = new_loop()
    loop.add_reader(pair[0], print)
    loop.close()
    assert loop.remove_reader(pair[0]) is False
    assert loop.remove_writer(pair[0]) is False
    for add in loop.add_reader, loop.add_writer:
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            add(pair[0], print)


def test_a_loop_that_is_closed_lets_go(new_loop, pair):
    loop = new_loop()

    class Callback:
        def __call__(self):
            pass

    callback = Callback()
    alive = weakref.ref(callback)
    loop.add_reader(pair[0], callback)
    loop.add_writer(pair[0], callback)
    del callback
    loop.close()
    gc.collect()
    assert alive() is None


# ---- bad descriptors ----


@pytest.mark.parametrize("bad", ["text", None, object(), -1, socket.socket])
def test_what_is_no_descriptor(loop, bad):
    for method in loop.add_reader, loop.add_writer:
        with pytest.raises(ValueError, match="Invalid file (descriptor: -1|object: )"):
            method(bad, print)
    for method in loop.remove_reader, loop.remove_writer:
        with pytest.raises(ValueError, match="Invalid file (descriptor: -1|object: )"):
            method(bad)


def test_a_number_that_is_not_open(loop):
    for add in loop.add_reader, loop.add_writer:
        with pytest.raises(OSError) as caught:
            add(100_000, print)
        assert caught.value.errno == errno.EBADF
    assert loop.remove_reader(100_000) is False
    assert loop.remove_writer(1 << 80) is False


def test_a_regular_file(loop, tmp_path):
    with open(tmp_path / "file", "w") as file:
        for add in loop.add_reader, loop.add_writer:
            with pytest.raises(PermissionError):
                add(file, print)
        assert loop.remove_reader(file) is False


def test_missing_arguments(loop, pair):
    with pytest.raises(TypeError):
        loop.add_reader(pair[0])
    with pytest.raises(TypeError):
        loop.remove_reader()


# ---- contexts and errors ----


def test_the_context_is_that_of_adding(loop, pair):
    left, right = pair
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    def readable():
        seen.append(variable.get())
        variable.set(f"{variable.get()} again")
        if len(seen) == 2:
            loop.stop()

    right.send(b"x")
    variable.set("when it was added")
    loop.add_reader(left, readable)
    variable.set("later")
    loop.run_forever()
    assert seen == ["when it was added", "when it was added again"]
    assert variable.get() == "later"
    loop.remove_reader(left)


def test_an_error_goes_to_the_exception_handler_each_time(loop, pair):
    left, right = pair
    seen = []

    def handler(loop, context):
        seen.append(context)
        if len(seen) == 2:
            loop.stop()

    def readable():
        1 / 0

    right.send(b"x")
    loop.set_exception_handler(handler)
    loop.add_reader(left, readable)
    loop.run_forever()
    assert [type(context["exception"]) for context in seen] == [ZeroDivisionError] * 2
    assert isinstance(seen[0]["handle"], asyncio.Handle)
    assert "readable" in seen[0]["message"]
    loop.remove_reader(left)
    seen.clear()


def test_keyboard_interrupt_loses_no_reader(loop, pair):
    left, right = pair
    other, peer = socket.socketpair()
    seen = []

    def readable(number):
        seen.append(number)
        if len(seen) == 1:
            raise KeyboardInterrupt
        if len(set(seen)) == 2:
            loop.stop()

    with other, peer:
        right.send(b"x")
        peer.send(b"x")
        loop.add_reader(left, readable, 1)
        loop.add_reader(other, readable, 2)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert len(seen) == 1
        loop.run_forever()
        assert set(seen) == {1, 2}
        loop.remove_reader(left)
        loop.remove_reader(other)


def test_repr_of_a_running_one(loop, pair):
    left, right = pair
    seen = []

    def readable():
        seen.append(repr(handle))
        loop.stop()

    right.send(b"x")
    handle = loop._add_reader(left, readable)
    loop.run_forever()
    assert "readable" in seen[0]
    loop.remove_reader(left)


def test_debug_mode(loop, pair):
    left, right = pair
    loop.set_debug(True)
    seen = []

    def readable():
        seen.append(left.recv(1))
        if len(seen) == 2:
            loop.stop()

    right.send(b"ab")
    loop.add_reader(left, readable)
    loop.run_forever()
    assert seen == [b"a", b"b"]
    loop.remove_reader(left)


class Closing:
    """A callback whose end closes the loop."""

    def __init__(self, loop):
        self.loop = loop

    def __call__(self):
        pass

    def __del__(self):
        self.loop.close()


def test_a_handle_that_closes_the_loop_when_it_is_removed(loop_factory, pair):
    loop = loop_factory()
    loop.add_reader(pair[0], Closing(loop))
    assert loop.remove_reader(pair[0])
    assert loop.is_closed()


def test_a_handle_that_closes_the_loop_when_it_is_replaced(loop_factory, pair):
    loop = loop_factory()
    loop.add_writer(pair[0], Closing(loop))
    loop.add_writer(pair[0], print)
    assert loop.is_closed()


@pytest.mark.own("asyncio registers the new file, and has the loop closed then")
def test_a_handle_that_closes_the_loop_when_its_number_is_another_files(loop_factory, pair):
    loop = loop_factory()
    old = os.dup(pair[0].fileno())
    loop.add_reader(old, Closing(loop))
    os.close(old)
    assert os.dup(pair[1].fileno()) == old
    try:
        with pytest.raises(RuntimeError, match="^Event loop is closed$"):
            loop.add_reader(old, print)
    finally:
        os.close(old)
    assert loop.is_closed()
