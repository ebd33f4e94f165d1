"""Options of the command line follow from the declarations of `RunOptions`."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from components.common.errors import UsageError, UserError
from components.modeling.hyperparameters import REFERENCE, STRONG, FineTuning, Hyperparameters
from pipeline.cli.main import cli
from pipeline.cli.run_options import collect_run_options, run_options
from pipeline.config import BackboneOptions, BeamOptions, BlessingConfig, RunOptions
from pipeline.presets import build_config


def _parse(*arguments: str) -> RunOptions:
    """What a command makes of its arguments."""
    collected: list[RunOptions] = []

    @run_options()
    @click.command()
    def command(**values: object) -> None:
        collected.append(collect_run_options(**values))

    command(arguments, standalone_mode=False)
    return collected[0]


def test_without_options_the_preset_and_then_the_declared_defaults_hold() -> None:
    options = _parse()
    assert (options.data.dataset, options.backbone.name) == ("synthetic_flowers", "efficientnet_lite0")
    assert options.blessing == BlessingConfig(min_accuracy=0.75)
    assert _parse("--preset", "tf_flowers").blessing.min_accuracy == 0.8
    assert (options.fine_tuning, options.beam) == (None, BeamOptions())
    assert options.enable_cache


@pytest.mark.parametrize(
    ("arguments", "recipe"),
    [
        ((), STRONG),
        (("--photos", "some"), STRONG),
        (("--preset", "tf_flowers"), REFERENCE),
        (("--preset", "tf_flowers", "--recipe", "strong"), STRONG),
        (("--recipe", "reference"), REFERENCE),
        (("--fine-tune",), REFERENCE),
    ],
)
def test_the_recipe_is_what_is_asked_for_or_what_suits(arguments: tuple[str, ...], recipe: str) -> None:
    assert _parse(*arguments).hyperparameters == Hyperparameters(recipe=recipe)


def test_fine_tuning_and_the_strong_recipe_exclude_each_other() -> None:
    with pytest.raises(UserError, match="--fine-tune and --recipe strong exclude each other"):
        _parse("--fine-tune", "--recipe", "strong")


def test_the_seed_of_the_training_leaves_the_photos_as_they_are(tmp_path: Path, tiny_backbone: Path) -> None:
    common = ("--output", str(tmp_path), "--backbone", str(tiny_backbone))
    plain, reseeded, redrawn = (
        build_config(_parse(*common, *extra))
        for extra in ((), ("--seed", "1"), ("--dataset", "synthetic_flowers/n1600_seed1"))
    )
    assert reseeded.data == plain.data
    assert reseeded.hyperparameters.seed == 1
    assert redrawn.name == plain.name
    assert redrawn.data.fingerprint != plain.data.fingerprint


def test_photos_in_a_bucket_are_no_path(tmp_path: Path, tiny_backbone: Path) -> None:
    with pytest.raises(UserError, match="cannot read 'ram://nowhere/photos': expected a path on this machine, or"):
        build_config(
            _parse("--output", str(tmp_path), "--backbone", str(tiny_backbone), "--photos", "ram://nowhere/photos")
        )


def test_options_reach_the_dataclass_that_declares_them() -> None:
    options = _parse(
        *("--epochs", "3", "--min-accuracy", "0.5", "--backbone", "mobilenet_v2", "--image-size", "96x128"),
        *("--fine-tune", "--fine-tune-epochs", "2", "--beam-workers", "2", "--beam-arg=--a=b", "--beam-arg=--c=d"),
        *(
            "--tune",
            "4",
            "--no-cache",
            "--export-tflite",
            "--split-method",
            "hash",
            "--split",
            "80/10/10",
            "--feature-memory",
            "1.5 gb",
        ),
    )
    assert options.hyperparameters == Hyperparameters(epochs=3)
    assert options.blessing.min_accuracy == 0.5
    assert options.backbone == BackboneOptions("mobilenet_v2", (96, 128))
    assert options.fine_tuning == FineTuning(epochs=2)
    assert options.beam == BeamOptions(workers=2, args=("--a=b", "--c=d"))
    assert (options.tuning_trials, options.enable_cache, options.export_tflite) == (4, False, True)
    assert (options.data.split_method, options.data.split_fractions) == ("hash", (0.8, 0.1, 0.1))
    assert options.feature_memory == 1_500_000_000


def test_other_shares_than_train_validation_and_test_are_refused() -> None:
    result = CliRunner().invoke(cli, ["run", "--split", "80/20"])
    assert result.exit_code == 2
    assert "'80/20' are not shares of train, validation and test that sum to 100" in " ".join(result.output.split())
    with pytest.raises(UserError, match="split fractions must be train, validation, test above 0 and sum to 1"):
        collect_run_options("quickstart", split=(0.8, 0.1, 0.2))


@pytest.mark.parametrize("text", ["1", "GB", "-1GB", "1GiB", "1e3MB"])
def test_memory_needs_a_unit(text: str) -> None:
    result = CliRunner().invoke(cli, ["run", "--feature-memory", text])
    assert result.exit_code == 2
    assert f"{text!r} is not a size such as 1GB, 1.5GB or 500MB" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_photos": 0}, "--num-photos is 0; it must be at least 1"),
        ({"max_quarantine_share": 1.1}, "--max-quarantine-share is 1.1; it must be between 0 and 1"),
        ({"learning_rate": float("nan")}, "--learning-rate is nan; it must be greater than 0"),
        ({"fine_tune": True, "fine_tune_layers": -1}, "--fine-tune-layers is -1"),
        ({"beam_workers": -1}, "--beam-workers is -1"),
        ({"tune": -1}, "--tune is -1"),
    ],
)
def test_values_out_of_range_are_usage_errors(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        collect_run_options("quickstart", **values)


def test_help_shows_sections_defaults_and_choices() -> None:
    text = CliRunner().invoke(cli, ["run", "--help"]).output
    words = " ".join(text.split())
    assert "Fine-tuning: --fine-tune After the head, train the backbone" in words
    assert "--epochs INTEGER Passes over the training split. [default: 10]" in words
    assert "--feature-memory SIZE Memory for features during training" in words
    assert "are read from disk in every epoch. [default: 1GB]" in words
    assert "--min-accuracy FLOAT Test accuracy required for a blessing. [default: the preset's]" in words
    assert "--log-every-steps" not in text


def test_a_bucket_for_artifacts_is_not_below_the_photos() -> None:
    result = CliRunner().invoke(cli, ["run", "--photos", "s3://flowers/photos/", "--output", "s3://flowers/photos/out"])
    assert "--output s3://flowers/photos/out is below --photos s3://flowers/photos/: choose another place" in str(
        result.exception
    )
