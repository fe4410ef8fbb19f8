"""t"""
from tests.interop.row import Client
def clients(): return []
async def check(node,row): ...
CLIENT=Client("firefox",check)
