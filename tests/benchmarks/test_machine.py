"""What is read of the machine, against what this process itself does."""

import os
import socket
import time

import pytest

from benchmarks import machine


def test_cpu_time_is_that_of_the_process() -> None:
    before, began = sum(machine.cpu_us(os.getpid())), time.process_time()
    while time.process_time() - began < 0.1:
        pass
    worked = (time.process_time() - began) * 1e6
    assert sum(machine.cpu_us(os.getpid())) - before == pytest.approx(worked, rel=0.2)


def test_cores_have_worked_at_least_as_long_as_we() -> None:
    cores = os.sched_getaffinity(0)
    before, _ = machine.core_seconds(*cores)
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    assert machine.core_seconds(*cores)[0] - before > 0.1


def test_drops_are_told_of_the_ports_asked_for() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        full.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        for _ in range(50):
            other.sendto(bytes(1_000), full.getsockname())
        assert machine.receive_buffer_errors({full.getsockname()[1]}) > 20
        assert machine.receive_buffer_errors({other.getsockname()[1]}) == 0
    assert machine.receive_buffer_errors() > 20


def test_a_process_is_put_on_its_core_and_back() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with machine.on_core(core):
        assert os.sched_getaffinity(0) == {core}
        with machine.on_all_cores():
            assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
