"""From the flat options of a command line to `RunOptions`."""

import dataclasses
from typing import Any

import click

from components.modeling.hyperparameters import FineTuning, Hyperparameters
from pipeline.config import ImageValidationConfig
from pipeline.presets import RunOptions


def collect_run_options(output: str, options: dict[str, Any]) -> RunOptions:
    """Groups the options that belong to one dataclass each.

    Args:
        output: Where the run writes.
        options: The other options by parameter name; those that no dataclass takes are fields of `RunOptions`.

    Returns:
        The user's choices.

    Raises:
        click.UsageError: An option of fine-tuning is given without `--fine-tune`.
    """
    rest = dict(options)
    return RunOptions(
        output=output,
        image_validation=ImageValidationConfig(**_take(rest, ImageValidationConfig)),
        hyperparameters=_take(rest, Hyperparameters),
        fine_tuning=_fine_tuning(rest),
        **rest,
    )


def _take(options: dict[str, Any], dataclass: Any, prefix: str = "") -> dict[str, Any]:
    """Takes the fields of a dataclass out of the options, as far as they are there."""
    names = [field.name for field in dataclasses.fields(dataclass)]
    return {name: options.pop(prefix + name) for name in names if prefix + name in options}


def _fine_tuning(options: dict[str, Any]) -> FineTuning | None:
    asked_for = options.pop("fine_tune")
    given = FineTuning(**_take(options, FineTuning, "fine_tune_"))
    if not asked_for and given != FineTuning():
        raise click.UsageError("--fine-tune-epochs, -learning-rate and -layers need --fine-tune")
    return given if asked_for else None
