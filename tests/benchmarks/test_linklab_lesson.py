"""A lesson in the lab, with real browsers on a real link: the figures are there and sound."""

import argparse
from typing import Any

import pytest

from benchmarks import weaklink
from benchmarks.linklab import browser, namespaces


def missing() -> str | None:
    """Why no lesson can be held here."""
    if not browser.PROGRAM.exists():
        return "Debian's Chromium is not installed (tests/tools.sh does it)"
    return namespaces.unavailable()


_MISSING = missing()


def answer(*arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    weaklink.arguments(parser)
    return weaklink.run(parser.parse_args(arguments))


@pytest.mark.skipif(_MISSING is not None, reason=_MISSING or "")
@pytest.mark.parametrize("system", ["tongbu", "p2p"])
def test_a_short_lesson(system: str):
    # The figures are asked for, not how good they are: a busy machine may be late.
    patience = ("--late-ms", "5000", "--page-late-ms", "5000")
    said = answer("--profile", "G", "--seconds", "22", "--system", system, *patience)
    assert 0 < said["first_frame_s"] < 5
    assert 0 <= said["audio_concealed"] < 0.5
    assert 0 <= said["camera_frozen"] < 1
    assert said["camera_width"] > 200
    assert said["slides_judged"] >= 1
    assert 0.05 < said["slide_legible_s"] <= 8
    assert 0 < said["media_age_s"] < 3
    assert said["media_kbps"] > 100
    assert 0 < said["link_loss"] < 0.1
    assert said["late_us_max"] > 0


def test_what_cannot_be_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        answer("--profile", "D", "--rain")
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
