"""ImageValidator, which lets no unusable photo and no leak between splits go further.

TFDV, which runs afterwards, sees bytes where this component sees photos.
"""

from typing import Final

from PIL import Image
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.common.errors import UserError
from components.contracts.artifact_types import Quarantine
from components.image_validator.decisions import CrossSplitDuplicates
from components.image_validator.executor import Executor
from components.photos.convert import MAX_PIXELS

# Pillow itself refuses to open anything larger.
_LARGEST_MAX_PIXELS: Final = 2 * (Image.MAX_IMAGE_PIXELS or 0)
# With more bands than this, photos that share one by chance outnumber the others.
_LARGEST_DISTANCE: Final = 10


class ImageValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageValidator."""

    PARAMETERS = {
        "max_quarantine_share": component_spec.ExecutionParameter(type=float),
        "cross_split_duplicates": component_spec.ExecutionParameter(type=str),
        "near_duplicate_distance": component_spec.ExecutionParameter(type=int),
        "max_pixels": component_spec.ExecutionParameter(type=int),
        "max_bytes": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "valid_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": component_spec.ChannelParameter(type=Quarantine),
    }


class ImageValidator(base_beam_component.BaseBeamComponent):
    """Passes on the photos that can be trained on and lists the others.

    Outputs: `valid_examples`, with the input's splits and contract and the counts of what is left; `quarantine`, see
    `artifacts.Quarantine`.
    """

    SPEC_CLASS = ImageValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        *,
        max_quarantine_share: float = 0.05,
        cross_split_duplicates: str = CrossSplitDuplicates.DROP_FROM_EVALUATION.value,
        near_duplicate_distance: int = 4,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = 64 * 2**20,
    ):
        """Constructs an ImageValidator.

        Args:
            examples: Raw Examples with features `image`, `label` and `id`.
            max_quarantine_share: Share of photos in [0, 1] that may be unusable; the run stops when there are more.
                Duplicates dropped from evaluation do not count.
            cross_split_duplicates: What to do with the same picture in several splits: "drop_from_evaluation" keeps it
                in train, else in test; "move_to_train" puts all copies there; "keep" leaves them.
            near_duplicate_distance: Photos whose 64-bit perceptual hashes differ in at most this many bits count as the
                same picture, at most 10. 0: only equal bytes do. Negative: duplicates are not looked for.
            max_pixels: Largest width times height that is decoded, in pixels.
            max_bytes: Largest file, in bytes.

        Raises:
            UserError: A value is out of its range.
        """
        policies = [policy.value for policy in CrossSplitDuplicates]
        if not 0 <= max_quarantine_share <= 1:
            raise UserError(f"max_quarantine_share is {max_quarantine_share}; use a share from 0 to 1, such as 0.05")
        if cross_split_duplicates not in policies:
            raise UserError(f"cross_split_duplicates is {cross_split_duplicates!r}; use one of {', '.join(policies)}")
        if near_duplicate_distance > _LARGEST_DISTANCE:
            raise UserError(
                f"near_duplicate_distance is {near_duplicate_distance} bits; use at most {_LARGEST_DISTANCE}"
            )
        if not 1 <= max_pixels <= _LARGEST_MAX_PIXELS:
            raise UserError(f"max_pixels is {max_pixels}; use a number from 1 to {_LARGEST_MAX_PIXELS}")
        if max_bytes < 1:
            raise UserError(f"max_bytes is {max_bytes}; use at least 1")
        super().__init__(
            ImageValidatorSpec(
                examples=examples,
                valid_examples=types.Channel(type=standard_artifacts.Examples),
                quarantine=types.Channel(type=Quarantine),
                max_quarantine_share=float(max_quarantine_share),
                cross_split_duplicates=cross_split_duplicates,
                near_duplicate_distance=near_duplicate_distance,
                max_pixels=max_pixels,
                max_bytes=max_bytes,
            )
        )
