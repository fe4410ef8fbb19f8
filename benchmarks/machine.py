"""The machine as a benchmark needs it: cores, CPU time of processes, dropped datagrams."""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

SERVER_CORE = 0
GENERATOR_CORE = 1

_TICKS = os.sysconf("SC_CLK_TCK")


_ALL_CORES = os.sched_getaffinity(0)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on that core only (as far as there is more than one)."""
    with _on({core} & _ALL_CORES or _ALL_CORES):
        yield


@contextlib.contextmanager
def on_all_cores() -> Iterator[None]:
    """What is started inside runs wherever this process could when it began."""
    with _on(_ALL_CORES):
        yield


@contextlib.contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_us(pid: int) -> tuple[float, float]:
    """User and system time of a process so far, all its threads, in microseconds.

    The scheduler's account of the sum is exact. How it divides is the kernel's estimate: what a
    process does at the ticks of the clock, which a lesson's own clock may be in step with.
    Interrupt handling on behalf of its sends is in it, unless the kernel keeps that apart
    (CONFIG_IRQ_TIME_ACCOUNTING).
    """
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    user = int(after_name[11]) * 1e6 / _TICKS
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    total = sum(int(task.read_text().split()[0]) for task in tasks) / 1e3
    return user, total - user


def core_seconds(*cores: int) -> tuple[float, float]:
    """What these cores have worked so far, and what the hypervisor kept from them meanwhile."""
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    rows = [[int(ticks) for ticks in rest] for name, *rest in lines if name in _names(cores)]
    # user, nice, system, idle, iowait, irq, softirq, steal
    worked = sum(sum(row[:3]) + sum(row[5:7]) for row in rows)
    return worked / _TICKS, sum(row[7] for row in rows) / _TICKS


def _names(cores: Iterable[int]) -> set[str]:
    return {f"cpu{core}" for core in cores}


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def receive_buffer_errors(ports: Collection[int] | None = None) -> int:
    """Datagrams dropped because a socket's buffer was full: of these ports, or of the machine."""
    if ports is not None:
        return sum(drops for port, drops in _socket_drops() if port in ports)
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if "Udp:" in line
    )
    return int(values[names.index("RcvbufErrors")])


def _socket_drops() -> Iterator[tuple[int, int]]:
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        columns = line.split()
        yield int(columns[1].rsplit(":", 1)[1], 16), int(columns[-1])


def conditions() -> dict[str, object]:
    """What a figure depends on and a reader should know."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": os.uname().release.split("-")[0],
        "cores_used": f"server on {SERVER_CORE}, generator on {GENERATOR_CORE}",
        "network": "loopback, generator without UDP_GRO",
        "feedback": "receiver reports 1 s, transport-wide 100 ms, 1 in 1,000 asked for again",
    }
