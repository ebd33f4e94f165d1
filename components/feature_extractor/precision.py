"""The precision that training photos' features are extracted in; called by FeatureExtractor's executor."""

import dataclasses
import itertools
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from components.common.errors import UserError
from components.contracts import BFLOAT16, FLOAT32, LABEL_KEY, TRAIN_SPLIT, VALIDATION_SPLIT
from components.feature_extractor.extractor import ExtractionConfig, Extractor

logger = logging.getLogger(__name__)

_PHOTOS: Final = 64
# Less would not pay for the two trials.
_LEAST_GAIN: Final = 1.2
_MOST_CHANGED: Final = 0.02
_ROUNDS: Final = 2


def choose_precision(asked: str, config: ExtractionConfig, examples: Iterable[bytes]) -> str:
    """Chooses between float32 and bfloat16.

    `auto` takes bfloat16 if it is at least 1.2 times as fast on these very photos, and a nearest class mean classifier
    answers no more than 2% of them otherwise.

    Args:
        asked: float32, bfloat16 or auto.
        config: What extracts.
        examples: Serialized raw examples of training photos; the first 64 are tried.

    Returns:
        `FLOAT32` or `BFLOAT16`.

    Raises:
        UserError: bfloat16 is asked for, and not to be had.
    """
    if asked == FLOAT32:
        return FLOAT32
    try:
        extractor = Extractor(dataclasses.replace(config, precision=BFLOAT16))
    except UserError as error:
        if asked == BFLOAT16:
            raise UserError(f"--precision {asked}: {error}; leave the option out") from error
        logger.info("Features in float32: %s", error)
        return FLOAT32
    return BFLOAT16 if asked == BFLOAT16 else try_both(extractor, list(itertools.islice(examples, _PHOTOS)))


def try_both(extractor: Extractor, examples: Sequence[bytes]) -> str:
    """Chooses by time and answers.

    Args:
        extractor: Whose training photos pass in bfloat16, and others in float32.
        examples: Serialized raw examples.

    Returns:
        `FLOAT32` or `BFLOAT16`.
    """
    raw, images = extractor.decode(examples)
    seconds, features = {}, {}
    # Validation photos always pass in float32.
    for precision, split in ((FLOAT32, VALIDATION_SPLIT), (BFLOAT16, TRAIN_SPLIT)):
        times = []
        for _ in range(1 + _ROUNDS):
            started = time.perf_counter()
            features[precision] = extractor.forward(images, split)
            times.append(time.perf_counter() - started)
        # The first one compiles.
        seconds[precision] = min(times[1:])
    labels = raw[LABEL_KEY].numpy()[:, 0]
    changed = float(np.mean(np.not_equal(*_answers(features[FLOAT32], labels, features[BFLOAT16]))))
    gain = seconds[FLOAT32] / seconds[BFLOAT16]
    chosen = BFLOAT16 if gain >= _LEAST_GAIN and changed <= _MOST_CHANGED else FLOAT32
    logger.info(
        "Features in %s: on %d photos bfloat16 is %.2f times as fast as float32, and changes %.1f%% of the answers",
        chosen, len(examples), gain, 100 * changed,
    )  # fmt: skip
    return chosen


def _answers(features: np.ndarray, labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which class mean of the features is nearest to each of them, and to each of the others."""
    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    first, second = (np.argmin(np.sum((asked[:, None] - means) ** 2, axis=-1), axis=1) for asked in (features, others))
    return first, second
