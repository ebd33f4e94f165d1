"""BackboneImporter, which puts the backbone under the pipeline's root."""

import json

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from components import contracts
from components.common.errors import UserError
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

    `backbone` is what `load_backbone` takes: a registry name, a Kaggle handle, a URL or a folder. `image_size` is
    JSON [height, width] in pixels, or null; only backbones outside the registry that take images of any size need it.
    The backbone must have the content digest `digest`, unless it is empty. TFX's cache does not see into a folder or
    behind a URL: with the digest a changed backbone is imported again.
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
    model.set_string_custom_property(contracts.BACKBONE_HANDLE_PROPERTY, resolve_handle(backbone))
    model.set_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY, info.digest)
    model.set_string_custom_property(contracts.IMAGE_SIZE_PROPERTY, json.dumps(list(info.image_size)))
    model.set_int_custom_property(contracts.FEATURE_SIZE_PROPERTY, info.feature_size)
    model.set_string_custom_property(contracts.BACKBONE_LICENSE_PROPERTY, known.license if known else contracts.UNKNOWN)
    model.set_string_custom_property(contracts.BACKBONE_SOURCE_PROPERTY, known.source if known else contracts.UNKNOWN)
