"""Puts the page together: collects what a run left, draws the charts, fills the templates."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.history.run_files import RunRecords, load_run
from pipeline.history.store import RunStore
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
    history: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any]
    charts: Sequence[Markup]


@dataclasses.dataclass(frozen=True)
class Page:
    """Everything that the templates show.

    Attributes:
        records: The run.
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

    records: RunRecords
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


def collect_page(store: RunStore, run_id: str) -> Page:
    """Reads a run's artifacts, as far as they are there.

    Args:
        store: The runs.
        run_id: A run's full id.
    """
    records = load_run(store, run_id)
    evaluations = load_evaluations(records)
    headline = make_headline(store, records)
    validation = data_quality.load_validation(records)
    num_classes = min(len(records.class_names), _MAX_SAMPLE_CLASSES)
    return Page(
        records=records,
        headline=headline,
        evaluations=evaluations,
        validation=validation,
        statistics=data_quality.load_statistics(records),
        anomalies=data_quality.load_anomalies(records),
        album=_album(records, evaluations, num_classes),
        duplicates=_duplicates(records, validation.photo_keys if validation else set()),
        num_sample_classes=num_classes,
        trainings=[training for node_id in records.executions if (training := _training(records, node_id))],
        charts=_charts(list(evaluations.values())),
        graph=lineage.build_graph(records),
        card=make_model_card(records, evaluations, headline),
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
        records=page.records,
        digests=parameters.digests_of(page.records),
        versions=parameters.versions(),
        tfx_versions=parameters.tfx_versions(page.records),
    )


def _training(records: RunRecords, node_id: str) -> Training | None:
    history = records.json(node_id, "model_run", "history.json")
    if not history:
        return None
    # The training loop's own choice: the highest validation accuracy, then the lowest validation loss.
    best = max(history, key=lambda entry: (entry["validation_accuracy"], -entry["validation_loss"]))
    name = f"chart-{node_id.replace('.', '-')}"
    drawn = [charts.training_curve(name, history, metric, best["epoch"]) for metric in ("accuracy", "loss")]
    return Training(node_id, history, best, drawn)


def _album(records: RunRecords, evaluations: Mapping[str, Evaluation], num_classes: int) -> Album:
    cells = max(1, num_classes * len(records.splits))
    per_class = max(1, min(_MAX_SAMPLES_PER_CLASS, _MAX_SAMPLES // cells))
    wanted = {(split, mistake.id) for split, entry in evaluations.items() for mistake in entry.mistakes}
    folder = records.folder("ImageValidator", "valid_examples") or records.folder("TfdsExampleGen", "examples")
    return photos.make_album(folder, records.splits, per_class, num_classes, wanted)


def _duplicates(records: RunRecords, wanted: set[PhotoKey]) -> Album:
    """Photos that were left out are only in the examples that ImageValidator was given."""
    return photos.make_album(records.folder("TfdsExampleGen", "examples"), (), 0, 0, wanted)


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
