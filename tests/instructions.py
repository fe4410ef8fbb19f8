"""How many instructions does forwarding one packet to one viewer take? Held by CI.

Seconds differ from run to run and from machine to machine; instructions, counted by callgrind on
a processor that valgrind makes up, hardly do. A picture of eight packets goes through the shard
to 25 viewers, opened, cached, renumbered and sealed; nothing is sent. More than 5 % over the
figure below fails; a change that is worth its price, or that saves as much, changes the figure.

    python tests/instructions.py            compare
    python tests/instructions.py --profile  also say where they go
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HELD = {"own": 1_020, "sealing": 3_510}
"""Instructions for each packet and viewer: the plane's own, and those of AES-128-GCM over a
payload of 1,160 bytes. Apart, for sealing is several times the rest and would hide it."""
TOLERANCE = 0.05
PICTURES = 100
COUNTED = "forward::forward_counted*"
CRATE = Path(__file__).parents[1] / "sfu" / "media"


def main() -> int:
    """Count, compare, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", action="store_true", help="say where they go")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is needed to count instructions: apt-get install valgrind", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        counted = _count(_build(), profile)
        if options.profile:
            subprocess.run(["callgrind_annotate", profile], check=True)
    return max(_judge(part, figure, HELD[part]) for part, figure in counted.items())


def _judge(part: str, counted: float, held: int) -> int:
    print(f"{part}: {counted:.1f} instructions a packet and viewer; held: {held}")
    if counted > held * (1 + TOLERANCE):
        print(f"  that is {counted / held - 1:.1%} more: --profile says where", file=sys.stderr)
        return 1
    if counted < held * (1 - TOLERANCE):
        print(f"  that is {1 - counted / held:.1%} less: let HELD say so", file=sys.stderr)
        return 1
    return 0


def _build() -> str:
    built = subprocess.run(
        ["cargo", "bench", "--no-run", "--bench", "forward"],
        check=True,
        cwd=CRATE,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Executable .*\((.+)\)", built.stderr)
    if found is None:
        raise SystemExit(f"cargo did not say what it built:\n{built.stderr}")
    return found[1]


def _count(program: str, profile: Path) -> dict[str, float]:
    run = subprocess.run(
        [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"),
            *("--collect-atstart=no", f"--toggle-collect={COUNTED}"),
            *(program, "--pictures", str(PICTURES)),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=CRATE,
    )
    packets = int(run.stdout)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if collected is None:
        raise SystemExit(f"callgrind did not say what it counted:\n{run.stderr}")
    sealing = _inclusive(profile, "EVP_AEAD_CTX_seal_scatter") / packets
    return {"own": int(collected[1]) / packets - sealing, "sealing": sealing}


def _inclusive(profile: Path, function: str) -> int:
    """Instructions in a function and all that it calls."""
    annotated = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", profile],
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(rf"^ *([\d,]+) .*{function}\b", annotated.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(f"callgrind did not see {function}; is it inlined, or renamed?")
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
