"""Puts the page together: collects what a run left, draws the charts, fills the templates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from components.common.contracts import nodes
from components.common.contracts.training import EpochResult, best_epoch
from components.common.errors import UserError
from pipeline.history.run import Run
from pipeline.report import data_quality, photos, text
from pipeline.report import provenance as parameters
from pipeline.report.data_quality import Anomaly, FeatureStatistics, Validation
from pipeline.report.drawing import charts
from pipeline.report.drawing import lineage_graph as lineage
from pipeline.report.evaluations import Evaluation, load_evaluations
from pipeline.report.headline import Headline, make_headline
from pipeline.report.model_card import make_model_card
from pipeline.report.photos import Album, PhotoKey

_TEMPLATE = "report.html.j2"
_MAX_SAMPLES = 150  # pictures in the grid; about 5 kB each
_MAX_SAMPLES_PER_CLASS = 6
_MAX_SAMPLE_CLASSES = 50
_MAX_CHART_CLASSES = 60
_HEAT_STEPS = 9


@dataclasses.dataclass(frozen=True)
class Training:
    """One Trainer's curves.

    Attributes:
        node_id: The component.
        history: One entry per epoch.
        best: The entry whose weights were kept.
        charts: Accuracy and loss.
    """

    node_id: str
    history: Sequence[EpochResult]
    best: EpochResult
    charts: Sequence[Markup]


@dataclasses.dataclass(frozen=True)
class Page:
    """Everything that the templates show.

    Attributes:
        run: The run.
        headline: What it came to.
        evaluations: By split.
        validation: ImageValidator's findings; None without any.
        statistics: TFDV's statistics.
        anomalies: TFDV's anomalies; None when they were not looked for.
        album: The pictures.
        duplicates: Pictures of photos that were left out or moved, and of those they repeat.
        num_sample_classes: How many classes have sample pictures.
        trainings: The trainings of the run, in their order.
        charts: By name; those without data are missing.
        graph: The lineage.
        card: The model card.
    """

    run: Run
    headline: Headline
    evaluations: Mapping[str, Evaluation]
    validation: Validation | None
    statistics: Sequence[FeatureStatistics]
    anomalies: Sequence[Anomaly] | None
    album: Album
    duplicates: Album
    num_sample_classes: int
    trainings: Sequence[Training]
    charts: Mapping[str, Markup]
    graph: lineage.Graph
    card: dict[str, Any]


def collect_page(run: Run) -> Page:
    """Reads a run's artifacts, as far as they are there.

    Args:
        run: The run.

    Raises:
        UserError: No component of it has started yet.
    """
    if not run.executions:
        raise UserError(f"run {run.run_id} has no executions yet: ask again once a component has started")
    evaluations = load_evaluations(run)
    headline = make_headline(run)
    validation = data_quality.load_validation(run)
    num_classes = min(len(run.class_names), _MAX_SAMPLE_CLASSES)
    return Page(
        run=run,
        headline=headline,
        evaluations=evaluations,
        validation=validation,
        statistics=data_quality.load_statistics(run),
        anomalies=data_quality.load_anomalies(run),
        album=_album(run, evaluations, num_classes),
        duplicates=_duplicates(run, validation.photo_keys if validation else set()),
        num_sample_classes=num_classes,
        trainings=[training for node_id in run.model_runs if (training := _training(run, node_id))],
        charts=_charts(list(evaluations.values())),
        graph=lineage.build_graph(run),
        card=make_model_card(run, evaluations, headline),
    )


def render_page(page: Page) -> str:
    """Returns the page as HTML.

    Args:
        page: What to show.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        finalize=text.printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers = (
        text.percent, text.interval, text.count, text.words, text.when, text.iso, text.duration, text.shortened,
        text.sum_counts, lineage.state_of, parameters.parameters_of, _heat,
    )  # fmt: skip
    environment.filters.update({helper.__name__.strip("_"): helper for helper in helpers})
    template = environment.get_template(_TEMPLATE)
    return template.render(
        page=page,
        run=page.run,
        digests=parameters.digests_of(page.run),
        versions=parameters.versions(),
        tfx_versions=parameters.tfx_versions(page.run),
    )


def _training(run: Run, node_id: str) -> Training | None:
    history = run.history(node_id)
    if not history:
        return None
    best = history[best_epoch(history)]
    name = f"chart-{node_id.replace('.', '-')}"
    drawn = [charts.training_curve(name, history, metric, best.epoch) for metric in ("accuracy", "loss")]
    return Training(node_id, history, best, drawn)


def _album(run: Run, evaluations: Mapping[str, Evaluation], num_classes: int) -> Album:
    cells = max(1, num_classes * len(run.splits))
    per_class = max(1, min(_MAX_SAMPLES_PER_CLASS, _MAX_SAMPLES // cells))
    wanted = {(split, mistake.id) for split, entry in evaluations.items() for mistake in entry.mistakes}
    folder = run.folder(nodes.VALID_EXAMPLES) or run.folder(nodes.EXAMPLES)
    return photos.make_album(folder, run.splits, per_class, num_classes, wanted)


def _duplicates(run: Run, wanted: set[PhotoKey]) -> Album:
    """Photos that were left out are only in the examples that ImageValidator was given."""
    return photos.make_album(run.folder(nodes.EXAMPLES), (), 0, 0, wanted)


def _charts(evaluations: Sequence[Evaluation]) -> dict[str, Markup]:
    drawn: dict[str, Markup] = {}
    if evaluations and len(evaluations[0].classes) <= _MAX_CHART_CLASSES:
        drawn["recall"] = charts.recall_chart(evaluations)
    calibrated = [evaluation for evaluation in evaluations if evaluation.bins]
    if calibrated:
        drawn["reliability"] = charts.reliability_diagram(calibrated)
    return drawn


def _heat(number: int, total: int) -> int:
    """Returns how dark a cell of the confusion matrix is, from 0 (none) to 9 (the whole row)."""
    return min(_HEAT_STEPS, 1 + int(number / total * (_HEAT_STEPS - 1))) if number and total else 0
