import asyncio
class PoolSizer:
    def __init__(self,*a): pass
    async def run(self):
        await asyncio.sleep(1e9)
