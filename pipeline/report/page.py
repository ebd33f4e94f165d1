"""Writes the report of a run: the page and, beside it, the model card as JSON."""

import dataclasses
import functools
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jinja2

from components.common.errors import UserError, first_line
from components.contracts.output_folder import REPORTS_FOLDER
from components.storage.atomic import write_atomically
from pipeline.records.store import Run
from pipeline.report import charts, filters, model_card, provenance, quality
from pipeline.report.view import RunView

logger = logging.getLogger(__name__)

MODEL_CARD_FILE = "model_card.json"


@dataclasses.dataclass(frozen=True)
class Section:
    """A section: its name in the navigation, its template, and what the template gets as `content`."""

    name: str
    template: str
    load: Callable[[RunView], Any] = lambda _: None


# Every template gets `run` and `view` as well.
SECTIONS: Final = (
    Section("Data", "data.j2"),
    Section("Data quality", "quality.j2", quality.load),
    Section("Drift", "drift.j2"),
    Section("Training", "training.j2", charts.training_curves),
    Section("Evaluation", "evaluation.j2", charts.evaluation_charts),
    Section("Mistakes", "mistakes.j2"),
    Section("Labels", "labels.j2"),
    Section("Lineage", "lineage.j2"),
    Section("Parameters", "parameters.j2", provenance.load),
    Section("Model card", "model_card.j2", model_card.load),
)


@dataclasses.dataclass(frozen=True)
class WrittenReport:
    """Where a report is; `state` is the headline's."""

    run_id: str
    state: str
    page: Path
    model_card: Path


def write_report(run: Run, to: Path | None = None) -> WrittenReport:
    """Writes the report of a run to an HTML file, by default `<output>/reports/<pipeline>/<run id>.html`.

    Raises UserError if no component has started yet, or the file cannot be written.
    """
    if not run.executions:
        raise UserError(f"run {run.run_id} has no executions yet: try again when a component has started")
    view = RunView(run)
    # Some file systems forbid the colons of a run id.
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", run.run_id)
    target = to or run.store.output / REPORTS_FOLDER / run.pipeline_name / f"{name}.html"
    card = target.with_suffix(f".{MODEL_CARD_FILE}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, render_page(view))
        write_atomically(card, json.dumps(model_card.load(view), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(f"cannot write the report to {target}: {error.strerror}; choose another file") from error
    return WrittenReport(run.run_id, view.headline.state, target, card)


def write_report_after_run(run: Run) -> str:
    """Writes the report of a run that has ended and returns its path, or why it was not written; never raises."""
    try:
        return str(write_report(run).page)
    except Exception as error:
        logger.debug("the report could not be written", exc_info=True)
        return f"not written: {first_line(error)}"


def render_page(view: RunView) -> str:
    """Returns the report as HTML."""
    contents = [(section, section.load(view)) for section in SECTIONS]
    return _environment().get_template("base/report.html.j2").render(run=view.run, view=view, sections=contents)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        finalize=filters.printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters.FILTERS)
    return environment
