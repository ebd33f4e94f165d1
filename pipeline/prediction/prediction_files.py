"""Prediction files: one row per photo, as Parquet or JSON Lines."""

import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from components.contracts.familiarity import FAMILIARITY_OUTPUT
from components.photos.photo_set import UnusedFile
from pipeline.prediction.served_model import Classification


def to_parquet(predictions: Sequence[Classification]) -> bytes:
    """Returns a Parquet file.

    Its columns are `uri`, `label`, `probability` float32, `probabilities` map of string to float32, `familiarity`
    float32 and `unfamiliar` boolean; the last two are null for models without familiarity.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "uri": pa.array([text(prediction.photo) for prediction in predictions], pa.string()),
        "label": pa.array([prediction.classes[0][0] for prediction in predictions], pa.string()),
        "probability": pa.array([prediction.classes[0][1] for prediction in predictions], pa.float32()),
        "probabilities": pa.array(
            [prediction.classes for prediction in predictions], pa.map_(pa.string(), pa.float32())
        ),
        FAMILIARITY_OUTPUT: pa.array([prediction.familiarity for prediction in predictions], pa.float32()),
        "unfamiliar": pa.array([prediction.unfamiliar for prediction in predictions], pa.bool_()),
    }
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def to_json_lines(predictions: Sequence[Classification]) -> bytes:
    """Returns JSON Lines with the columns of `to_parquet` as keys; `probabilities` is an object."""
    return _lines(
        {
            "uri": text(prediction.photo),
            "label": prediction.classes[0][0],
            "probability": prediction.classes[0][1],
            "probabilities": dict(prediction.classes),
            FAMILIARITY_OUTPUT: prediction.familiarity,
            "unfamiliar": prediction.unfamiliar,
        }
        for prediction in predictions
    )


def to_unreadable(predictions: Sequence[Classification]) -> bytes:
    """Returns JSON Lines with the keys `uri` and `reason`."""
    return _lines({"uri": text(prediction.photo), "reason": prediction.error} for prediction in predictions)


def to_not_used(files: Iterable[UnusedFile]) -> bytes:
    """Returns JSON Lines with the keys `uri` and `reason`."""
    return _lines({"uri": text(file.path), "reason": file.kind} for file in files)


def text(path: str) -> str:
    """Returns a path with bytes that are not UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


FORMATS: Final[dict[str, Callable[[Sequence[Classification]], bytes]]] = {
    "parquet": to_parquet,
    "jsonl": to_json_lines,
}
