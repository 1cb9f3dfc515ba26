"""Child processes: subprocess_exec() and subprocess_shell(), and what asyncio makes of them."""

import asyncio
import asyncio.subprocess

import pytest


async def exit_code(*command, **kwargs):
    process = await asyncio.create_subprocess_exec(*command, **kwargs)
    return await process.wait()


async def test_exit_codes():
    assert await exit_code("true") == 0
    assert await exit_code("sh", "-c", "exit 255") == 255
    assert await exit_code("sh", "-c", "kill -9 $$") == -9
    process = await asyncio.create_subprocess_shell("exit 7")
    assert process.returncode is None
    assert await process.wait() == process.returncode == 7
    assert await process.wait() == 7


@pytest.mark.parametrize("kwargs", [{}, {"preexec_fn": int}])
async def test_no_such_program(kwargs):
    with pytest.raises(FileNotFoundError) as raised:
        await asyncio.create_subprocess_exec("/no/such/program", "argument", **kwargs)
    assert raised.value.filename == "/no/such/program"
    with pytest.raises(FileNotFoundError) as raised:
        await asyncio.create_subprocess_exec("no-such-program", **kwargs)
    assert raised.value.filename == "no-such-program"
    with pytest.raises(FileNotFoundError) as raised:
        await asyncio.create_subprocess_exec("true", cwd="/no/such/directory", **kwargs)
    assert raised.value.filename == "/no/such/directory"
    with pytest.raises(PermissionError) as raised:
        await asyncio.create_subprocess_exec("/etc/passwd", **kwargs)
    assert raised.value.filename == "/etc/passwd"
