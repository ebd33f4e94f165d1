"""Puts the page together: the header, then one section after the other."""

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import jinja2

from components.common.errors import UserError
from pipeline.records.run import Run
from pipeline.report import text
from pipeline.report.evaluations import load_evaluations
from pipeline.report.headline import Headline
from pipeline.report.sections import (
    data,
    drift,
    evaluation,
    labels,
    lineage,
    mistakes,
    model_card,
    parameters,
    quality,
    training,
)

# Each has a function `load` from a run to what the template of the module's name gets as `content`.
_SECTIONS: Final[Mapping[str, ModuleType]] = {
    "Data": data,
    "Data quality": quality,
    "Drift": drift,
    "Training": training,
    "Evaluation": evaluation,
    "Mistakes": mistakes,
    "Labels": labels,
    "Lineage": lineage,
    "Parameters": parameters,
    "Model card": model_card,
}


@dataclasses.dataclass(frozen=True)
class _Section:
    """A section's name in the navigation, its template, and what that shows."""

    name: str
    template: str
    content: Any


def render_page(run: Run, headline: Headline) -> str:
    """Returns the report as HTML.

    Args:
        run: The run.
        headline: What it came to.

    Raises:
        UserError: No component of the run has started yet.
    """
    if not run.executions:
        raise UserError(f"run {run.run_id} has no executions yet: ask again once a component has started")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        finalize=text.printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(text.FILTERS)
    sections = [
        _Section(name, f"{module.__name__.rpartition('.')[2]}.j2", module.load(run))
        for name, module in _SECTIONS.items()
    ]
    return environment.get_template("base/report.html.j2").render(
        run=run, headline=headline, evaluations=load_evaluations(run), sections=sections
    )
