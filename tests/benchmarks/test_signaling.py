"""The benchmark of the signalling, in little: what it says is of the lesson that it filled."""

import argparse

import pytest

from benchmarks import signaling


def test_a_small_lesson() -> None:
    parser = argparse.ArgumentParser()
    signaling.arguments(parser)
    options = parser.parse_args(["--sizes", "3", "6", "--seconds", "0.2"])
    answer = signaling.run(options)
    assert answer["sizes"] == [3, 6]
    assert set(answer["by_participants"]) == {"3", "6"}
    small, large = (answer["by_participants"][size] for size in ("3", "6"))
    assert small["lost"] == large["lost"] == 0
    assert large["bytes_mean"] > small["bytes_mean"] > 0  # below a crowd each hears of all
    assert large["joins_per_second"] == answer["joins_per_second"] > 0
    assert answer["idle_us_per_second"] >= 0


def test_a_quick_look_is_small() -> None:
    options = argparse.Namespace(sizes=[10, 500], seconds=5.0)
    signaling.quick(options)
    assert options.sizes == [10]
    assert options.seconds == pytest.approx(2.0)
