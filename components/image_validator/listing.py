"""Writes what the Quarantine artifact holds: the listing and the summary."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfx.dsl.io import fileio

from components.image_validator.artifacts import LISTING_FILE, SUMMARY_FILE
from components.image_validator.counting import CountKey, class_name, make_summary
from components.image_validator.photo import Verdict, printable_id


def write_quarantine(
    uri: str,
    verdicts: Iterable[Verdict],
    counts: Mapping[CountKey, int],
    splits: Sequence[str],
    class_names: Sequence[str],
) -> None:
    """Writes both files.

    Args:
        uri: Folder of the artifact.
        verdicts: All verdicts, in any order.
        counts: Sums over all photos and groups of duplicates.
        splits: The splits of the examples, in the order of the listing.
        class_names: The classes in label order.
    """
    listing = sorted(verdicts, key=lambda verdict: (splits.index(verdict.photo.split), verdict.photo.key))
    lines = [json.dumps(_listed(verdict, class_names), ensure_ascii=False) + "\n" for verdict in listing]
    fileio.makedirs(uri)
    with fileio.open(f"{uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(lines))
    with fileio.open(f"{uri}/{SUMMARY_FILE}", "w") as file:
        file.write(make_summary(counts, listing, splits, class_names).to_json())


def _listed(verdict: Verdict, class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "id": printable_id(verdict.photo.id),
        "split": verdict.photo.split,
        "label": verdict.photo.label,
        "class_name": class_name(verdict.photo.label, class_names),
        "action": verdict.action.value,
        "reason": verdict.reason.value,
        "detail": verdict.detail,
    }
