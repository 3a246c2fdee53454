"""A service of an image model takes bodies as large as its images, and no more images than it has room for."""

from __future__ import annotations

from fairlead.serving.inputs.fitted_settings import fitted
from fairlead.serving.settings import Settings
from support import small_models
from support.image_models import manifest


def test_a_model_of_numbers_keeps_its_settings() -> None:
    settings = Settings()
    assert fitted(settings, small_models.manifest()) is settings


def test_a_body_may_be_the_largest_image_in_base64() -> None:
    assert fitted(Settings(), manifest(max_bytes=10_000_000)).max_body_bytes > 10_000_000 * 4 / 3
    assert fitted(Settings(), manifest(max_bytes=100)).max_body_bytes == Settings().max_body_bytes


def test_a_limit_that_somebody_has_set_is_kept() -> None:
    assert fitted(Settings(max_body_bytes=1000), manifest(max_bytes=10_000_000)).max_body_bytes == 1000


def test_a_body_is_never_above_what_the_queue_takes() -> None:
    settings = Settings(queue_bytes=8_000_000)
    assert fitted(settings, manifest(max_bytes=10_000_000)).max_body_bytes == 8_000_000


def test_a_request_has_no_more_images_than_the_queue_has_room_for() -> None:
    pixels = 8 * 8 * 3
    few = Settings(queue_bytes=100 * pixels, max_body_bytes=1000)
    assert fitted(few, manifest()).max_request_rows == 100
    assert fitted(Settings(), manifest()).max_request_rows == Settings().max_request_rows
