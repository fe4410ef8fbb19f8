from pathlib import Path

import av
import numpy as np
import pytest

from clients.headless import demo_media, demo_scene, demo_voice
from clients.headless.marks import (
    CAMERA_STRIP,
    HEIGHT,
    SLIDES_STRIP,
    beep_onsets,
    lamp_is_lit,
    luma_of,
    skew_ms,
)
from clients.headless.media import inspect

SECONDS = 3.0


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "camera.mp4"
    demo_media.make_camera(path, SECONDS)
    return path


def test_the_camera_can_be_published_as_it_is(camera: Path):
    found = inspect(camera)
    assert (found.video, found.audio, found.duration) == ("H264", "opus", 3)


def test_the_camera_is_what_its_offer_says(camera: Path):
    with av.open(camera) as container:
        context = container.streams.video[0].codec_context
        assert context.profile == "Constrained Baseline"
        assert (context.width, context.height) == (1280, 720)
        assert not context.has_b_frames


def test_a_keyframe_comes_every_second(camera: Path):
    with av.open(camera) as container:
        keyframes = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe]
    assert keyframes == [0.0, 1.0, 2.0]


def test_every_picture_tells_its_number_after_coding(camera: Path):
    with av.open(camera) as container:
        numbers = [CAMERA_STRIP.read(luma_of(frame)) for frame in container.decode(video=0)]
    assert numbers == list(range(90))


def test_flash_and_beep_begin_together(camera: Path):
    with av.open(camera) as container:
        lit = [(f.time, lamp_is_lit(luma_of(f))) for f in container.decode(video=0)]
    flashes = [time for (time, on), (_, before) in zip(lit[1:], lit, strict=False) if on > before]
    with av.open(camera) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    beeps = [onset + frames[0].time for onset in beep_onsets(samples, demo_voice.RATE)]
    assert flashes == [2.0]
    assert skew_ms(flashes, beeps) == pytest.approx(0, abs=2)


def test_slides_change_and_tell_their_number(tmp_path: Path):
    path = tmp_path / "slides.mp4"
    demo_media.make_slides(path, 4.0)
    with av.open(path) as container:
        pictures = [luma_of(frame) for frame in container.decode(video=0)]
    assert [SLIDES_STRIP.read(picture) for picture in pictures] == list(range(20))
    contents = [picture[: HEIGHT - 60].mean() for picture in pictures[2::5]]
    assert len({round(value, 1) for value in contents}) == len(demo_scene.SLIDES)


def test_files_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []

    def make(path: Path, advance: object) -> None:
        made.append(path.name)
        path.write_bytes(b"media")

    monkeypatch.setattr(demo_media, "make_camera", make)
    monkeypatch.setattr(demo_media, "make_slides", make)
    first = demo_media.demo_files(tmp_path / "new", quiet=True)
    assert demo_media.demo_files(tmp_path / "new", quiet=True) == first
    assert made == ["camera.mp4", "slides.mp4"]


def test_an_interrupted_file_does_not_appear(tmp_path: Path):
    path = tmp_path / "camera.mp4"

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo_media.make_camera(path, 1.0, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert demo_media.cache_folder().parent == tmp_path / "tongbu"
