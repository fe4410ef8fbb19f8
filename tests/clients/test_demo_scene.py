from clients.headless import demo_scene
from clients.headless.marks import BLACK, FLASH_PERIOD, HEIGHT, SLIDES_STRIP, WHITE, lamp_is_lit


def test_the_board_fills_up():
    pictures = demo_scene.camera(4.0, 5)
    chalk = [(picture[60:150, 160:740] > 180).sum() for picture in pictures]
    assert chalk[0] == 0
    assert chalk[-1] > 1000
    assert chalk[10] > chalk[5]


def test_the_lamp_flashes_at_each_period():
    lit = [lamp_is_lit(picture[:HEIGHT]) for picture in demo_scene.camera(4.1, 10)]
    assert [number for number, on in enumerate(lit) if on] == [0, round(FLASH_PERIOD * 10), 40]


def test_pictures_keep_to_limited_range():
    for picture in demo_scene.camera(1.0, 2):
        luma = picture[:HEIGHT]
        assert luma.min() >= BLACK - 8  # the grain
        assert luma.max() <= WHITE + 8


def test_each_slide_has_its_share():
    pages = [
        (SLIDES_STRIP.read(picture[:HEIGHT]), int(picture[: HEIGHT - 60].astype(int).sum()))
        for picture in demo_scene.slides(4.0, 2)
    ]
    assert [number for number, _ in pages] == list(range(8))
    assert len({content for _, content in pages}) == len(demo_scene.SLIDES)
    assert pages[0][1] == pages[1][1] != pages[2][1]
