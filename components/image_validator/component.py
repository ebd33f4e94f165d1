"""ImageValidator, which removes unusable photos, and pictures in several splits: TFDV sees only bytes."""

from typing import Final

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.common.errors import UserError
from components.contracts.artifact_types import Quarantine
from components.image_validator.executor import Executor

# With more bands than this, photos that share one by chance outnumber the others.
_LARGEST_DISTANCE: Final = 10


class ImageValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of ImageValidator."""

    PARAMETERS = {
        "max_quarantine_share": component_spec.ExecutionParameter(type=float),
        "near_duplicate_distance": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "valid_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "quarantine": component_spec.ChannelParameter(type=Quarantine),
    }


class ImageValidator(base_beam_component.BaseBeamComponent):
    """Passes on the usable photos as `valid_examples`, as its input but with new counts; `quarantine` lists others."""

    SPEC_CLASS = ImageValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, examples: types.BaseChannel, *, max_quarantine_share: float = 0.05, near_duplicate_distance: int = 4
    ):
        """Takes raw Examples with the features `image`, `label` and `id`.

        The run stops if more than `max_quarantine_share`, in [0, 1], of the photos are unusable; duplicates dropped
        from evaluation do not count. Photos whose 64-bit perceptual hashes differ in at most `near_duplicate_distance`
        bits, 0 to 10, show the same picture; 0 compares bytes only.
        """
        if not 0 <= max_quarantine_share <= 1:
            raise UserError(f"max_quarantine_share is {max_quarantine_share}; use a share from 0 to 1, such as 0.05")
        if not 0 <= near_duplicate_distance <= _LARGEST_DISTANCE:
            raise UserError(f"near_duplicate_distance is {near_duplicate_distance}; use 0 to {_LARGEST_DISTANCE} bits")
        super().__init__(
            ImageValidatorSpec(
                examples=examples,
                valid_examples=types.Channel(type=standard_artifacts.Examples),
                quarantine=types.Channel(type=Quarantine),
                max_quarantine_share=float(max_quarantine_share),
                near_duplicate_distance=near_duplicate_distance,
            )
        )
