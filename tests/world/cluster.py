"""A cluster of Dask's: a scheduler and its workers, each a process on the loop, by TCP or TLS."""

import contextlib
import os
import pathlib
import tempfile

from distributed import Client
from loops import LOOP, python
from servers import free_port, started


def loop_of():
    """Where the loop that this is called on comes from."""
    import asyncio

    return type(asyncio.get_running_loop()).__module__.split(".")[0]


async def loop_of_task():
    """The same as a coroutine, which workers and the scheduler run on theirs."""
    return loop_of()


class Cluster:
    """`address` is the scheduler's, `workers` are the processes. All of it ends with the block."""

    def __init__(self, workers=4, memory="1GiB", certificate=None):
        self.count, self.memory, self.certificate = workers, memory, certificate
        self.running = contextlib.ExitStack()

    def __enter__(self):
        self.folder = self.running.enter_context(tempfile.TemporaryDirectory())
        self.port = free_port()
        self.address = f"{'tls' if self.certificate else 'tcp'}://127.0.0.1:{self.port}"
        scheduler = ["distributed.cli.dask_scheduler", "--port", str(self.port), "--no-dashboard", "--no-show"]
        try:
            self.scheduler = self.start(*scheduler, addresses=[("127.0.0.1", self.port)])
            self.workers = [self.start_worker() for _ in range(self.count)]
        except BaseException:
            self.running.close()
            raise
        return self

    def __exit__(self, *_):
        self.running.close()

    def start(self, module, *arguments, addresses=()):
        """One of Dask's programs."""
        if self.certificate:
            files = self.certificate.certificate, self.certificate.certificate, self.certificate.key
            for name, file in zip(("--tls-ca-file", "--tls-cert", "--tls-key"), files):
                arguments = (*arguments, name, str(file))
        command = python("-m", module, "--host", "127.0.0.1", *arguments)
        # Functions of a module go over by its name: the modules of this folder are to be found there.
        path = [str(pathlib.Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
        return self.running.enter_context(started(command, *addresses, env=environment, cwd=self.folder))

    def start_worker(self, *more):
        """One more worker: one thread, and so much memory before it spills."""
        options = ["--nthreads", "1", "--memory-limit", self.memory, "--local-directory", self.folder, "--no-dashboard"]
        more = more or ("--no-nanny",)
        return self.start("distributed.cli.dask_worker", self.address, *options, *more)

    def client(self, **options):
        """A client of it, which has to be entered."""
        if self.certificate:
            from distributed.security import Security

            file, key = str(self.certificate.certificate), str(self.certificate.key)
            options["security"] = Security(tls_ca_file=file, tls_client_cert=file, tls_client_key=key, require_encryption=True)
        return Client(self.address, **options)

    async def ready(self, client, count=None):
        """Waits for the workers, and shows that everybody is on the loop."""
        await client.wait_for_workers(count or self.count)
        found = await client.run(loop_of_task)
        found["the scheduler"] = await client.run_on_scheduler(loop_of_task)
        assert set(found.values()) == {LOOP}, found
