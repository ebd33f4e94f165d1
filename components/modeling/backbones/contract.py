"""Checks a SavedModel against TF Hub's contract for feature vectors, and measures its sizes.

https://www.tensorflow.org/hub/common_signatures/images#feature-vector
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, Final

from components.common.code_digest import code_digest
from components.common.errors import UserError, first_line
from components.common.records import from_json
from components.modeling.backbones.cache import cache_dir, content_digest
from components.storage.atomic import write_atomically

logger = logging.getLogger(__name__)

_CONTRACT: Final = "a backbone is a reusable TF2 SavedModel from float32 [N, H, W, 3] in [0, 1] to float32 [N, D]"
_CHANNELS: Final = 3
_IMAGE_RANK, _FEATURE_RANK = 4, 2


@dataclass(frozen=True)
class BackboneInfo:
    """What was measured of a SavedModel."""

    image_size: tuple[int, int]  # height and width in pixels
    feature_size: int
    digest: str  # of `content_digest`
    trainable: bool  # whether it has trainable variables, which fine-tuning needs


def inspect_backbone(
    path: str, image_size: tuple[int, int] | None = None, feature_size: int | None = None, name: str | None = None
) -> BackboneInfo:
    """Runs a SavedModel on blank images as `hub.KerasLayer`, and checks it against the contract.

    Args:
        path: A SavedModel folder.
        image_size: Expected height and width in pixels; needed if it takes any size.
        feature_size: Expected length of its feature vectors.
        name: Its name in messages; the path by default.

    Raises:
        UserError: It cannot be loaded, breaks the contract, or has another size than expected.
    """
    name = name or path
    digest = content_digest(path)
    facts = f"{digest} {image_size} {code_digest(__name__)}"
    record = cache_dir() / "inspected" / f"{hashlib.sha256(facts.encode()).hexdigest()}.json"
    try:
        info = from_json(BackboneInfo, json.loads(record.read_text()))
    except (OSError, ValueError):
        info = _measure(path, digest, image_size, name)
        try:
            write_atomically(record, json.dumps(asdict(info)))
        except OSError as error:
            logger.debug("The inspection of a backbone was not kept, so the next run repeats it: %s", error)
    if feature_size not in (None, info.feature_size):
        raise UserError(f"backbone {name} returns {info.feature_size} features where {feature_size} were expected")
    return info


def takes_any_size(module: Any) -> bool:
    """Tells whether a loaded backbone takes images of any size."""
    return any(_image_size(spec) == (None, None) for spec in _input_specs(module))


def _measure(path: str, digest: str, image_size: tuple[int, int] | None, name: str) -> BackboneInfo:
    module = _load(path, name)
    found_size = _check_input(module, image_size, name)
    trainable = bool(getattr(module, "trainable_variables", ()))
    return BackboneInfo(found_size, _check_output(module, found_size, name), digest, trainable)


def _load(path: str, name: str) -> Any:
    import tensorflow as tf
    import tensorflow_hub as hub

    if tf.io.gfile.exists(f"{path}/tfhub_module.pb"):
        raise UserError(f"backbone {name} is in the TF1 Hub format: give a TF2 SavedModel")
    try:
        module = hub.load(path)
    except (ValueError, OSError, KeyError, tf.errors.OpError) as error:
        raise UserError(f"backbone {name} is not a SavedModel that can be loaded: {first_line(error)}") from error
    if not callable(module):
        signatures = ", ".join(sorted(getattr(module, "signatures", {}))) or "none"
        raise UserError(f"backbone {name} has no __call__ function (its signatures: {signatures}): {_CONTRACT}")
    return module


def _check_input(module: Any, expected: tuple[int, int] | None, name: str) -> tuple[int, int]:
    specs = _input_specs(module)
    found = next((size for size in map(_image_size, specs) if size is not None), None)
    if found is None:
        taken = " or ".join(f"{spec.dtype.name} {_dimensions(spec.shape)}" for spec in specs) or "no tensor"
        raise UserError(f"backbone {name} takes {taken}: {_CONTRACT}")
    height, width = (want if have is None else have for have, want in zip(found, expected or found, strict=True))
    if height is None or width is None:
        raise UserError(f"backbone {name} takes images of any size: give the image size, such as 224x224")
    if expected not in (None, (height, width)):
        raise UserError(
            f"backbone {name} takes images of {_by((height, width))} pixels where {_by(expected)} were expected"
        )
    return height, width


def _image_size(spec: Any) -> tuple[int | None, int | None] | None:
    """Returns the height and width that an argument takes, None for any; None if it does not take images."""
    shape = spec.shape.as_list() if spec.shape.rank is not None else [None] * _IMAGE_RANK
    if spec.dtype.name != "float32" or len(shape) != _IMAGE_RANK or shape[-1] not in (None, _CHANNELS):
        return None
    return shape[1], shape[2]


def _input_specs(module: Any) -> list[Any]:
    """Returns the first argument's TensorSpec of every trace of `__call__`, without repeats."""
    import tensorflow as tf

    specs = []
    for function in getattr(module.__call__, "concrete_functions", []):
        arguments = tf.nest.flatten(function.structured_input_signature)
        spec = next((argument for argument in arguments if isinstance(argument, tf.TensorSpec)), None)
        if spec is not None and spec not in specs:
            specs.append(spec)
    return specs


def _check_output(module: Any, image_size: tuple[int, int], name: str) -> int:
    import tensorflow as tf
    import tensorflow_hub as hub

    try:
        # Two images: a model that only takes one at a time is of no use.
        features = hub.KerasLayer(module, trainable=False)(tf.zeros([2, *image_size, _CHANNELS]))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise UserError(f"backbone {name} fails on images of {_by(image_size)} pixels: {first_line(error)}") from error
    if not isinstance(features, tf.Tensor):
        raise UserError(f"backbone {name} returns a {type(features).__name__}, not a tensor: {_CONTRACT}")
    shape = features.shape
    if features.dtype != tf.float32 or shape.rank != _FEATURE_RANK or shape[0] != 2:  # noqa: PLR2004 the batch above
        raise UserError(f"backbone {name} returns {features.dtype.name} {_dimensions(shape)}: {_CONTRACT}")
    return int(shape[1])


def _by(size: tuple[int, int]) -> str:
    return "x".join(str(pixels) for pixels in size)


def _dimensions(shape: Any) -> str:
    if shape.rank is None:
        return "of any shape"
    return "[" + ", ".join("N" if i == 0 else str(d) for i, d in enumerate(shape.as_list())) + "]"
