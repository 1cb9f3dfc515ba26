"""A kernel of IPython's on the loop, and its asynchronous client: cells, displays, input, interrupts, errors, a restart."""

import asyncio
import contextlib
import json
import sys

import pytest
from cases import on_loop
from jupyter_client.manager import AsyncKernelManager
from loops import LOOP, check, python

PACKAGES = ["jupyter_client", "ipykernel", "pyzmq"]
PATIENCE = 100  # seconds, for hangs alone


class Outputs:
    """What a cell prints and shows."""

    def __init__(self):
        self.printed = ""
        self.results = []

    def __call__(self, message):
        content = message["content"]
        if message["msg_type"] == "stream":
            self.printed += content["text"]
        elif message["msg_type"] in ("execute_result", "display_data"):
            self.results.append(content["data"]["text/plain"])


async def run(client, code, **options):
    """Has a cell run; gives the reply and the outputs."""
    outputs = Outputs()
    reply = await client.execute_interactive(code, output_hook=outputs, timeout=PATIENCE, **options)
    return reply["content"], outputs


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The manager of a kernel that is started on the loop that this run is about."""
    folder = tmp_path / "kernels/ours"
    folder.mkdir(parents=True)
    command = [*python("-m", "ipykernel_launcher", "-f"), "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "ours", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return AsyncKernelManager(kernel_name="ours")


@contextlib.asynccontextmanager
async def connected(manager):
    """A kernel, and a client that is ready."""
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


@on_loop
async def test_cells(manager):
    check()
    async with connected(manager) as client:
        reply, outputs = await run(client, "import asyncio; type(asyncio.get_running_loop()).__module__.split('.')[0]")
        assert reply["status"] == "ok" and outputs.results == [repr(LOOP)]
        assert (await run(client, "n = 20; n + 1"))[1].results == ["21"]
        assert (await run(client, "for i in range(n): print(i)"))[1].printed.split() == [str(i) for i in range(20)]
        assert (await run(client, "await asyncio.sleep(0.01); display(n); n * 2"))[1].results == ["20", "40"]
        reply, _ = await run(client, "1 / 0")
        assert (reply["status"], reply["ename"]) == ("error", "ZeroDivisionError")
        reply, outputs = await run(client, "!echo from a shell")
        assert outputs.printed.strip() == "from a shell"


@on_loop
async def test_input(manager):
    async with connected(manager) as client:
        answers = iter(["one", "two"])
        outputs = await run(
            client, "[input('? ') for _ in range(2)]", allow_stdin=True, stdin_hook=lambda _: client.input(next(answers))
        )
        assert outputs[1].results == ["['one', 'two']"]


COMPUTES = "print('begun', flush=True)\nwhile True: pass"
AWAITS = "import asyncio; asyncio.get_running_loop().call_soon(print, 'begun'); await asyncio.sleep(3600)"


@pytest.mark.parametrize("code", [COMPUTES, AWAITS], ids=["computes", "awaits"])
@on_loop
async def test_interrupt(manager, code):
    async with connected(manager) as client:
        begun = asyncio.Event()

        def hook(message):
            if message["msg_type"] == "stream":
                begun.set()

        cell = asyncio.create_task(client.execute_interactive(code, output_hook=hook, timeout=PATIENCE))
        await begun.wait()
        await manager.interrupt_kernel()
        reply = (await cell)["content"]
        assert reply["status"] == "error" and reply["ename"] in ("KeyboardInterrupt", "CancelledError")
        assert (await run(client, "6 * 7"))[1].results == ["42"]


@on_loop
async def test_restart(manager):
    async with connected(manager) as client:
        await run(client, "n = 1")
        await manager.restart_kernel(now=True)
        await client.wait_for_ready(timeout=PATIENCE)
        assert (await run(client, "n"))[0]["ename"] == "NameError"
        assert sys.executable in str((await run(client, "import sys; sys.executable"))[1].results)
