"""BackboneImporter, which puts the backbone under the pipeline's root."""

import json

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from components.common.errors import UserError
from components.contracts import (
    BACKBONE_DIGEST_PROPERTY,
    BACKBONE_HANDLE_PROPERTY,
    BACKBONE_LICENSE_PROPERTY,
    BACKBONE_SOURCE_PROPERTY,
    FEATURE_SIZE_PROPERTY,
    IMAGE_SIZE_PROPERTY,
    UNKNOWN,
)
from components.modeling.backbones.loading import prepare_backbone
from components.modeling.backbones.registry import find_backbone, resolve_handle


@component
def BackboneImporter(
    backbone: Parameter[str],
    image_size: Parameter[str],
    digest: Parameter[str],
    model: OutputArtifact[standard_artifacts.Model],
) -> None:
    """Resolves a backbone, checks its SavedModel and copies it to where the Trainer looks for a `base_model`.

    Args:
        backbone: A registry name, a Hub URL, the URL of a .tar.gz, or the path of a SavedModel folder.
        image_size: JSON [height, width] in pixels, or null; needed only for a backbone that is not in the registry and
            takes images of any size.
        digest: Content digest that the backbone must have; empty accepts any. TFX's cache does not see into a folder
            or behind a URL: with the digest a changed backbone is imported again.
        model: The SavedModel, with its origin and sizes as custom properties.

    Raises:
        UserError: The backbone has another digest, or does not fit.
    """
    height_width = json.loads(image_size)
    path, info = prepare_backbone(backbone, tuple(height_width) if height_width else None)
    if digest not in ("", info.digest):
        raise UserError(
            f"backbone {backbone} has content digest {info.digest}, expected {digest}: it has changed since the "
            "pipeline was made, or it is another one; run again, or give the right digest"
        )
    io_utils.copy_dir(path, path_utils.serving_model_dir(model.uri))
    known = find_backbone(backbone)
    model.set_string_custom_property(BACKBONE_HANDLE_PROPERTY, resolve_handle(backbone))
    model.set_string_custom_property(BACKBONE_DIGEST_PROPERTY, info.digest)
    model.set_string_custom_property(IMAGE_SIZE_PROPERTY, json.dumps(list(info.image_size)))
    model.set_int_custom_property(FEATURE_SIZE_PROPERTY, info.feature_size)
    model.set_string_custom_property(BACKBONE_LICENSE_PROPERTY, known.license if known else UNKNOWN)
    model.set_string_custom_property(BACKBONE_SOURCE_PROPERTY, known.source if known else UNKNOWN)
