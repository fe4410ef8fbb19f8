"""The benchmark itself: a small class on a real node, everything accounted for."""

import argparse

from benchmarks import fanout


def test_a_small_class_loses_nothing_and_every_figure_is_told() -> None:
    parser = argparse.ArgumentParser()
    fanout.arguments(parser)
    few = ["--viewers", "8", "--seconds", "2", "--limit-seconds", "1"]
    answer = fanout.run(parser.parse_args(few))
    # One second carries 50 packets of sound and, at 2 Mbit/s, some 230 of video.
    assert 200 < answer["packets"] / 8 / answer["seconds"] < 400
    assert answer["loss"] == 0
    assert answer["unopened"] == 0
    assert answer["gso_segments_mean"] > 1.5
    assert answer["limit_us_per_packet"] > 0
    # A keyframe falls into the limit's second, and perhaps not into ours.
    assert abs(answer["bytes_per_packet"] / answer["limit_bytes_per_packet"] - 1) < 0.1
    assert answer["cpu_us_per_packet"] > 0
