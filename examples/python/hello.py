import asyncio
import ringport

async def tick():
    for i in range(3):
        await asyncio.sleep(1)
        print(f"[test_run] {i}")

ringport.run(tick())
