"""Do two pictures show the same? Told from small grey copies of them."""

import numpy as np
from av.video.frame import VideoFrame

_WIDTH, _HEIGHT = 160, 90
_STEP = 40  # of 255: more than coding changes a pixel
_PART = 0.01  # of the pixels: a mouse and a clock are less, a line of text is more


def differ(one: VideoFrame | None, other: VideoFrame | None) -> bool:
    """Whether they are different slides; a picture that is not there differs from none."""
    if one is None or other is None:
        return False
    step = np.abs(_small(one) - _small(other))
    return float(np.mean(step > _STEP)) > _PART


def _small(picture: VideoFrame) -> np.ndarray:
    return picture.reformat(_WIDTH, _HEIGHT, "gray").to_ndarray().astype(np.int16)
