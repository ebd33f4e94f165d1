"""PhotosFingerprint, whose output is part of TfdsExampleGen's cache key in compiled pipelines.

A local run digests the photos before it starts. A compiled pipeline runs again and again, and the photos may have
changed each time.
"""

import logging

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.example_gen.data_source import DataSource, describe_source

logger = logging.getLogger(__name__)


@component
def PhotosFingerprint(
    photos: Parameter[str],
    data_dir: Parameter[str],
    expected: Parameter[str],
    fingerprint: OutputArtifact[standard_artifacts.String],
) -> None:
    """Digests the photos, or the listing of a bucket.

    Args:
        photos: Folder or archive of class-named folders; may be in a bucket.
        data_dir: Where archives are unpacked; empty is TFDS' own folder.
        expected: The fingerprint that the photos must have; empty accepts any.
        fingerprint: The digest.

    Raises:
        UserError: The photos have another fingerprint.
    """
    found = describe_source(DataSource(photos=photos, data_dir=data_dir)).fingerprint
    if expected not in ("", found):
        raise UserError(
            f"the photos in {photos} have the fingerprint {found}, expected {expected}: they have changed since the "
            "pipeline was compiled; compile it again, or leave photos_fingerprint empty to accept any photos"
        )
    logger.info("Fingerprint of %s: %s", photos, found)
    fingerprint.value = found
