"""Run as a process of its own: the least that sending to these ports could cost.

`python -m benchmarks.limit --video-bps B --seconds S PORT...` prints packets, and the bytes and CPU
microseconds of each.
"""

import argparse
import json

from benchmarks import _loadgen


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--video-bps", type=int, required=True)
    parser.add_argument("--spread-us", type=int, default=0)
    parser.add_argument("--extension-bytes", type=int, default=0)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args()
    packets, size, us = _loadgen.limit_us_per_packet(
        [f"127.0.0.1:{port}" for port in options.ports],
        video_bps=options.video_bps,
        spread_us=options.spread_us,
        extension_bytes=options.extension_bytes,
        seconds=options.seconds,
    )
    print(json.dumps({"packets": packets, "bytes_per_packet": size, "us_per_packet": us}))


if __name__ == "__main__":
    main()
