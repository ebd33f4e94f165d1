"""PhotosFingerprint, whose output is part of TfdsExampleGen's cache key.

A local run looks at the photos before it begins. A compiled pipeline is run again and again, and what it reads may have
changed each time.
"""

from typing import Any, ClassVar

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.example_gen.photos_fingerprint import executor


class PhotosFingerprintSpec(component_spec.ComponentSpec):
    """Parameters and output of PhotosFingerprint."""

    PARAMETERS = {
        executor.PHOTOS_KEY: component_spec.ExecutionParameter(type=str),
        executor.DATA_DIR_KEY: component_spec.ExecutionParameter(type=str),
        executor.EXPECTED_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS = {executor.FINGERPRINT_KEY: component_spec.ChannelParameter(type=standard_artifacts.String)}


class PhotosFingerprint(base_component.BaseComponent):
    """Digests the photos, or the listing of a bucket; its output `fingerprint` is a value that changes when they do."""

    SPEC_CLASS = PhotosFingerprintSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, photos: str, data_dir: str = "", expected: str = ""):
        """Constructs a PhotosFingerprint.

        Args:
            photos: Folder or archive of class-named folders; may be in a bucket.
            data_dir: Where archives are unpacked; TFDS' own folder if empty.
            expected: What the fingerprint must be; empty takes any photos.
        """
        super().__init__(
            PhotosFingerprintSpec(
                photos=photos,
                data_dir=data_dir,
                expected=expected,
                fingerprint=types.Channel(type=standard_artifacts.String),
            )
        )
