"""A reviewer's corrections, applied to examples and listed."""

import dataclasses
import json
import logging
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.io import fileio

from components.common.errors import UserError
from components.common.records import from_json
from components.common.text import counted
from components.contracts import ID_KEY, LABEL_KEY
from components.contracts.quarantine import Action, QuarantineEntry, Reason
from components.photos.corrections import LabelCorrections

logger = logging.getLogger(__name__)

_EXAMPLES, _CORRECTED = "examples", "corrected"  # outputs of `_correct`


def correct_splits(
    splits: Mapping[str, beam.PCollection],
    corrections: LabelCorrections,
    class_names: Sequence[str],
    listing_path: str,
    unused: Sequence[QuarantineEntry],
) -> dict[str, beam.PCollection]:
    """Returns the tf.Examples by split, corrected and without excluded ones; lists `unused` files and corrections."""
    corrected = {}
    for split, examples in splits.items():
        correct = beam.FlatMap(_correct, corrections, class_names, split)
        corrected[split] = examples | f"Correct[{split}]" >> correct.with_outputs(_CORRECTED, main=_EXAMPLES)
    _ = (
        [outputs[_CORRECTED] for outputs in corrected.values()]
        | "FlattenCorrected" >> beam.Flatten()
        | "GatherCorrected" >> beam.combiners.ToList()
        | "ListCorrected"
        >> beam.Map(lambda found: write_listing([*unused, *sorted(found, key=lambda entry: entry.id)], listing_path))
    )
    return {split: outputs[_EXAMPLES] for split, outputs in corrected.items()}


def _correct(
    example: tf.train.Example, corrections: LabelCorrections, class_names: Sequence[str], split: str
) -> Iterator[Any]:
    """Yields the corrected example, unless excluded, and a `QuarantineEntry` of the correction to another output."""
    feature = example.features.feature
    photo = feature[ID_KEY].bytes_list.value[0].decode("utf-8", "backslashreplace")
    if photo not in corrections:
        yield example
        return
    corrected, label = corrections[photo], feature[LABEL_KEY].int64_list.value[0]
    reason, detail = Reason.EXCLUDED, "a reviewer excluded it"
    if corrected is not None:
        reason, detail = Reason.RELABELLED, f"a reviewer labelled it {corrected}"
        # Beam forbids changing an input.
        example = tf.train.Example.FromString(example.SerializeToString())
        example.features.feature[LABEL_KEY].int64_list.value[0] = class_names.index(corrected)
        yield example
    class_name = class_names[label] if 0 <= label < len(class_names) else str(label)
    entry = QuarantineEntry(photo, split, label, class_name, Action.REVIEWED, reason, detail)
    yield beam.pvalue.TaggedOutput(_CORRECTED, entry)


def write_listing(entries: Iterable[QuarantineEntry], path: str) -> None:
    """Writes the entries that ImageValidator adds to its own listing."""
    fileio.makedirs(posixpath.dirname(path))
    with fileio.open(path, "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(entry)) + "\n" for entry in entries))


def check_applied(corrections: LabelCorrections, listing_path: str) -> None:
    """Logs how many corrections, of at least one, were applied; raises UserError when no photo has one of their ids."""
    with fileio.open(listing_path) as file:
        entries = (from_json(QuarantineEntry, json.loads(line)) for line in file.read().splitlines())
        reasons = {entry.id: entry.reason for entry in entries if entry.action is Action.REVIEWED}
    unknown = [photo for photo in corrections if photo not in reasons]
    if not reasons:
        raise UserError(
            f"no photo here has an id of --relabel or --exclude, such as {unknown[0]!r}: use a review of these photos"
        )
    counts = Counter(reason.value for reason in reasons.values())
    line = ", ".join(f"{counted(count, 'photo')} {reason}" for reason, count in sorted(counts.items()))
    missing = f"; {counted(len(unknown), 'photo')} not found, such as {unknown[0]!r}" if unknown else ""
    logger.info("A reviewer's corrections: %s%s", line, missing)
