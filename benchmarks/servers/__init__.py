"""Servers that the load generator can be let loose on; one module each."""

from benchmarks.servers.base import Running as Running
from benchmarks.servers.base import Server as Server
from benchmarks.servers.base import ServerError as ServerError
from benchmarks.servers.janus import Janus
from benchmarks.servers.livekit import LiveKit
from benchmarks.servers.mediamtx import MediaMTX
from benchmarks.servers.mediasoup import Mediasoup
from benchmarks.servers.tongbu import Tongbu

OURS: Server = Tongbu()
PEERS: tuple[Server, ...] = (Mediasoup(), Janus(), LiveKit(), MediaMTX())
