"""The interpreter's end, and the module's: loops that are left, in whatever state they are."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.own("asyncio's loops are Python's own business")

BEGIN = """
import asyncio, os, signal, socket, sys, threading
import ringport
"""

LEFT = {
    "callbacks": "loop.call_soon(print, loop); loop.call_later(5, print, loop); handle = loop.call_later(6, print)",
    "tasks": "task = loop.create_task(asyncio.sleep(9)); loop.run_until_complete(asyncio.sleep(0))",
    "a stopped run": "loop.call_soon(loop.stop); loop.call_soon(int); loop.run_forever(); loop.call_soon(print)",
    "signal handlers": "loop.add_signal_handler(signal.SIGUSR1, print); loop.add_signal_handler(signal.SIGINT, loop.stop)",
    "readers": "ends = socket.socketpair(); loop.add_reader(ends[0], print, loop); loop.add_writer(ends[1], loop.stop)",
    "operations": "ends = socket.socketpair(); ends[0].setblocking(False)\n"
    "task = loop.create_task(loop.sock_recv(ends[0], 10)); loop.run_until_complete(asyncio.sleep(0))",
    "streams": "async def main():\n"
    "    global server, reader, writer\n"
    "    server = await asyncio.start_server(lambda reader, writer: reader.read(), '127.0.0.1', 0)\n"
    "    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
    "    writer.write(b'data')\n"
    "    await asyncio.sleep(0.001)\n"
    "loop.run_until_complete(main())",
    "threads": "loop.run_until_complete(loop.run_in_executor(None, int))",
    "asynchronous generators": "async def generate():\n    try:\n        yield 1\n"
    "    finally:\n        await asyncio.sleep(0)\n"
    "generator = generate()\n"
    "async def main():\n    await anext(generator)\n"
    "loop.run_until_complete(main())",
    "a failure": "def fail(): raise SystemExit\n"
    "loop.call_soon(fail); loop.call_soon(print)\n"
    "try:\n    loop.run_forever()\nexcept SystemExit:\n    pass",
    "a closed loop": "handles = [loop.call_soon(print), loop.call_later(1, print, loop)]; loop.close()",
    "a late object": "class Late:\n    def __del__(self):\n        try:\n            self.loop.call_soon(int)\n"
    "            self.loop.call_later(1, int).cancel()\n            self.loop.close()\n"
    "        except (RuntimeError, TypeError):\n            pass\n"
    "late = Late(); late.loop = loop; late.late = late",
}

# Where the loop is held in the end: what is freed when depends on it.
HELD = {
    "nowhere": "del loop",
    "in the module": "import __main__; setattr(__main__, f'held{number}', loop)",
    "in a cycle": "loop.cycle = [loop, globals()]; del loop",
    "in modules": "sys.modules[f'held{number}'] = loop; sys.held = loop",
    "by the policy": "asyncio.set_event_loop(loop)",
}


LOOP_FOR_EACH = """
for number, held in enumerate({held}):
    names = dict(globals(), loop=ringport.Loop(), number=number)
    names["loop"].set_debug({debug})
    exec({left!r}, names)
    exec(held, names)
del names
"""


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("debug", [False, True])
def test_loop_that_is_left(left, debug):
    program = BEGIN + LOOP_FOR_EACH.format(held=list(HELD.values()), debug=debug, left=left)
    options = ["-X", "dev"] if debug else ["-X", "faulthandler"]
    done = subprocess.run([sys.executable, *options, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("busy", [False, True])
def test_threads_that_run_loops(busy):
    program = BEGIN + (
        "loop = ringport.Loop()\n"
        "begun = threading.Semaphore(0)\n"
        "def spin(loop):\n    loop.call_soon(spin, loop)\n"
        "def run():\n    loop = ringport.Loop()\n    loop.call_soon(begun.release)\n"
        f"    if {busy}: spin(loop)\n    loop.run_forever()\n"
        "for _ in range(3):\n    threading.Thread(target=run, daemon=True).start()\n"
        "for _ in range(3):\n    begun.acquire()\n"
        "loop.run_until_complete(asyncio.sleep(0.001)); loop.close()\n"
        "sys.exit(5)"
    )
    done = subprocess.run([sys.executable, "-X", "faulthandler", "-c", program], stderr=subprocess.PIPE)
    assert done.returncode == 5, done.stderr.decode()


def test_module_that_is_imported_again():
    program = (
        "import asyncio, gc, sys, weakref\n"
        "def use():\n"
        "    import ringport\n"
        "    loops = [ringport.Loop() for _ in range(2)]\n"
        "    assert loops[0].run_until_complete(asyncio.sleep(0.001, 7)) == 7\n"
        "    loops[0].call_soon(print, loops)\n"
        "    loops[0].close()\n"
        "    loops[1].close()\n"
        "    module = weakref.ref(sys.modules['ringport._core'])\n"
        "    for name in [name for name in sys.modules if name.startswith('ringport')]:\n"
        "        del sys.modules[name]\n"
        "    return module, loops[1]\n"
        "modules, loops = zip(*(use() for _ in range(5)))\n"
        "gc.collect()\n"
        "assert all(module() for module in modules), 'a loop has its module'\n"
        "assert all(loop.is_closed() for loop in loops)\n"
        "del loops\n"
        "gc.collect()\n"
        "print([module() is None for module in modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stdout) == (0, b"[True, True, True, True, True]\n"), done.stderr.decode()
