"""Feeds mutated files to everything that reads photos nobody vouches for; `make fuzz` runs it, pytest does not.

A crash of the process, an exception from `check_image`, or a photo that passes ImageValidator but not Transform's
decoder is a finding; atheris writes the file that provokes it. Add it to `test_image_check.py`.
"""

import sys

import atheris

import pipeline  # noqa: F401  (sets the TensorFlow environment)

# Native decoders are what is fuzzed; of the Python code only ours guides the mutations.
with atheris.instrument_imports(include=["components.photos", "PIL"]):
    from components.photos import check

from components.photos.decode import decode_image

# Small enough that a fuzzer's bombs take no time.
check.MAX_BYTES = check.MAX_PIXELS = 1 << 20


def test_one_input(data: bytes) -> None:
    """Runs the image path on one file."""
    if check.check_image(data).defect is None:
        image = decode_image(data, 8, 8)
        if image.shape != (8, 8, 3):
            raise AssertionError(f"decoded to {image.shape}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
