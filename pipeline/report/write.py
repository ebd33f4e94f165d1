"""Writes the report of a run: the page and, beside it, the model card as JSON."""

import dataclasses
import json
import logging
import re
from pathlib import Path

from components.common.errors import UserError, first_line
from components.contracts.output_folder import REPORTS_FOLDER
from components.storage.atomic import write_atomically
from pipeline.records.run import Run
from pipeline.report.headline import make_headline
from pipeline.report.page import render_page
from pipeline.report.sections import model_card

logger = logging.getLogger(__name__)

MODEL_CARD_FILE = "model_card.json"


@dataclasses.dataclass(frozen=True)
class WrittenReport:
    """Where a report is.

    Attributes:
        run_id: The run's name in ML Metadata.
        state: "blessed", "not-blessed", "failed", "running" or "interrupted".
        page: The HTML file.
        model_card: The model card.
    """

    run_id: str
    state: str
    page: Path
    model_card: Path


def write_report(run: Run, to: Path | None = None) -> WrittenReport:
    """Writes the report of a run.

    Args:
        run: The run.
        to: The HTML file to write; None is `<output>/reports/<pipeline>/<run id>.html`.

    Returns:
        Where the files are.

    Raises:
        UserError: The run has not begun, or the file cannot be written.
    """
    headline = make_headline(run)
    target = to or default_path(run)
    card = target.with_suffix(f".{MODEL_CARD_FILE}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, render_page(run, headline))
        write_atomically(card, json.dumps(model_card.load(run), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(f"cannot write the report to {target}: {error.strerror}; choose another file") from error
    return WrittenReport(run.run_id, headline.state, target, card)


def default_path(run: Run) -> Path:
    """Returns where a run's report goes unless told otherwise."""
    # Some systems forbid the colons of a run id in file names.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", run.run_id)
    return run.store.output / REPORTS_FOLDER / run.pipeline_name / f"{name}.html"


def write_report_after_run(run: Run) -> str:
    """Writes the report of a run that has ended, and never fails: its results are there without it.

    Args:
        run: The run.

    Returns:
        The HTML file, or why there is none.
    """
    try:
        return str(write_report(run).page)
    except Exception as error:
        logger.debug("the report could not be written", exc_info=True)
        return f"not written: {first_line(error)}"
