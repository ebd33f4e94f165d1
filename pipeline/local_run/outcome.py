"""The end of a run on the terminal: the table of results and where everything is."""

from collections.abc import Iterator

from rich.table import Table

from components.common.text import counted
from components.contracts import SPLITS, TEST_SPLIT, VALIDATION_SPLIT
from components.contracts.nodes import BASELINE_RESOLVER, TFLITE_MODEL
from components.contracts.tflite import FLOAT16_FILE, INT8_FILE
from pipeline.config import PipelineConfig
from pipeline.local_run.console import RunConsole
from pipeline.records.explanation import explain
from pipeline.records.store import Run


def print_outcome(console: RunConsole, config: PipelineConfig, run: Run) -> None:
    """Prints the results of a finished run."""
    out = console.console
    out.print()
    out.print(_results_table(run))
    # The resolver queries ML Metadata in every run.
    if console.finished_nodes and set(console.finished_nodes) - set(console.cached_nodes) <= {BASELINE_RESOLVER}:
        out.print("Nothing has changed since an earlier run: all results above come from TFX's cache.")
    for line in _training_lines(run):
        out.print(line, markup=False)
    explanation = explain(run)
    if remark := explanation.baseline_remark:
        out.print(remark, markup=False)
    if run.blessed:
        out.print(f"[green]Blessed[/] and pushed: {run.pushed_path}")
    else:
        out.print(f"Not blessed: {'; '.join(explanation.misses)}. Nothing was pushed.", style="yellow", markup=False)
    for line in _tflite_lines(run):
        out.print(line, markup=False)
    if (review := run.label_review) and review.num_doubtful:
        out.print(f"Doubtful labels: {review.num_doubtful:,} of {sum(review.photos.values()):,}; `labels` lists them")
    if run.drift:
        out.print(run.drift.summary, style="yellow" if run.drift.moved else "", markup=False)
    out.print(f"Artifacts:       {config.pipeline_root}")
    out.print(f"ML Metadata:     {config.metadata_uri}")
    out.print(f"Time:            {(run.ended_ms - run.started_ms) / 1000:.0f} s")


def _training_lines(run: Run) -> Iterator[str]:
    """Yields the results of the search and of fine-tuning, a line each."""
    if tuning := run.tuning:
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in sorted(tuning.values.items())
        )
        trials = counted(tuning.trials, "trial")
        yield f"Best of {trials}: {values}; validation accuracy {tuning.validation_accuracy:.4f}"
    if outcome := run.fine_tuning:
        end = "" if outcome.kept else "; not better: the model before fine-tuning was kept"
        before, after = outcome.accuracy_before, outcome.accuracy_after
        epochs = f"{counted(outcome.epochs, 'epoch')}, " if outcome.epochs else ""
        yield f"Fine-tuning: {epochs}validation accuracy {before:.4f} before, {after:.4f} after{end}"


def _tflite_lines(run: Run) -> Iterator[str]:
    """Yields a line per TFLite file; its accuracy and the original's are on the same photos."""
    exported, metrics = run.artifact(TFLITE_MODEL), run.tflite
    if exported and metrics:
        for name, file, found in (("float16", FLOAT16_FILE, metrics.float16), ("int8", INT8_FILE, metrics.int8)):
            yield (
                f"TFLite {name + ':':9}accuracy {found.accuracy:.4f} (original {metrics.original.accuracy:.4f}) on "
                f"{counted(metrics.test_photos, 'test photo')}, {found.bytes / 1e6:.1f} MB: {exported.path}/{file}"
            )


def _results_table(run: Run) -> Table:
    table = Table(title="Photos per split, and accuracy per class (recall)")
    table.add_column("class")
    for heading in (*SPLITS, "validation accuracy", "test accuracy"):
        table.add_column(heading, justify="right")
    evaluations = [run.metrics(split) for split in (VALIDATION_SPLIT, TEST_SPLIT)]
    for index, name in enumerate(run.class_names):
        counts = [str(run.class_counts[split].get(name, 0)) for split in SPLITS]
        recalls = [metrics.classes[index].recall if metrics else None for metrics in evaluations]
        table.add_row(name, *counts, *("-" if recall is None else f"{recall:.3f}" for recall in recalls))
    table.add_section()
    totals = [str(sum(run.class_counts[split].values())) for split in SPLITS]
    accuracies = [f"{metrics.accuracy:.4f}" if metrics else "-" for metrics in evaluations]
    table.add_row("all", *totals, *accuracies, style="bold")
    return table
