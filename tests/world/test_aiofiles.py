"""Files read, written, iterated and listed in threads; a hundred at once; temporary ones."""

import asyncio
import os

import aiofiles
import aiofiles.os
import aiofiles.tempfile
import payload
import pytest
from cases import on_loop

PACKAGES = ["aiofiles"]


@on_loop
async def test_there_and_back(tmp_path):
    path = tmp_path / "file"
    async with aiofiles.open(path, "wb") as file:
        for block in payload.blocks():
            await file.write(block)
    async with aiofiles.open(path, "rb") as file:

        async def parts():
            while block := await file.read(1 << 20):
                yield block

        assert await payload.digest_later(parts()) == (payload.SIZE, payload.DIGEST)
        await file.seek(-8, os.SEEK_END)
        assert await file.read() == payload.BLOCK[-8:]


@on_loop
async def test_lines(tmp_path):
    path = tmp_path / "lines"
    async with aiofiles.open(path, "w") as file:
        await file.writelines(f"{n}\n" for n in range(1000))
    async with aiofiles.open(path) as file:
        assert [int(line) async for line in file] == list(range(1000))


@on_loop
async def test_a_hundred_at_once(tmp_path):
    async def use(number):
        path = tmp_path / str(number)
        async with aiofiles.open(path, "wb+") as file:
            await file.write(b"%d" % number * number)
            await file.flush()
            await file.seek(0)
            assert await file.read() == b"%d" % number * number
        await aiofiles.os.rename(path, f"{path}.moved")
        return (await aiofiles.os.stat(f"{path}.moved")).st_size

    sizes = await asyncio.gather(*map(use, range(100)))
    assert sizes == [len(str(n)) * n for n in range(100)]
    assert sorted(await aiofiles.os.listdir(tmp_path)) == sorted(f"{n}.moved" for n in range(100))


@on_loop
async def test_temporary_ones():
    async with aiofiles.tempfile.TemporaryDirectory() as folder:
        async with aiofiles.tempfile.NamedTemporaryFile("w+", dir=folder) as file:
            await file.write("text")
            assert os.listdir(folder) == [os.path.basename(file.name)]
    assert not os.path.exists(folder)


@on_loop
async def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        async with aiofiles.open(tmp_path / "none"):
            pass
    with pytest.raises(IsADirectoryError):
        await aiofiles.os.remove(tmp_path)
