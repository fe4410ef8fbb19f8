"""The sandboxed half of an import; `recorder.importing.sandbox` starts it.

    python -m recorder.importing FILE SCRATCH --lesson NAME --suffix 00aa [--started-at UNIX]

The lesson's folder is made in SCRATCH. Tells what it does in JSON, a line at a time: {"id": lesson
id}, {"note": sentence}, {"at": seconds, "of": seconds}, at last {"done": true} or {"error":
sentence}.
"""

import argparse
import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import av

from recorder.errors import RecorderError
from recorder.importing.convert import Converter, entry_for
from recorder.importing.plan import make_plan

MEMORY = 4 << 30
"""Bytes of address space: what 8K film with its encoder takes, and no more."""
LARGEST = 4 << 30
"""Bytes of one file that is written: segments are a thousandth of it."""
FILES = 128
CPU_SECONDS = 24 * 3_600

_TOLD_EVERY = 0.5  # seconds


def _confine() -> None:
    """What a hostile file can make its reader do is bounded."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, LARGEST),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


class _Teller:
    """Progress, not more often than somebody could read it."""

    def __init__(self, duration: float) -> None:
        self._duration = duration
        self._due = 0.0

    def at(self, seconds: float) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _TOLD_EVERY
            _say({"at": round(seconds, 1), "of": round(self._duration, 1)})


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what, ensure_ascii=False), flush=True)


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recorder.importing", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--lesson", required=True)
    parser.add_argument("--suffix", required=True)
    parser.add_argument("--started-at", type=float)
    parser.add_argument("--title", default="")
    options = parser.parse_args()
    _confine()
    av.logging.set_level(av.logging.PANIC)  # what matters comes as exceptions
    try:
        plan = make_plan(options.file)
        for note in plan.notes:
            _say({"note": note})
        started = options.started_at if options.started_at is not None else plan.created
        started = started if started is not None else options.file.stat().st_mtime
        moment = datetime.fromtimestamp(started, UTC)
        lesson = f"{moment:%Y%m%d-%H%M%S}-{options.lesson}-{options.suffix}"
        entry = entry_for(lesson, options.title or plan.title or options.file.stem, started)
        folder = options.scratch / lesson
        (folder / "media").mkdir(parents=True)
        _say({"id": lesson})
        Converter(options.file, folder, plan, entry).run(_Teller(plan.duration).at)
    except RecorderError as error:
        _say({"error": str(error)})
        return 2
    except MemoryError:
        _say({"error": f"{options.file.name} needs more memory than an import may take"})
        return 2
    except av.FFmpegError:
        _say({"error": f"{options.file.name} is no video file that can be read"})
        return 2
    except OSError as error:
        _say({"error": f"{options.file.name}: {error.strerror or error}"})
        return 2
    except (ValueError, OverflowError) as error:
        _say({"error": f"{options.file.name} has numbers that make no sense: {error}"})
        return 2
    _say({"done": True})
    return 0


if __name__ == "__main__":
    sys.exit(main())
