"""The end of a run on the terminal: the table of results and where everything is."""

from collections.abc import Iterator

from rich.table import Table

from components.common.contracts import SPLITS
from pipeline.config import PipelineConfig
from pipeline.history.summary import RunSummary
from pipeline.local_run.console import RunConsole


def print_outcome(console: RunConsole, config: PipelineConfig, summary: RunSummary, seconds: float) -> None:
    """Prints what a finished run led to.

    Args:
        console: Where to print.
        config: The run's configuration.
        summary: The run's results.
        seconds: Its wall time.
    """
    out = console.console
    out.print()
    out.print(_results_table(summary))
    if console.finished_nodes and set(console.finished_nodes) - set(console.cached_nodes) <= _NEVER_CACHED:
        out.print("Nothing changed since an earlier run: every result above is answered from TFX's cache.")
    for line in _training_lines(summary):
        out.print(line, markup=False)
    if summary.blessed:
        out.print(f"[green]Blessed[/] and pushed: {summary.pushed_path}")
    else:
        reasons = "; ".join(summary.not_blessed_reasons())
        out.print(f"Not blessed: {reasons}. Nothing was pushed.", style="yellow", markup=False)
    for line in _tflite_lines(summary):
        out.print(line, markup=False)
    out.print(f"Artifacts:       {config.pipeline_root}")
    out.print(f"ML Metadata:     {config.metadata_uri}")
    out.print(f"Time:            {seconds:.0f} s")


# It asks ML Metadata anew each time, which takes no time.
_NEVER_CACHED = {"latest_blessed_model_resolver"}


def _training_lines(summary: RunSummary) -> Iterator[str]:
    """Yields what the search and the fine-tuning found, a line each."""
    if summary.tuning:
        tuned = sorted(summary.tuning["values"].items())
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in tuned
        )
        accuracy = summary.tuning["validation_accuracy"]
        yield f"Best of {summary.tuning['trials']} trials: {values}; validation accuracy {accuracy:.4f}"
    if summary.fine_tuning:
        before, after = summary.fine_tuning["accuracy_before"], summary.fine_tuning["accuracy_after"]
        end = "" if summary.fine_tuning["kept"] else "; not kept: the model is the one before it"
        yield f"Fine-tuning: validation accuracy {before:.4f} before, {after:.4f} after{end}"


def _tflite_lines(summary: RunSummary) -> Iterator[str]:
    """Yields what became of the model on its way to TensorFlow Lite: a line per file, accuracies on the same photos."""
    if summary.tflite:
        original = summary.tflite["original"]["accuracy"]
        for name in ("float16", "int8"):
            found = summary.tflite[name]
            yield (
                f"TFLite {name + ':':9}accuracy {found['accuracy']:.4f} (original {original:.4f}) on "
                f"{summary.tflite['test_photos']} test photos, {found['bytes'] / 1e6:.1f} MB: "
                f"{summary.tflite['path']}/{name}.tflite"
            )


def _results_table(summary: RunSummary) -> Table:
    table = Table(title="Photos per split, and accuracy per class (recall)")
    table.add_column("class")
    for split in SPLITS:
        table.add_column(split, justify="right")
    table.add_column("validation accuracy", justify="right")
    table.add_column("test accuracy", justify="right")
    rows = zip(summary.class_names, summary.validation["classes"], summary.test["classes"], strict=True)
    for name, validation, test in rows:
        counts = [str(summary.class_counts[split].get(name, 0)) for split in SPLITS]
        table.add_row(name, *counts, _share(validation["recall"]), _share(test["recall"]))
    table.add_section()
    totals = [str(sum(summary.class_counts[split].values())) for split in SPLITS]
    accuracies = [f"{metrics['accuracy']:.4f}" for metrics in (summary.validation, summary.test)]
    table.add_row("all", *totals, *accuracies, style="bold")
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
