"""The BackboneImporter component."""

import json
from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from components.backbone_importer import executor


class BackboneImporterSpec(component_spec.ComponentSpec):
    """Parameters and output of BackboneImporter."""

    PARAMETERS = {
        executor.BACKBONE_KEY: component_spec.ExecutionParameter(type=str),
        executor.IMAGE_SIZE_KEY: component_spec.ExecutionParameter(type=str),
        executor.DIGEST_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {}
    OUTPUTS = {executor.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model)}


class BackboneImporter(base_component.BaseComponent):
    """Imports a backbone: resolves its handle, checks the SavedModel and copies it under the pipeline's root.

    Its output `model` holds the SavedModel where the Trainer looks for a `base_model`, and carries handle, content
    digest, image size, feature size, licence and source as custom properties.
    """

    SPEC_CLASS = BackboneImporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, backbone: str, image_size: tuple[int, int] | None = None, digest: str = "") -> None:
        """Constructs the component.

        Args:
            backbone: A registry name, a Hub URL, the URL of a .tar.gz, or the path of a SavedModel folder.
            image_size: Height and width in pixels; needed only for a backbone that is not in the registry and takes
                images of any size.
            digest: Content digest that the backbone must have, or "" for whichever it has. TFX's cache does not see
                into a folder or behind a URL: give the digest to have a changed backbone imported anew.
        """
        super().__init__(
            BackboneImporterSpec(
                backbone=backbone,
                image_size=json.dumps(list(image_size) if image_size else None),
                digest=digest,
                model=channel_utils.as_channel([standard_artifacts.Model()]),
            )
        )
