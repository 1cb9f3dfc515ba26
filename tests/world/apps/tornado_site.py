"""tornado_site.py PORT WAY: a site that says which loop it is on, run in one of Tornado's ways until a signal.

It prints a line in each process that is ready for the signal.
"""

import asyncio
import signal
import sys
import threading

from tornado import httpserver, netutil, process, web
from tornado.ioloop import IOLoop

PORT = int(sys.argv[1])


class Hello(web.RequestHandler):
    async def get(self):
        assert IOLoop.current().asyncio_loop is asyncio.get_running_loop()
        self.write(type(asyncio.get_running_loop()).__module__.split(".")[0])


application = web.Application([("/", Hello)])


def run_until_signal(loop):
    """Runs a loop of Tornado's that a handler of signals stops."""
    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(loop.stop))
    print("ready", flush=True)
    loop.start()


async def serve():
    """Serves as a coroutine does."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    application.listen(PORT, "127.0.0.1")
    print("ready", flush=True)
    await stopping.wait()


def start():
    application.listen(PORT, "127.0.0.1")
    run_until_signal(IOLoop.current())


def run_sync():
    IOLoop.current().run_sync(serve)


def asyncio_run():
    asyncio.run(serve())


def thread():
    """The loop is another thread's. This one stops it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    loop = None

    def run():
        nonlocal loop
        loop = IOLoop()
        application.listen(PORT, "127.0.0.1")
        print("ready", flush=True)
        loop.start()
        loop.close()

    running = threading.Thread(target=run)
    running.start()
    signal.sigwait([signal.SIGTERM])
    loop.add_callback(loop.stop)
    running.join()


def fork():
    """Two processes share the socket. Their parent waits for them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sockets = netutil.bind_sockets(PORT, "127.0.0.1")
    process.fork_processes(2)
    httpserver.HTTPServer(application).add_sockets(sockets)
    run_until_signal(IOLoop.current())


{way.__name__: way for way in (start, run_sync, asyncio_run, thread, fork)}[sys.argv[2]]()
