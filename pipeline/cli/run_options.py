"""The options of the command lines that run or compile the pipeline, made from `RunOptions`, and the way back to it."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from components.common.settings import Setting, setting_of
from components.modeling.hyperparameters import REFERENCE
from pipeline.config import BeamOptions, RunOptions
from pipeline.presets import PRESETS

_OTHERS = "Run"


class SectionedCommand(click.Command):
    """A command whose help shows options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            # Of arguments the usage line tells.
            if not isinstance(parameter, click.Argument) and (record := parameter.get_help_record(ctx)):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _SettingOption(click.Option):
    def __init__(self, *declarations: str, section: str, **arguments: Any):
        super().__init__(list(declarations), **arguments)
        self.section = section


def run_options(*, without: frozenset[str] = frozenset()) -> Callable[[click.Command], click.Command]:
    """Returns a decorator that gives a command an option for every setting of `RunOptions`, and `--preset`.

    Args:
        without: Names of options to leave out, with underscores.
    """
    help_text = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    choice = click.Choice(list(PRESETS))
    preset = click.Option(["--preset"], type=choice, default="quickstart", show_default=True, help=help_text)

    def add(command: click.Command) -> click.Command:
        options = [_option(*declaration) for declaration in _declarations(RunOptions)]
        command.params += [preset, *(option for option in options if option.name not in without)]
        return command

    return add


def beam_options(command: click.Command) -> click.Command:
    """Gives a command the options that choose what runs Beam.

    Args:
        command: The command.
    """
    command.params += [_option(*declaration) for declaration in _declarations(BeamOptions, *_beam())]
    return command


def collect_beam_options(**values: Any) -> BeamOptions:
    """Returns the user's choices.

    Args:
        **values: By the names of options, with underscores; None is not given.

    Raises:
        UserError: A value is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    options: BeamOptions = _build(BeamOptions, _beam()[0], given)
    return options


def collect_run_options(preset: str, **values: Any) -> RunOptions:
    """Groups flat options.

    Args:
        preset: What options that are not given fall back to before their own default.
        **values: By the names of options, with underscores; None is not given.

    Returns:
        The user's choices.

    Raises:
        click.UsageError: An option is given without the switch that it belongs to.
        UserError: A value is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    defaults = dict(PRESETS[preset].options)
    if given.get("fine_tune"):
        defaults["recipe"] = REFERENCE
    options: RunOptions = _build(RunOptions, "", {**defaults, **given})
    return options


def _beam() -> tuple[str, str]:
    """Returns prefix and section of the options that choose what runs Beam."""
    (declared,) = (setting for field, setting in _settings(RunOptions) if _dataclass_of(field) is BeamOptions)
    return declared.prefix, declared.section


def _declarations(cls: Any, prefix: str = "", section: str = "") -> Iterator[tuple[dataclasses.Field[Any], str, str]]:
    """Yields every option's field, name and section; the options of a run as a whole last."""
    for field, setting in _settings(cls):
        if inner := _dataclass_of(field):
            if setting.flag:
                yield field, _name(field, setting, prefix), setting.section
            yield from _declarations(inner, prefix + setting.prefix, setting.section)
        else:
            yield field, _name(field, setting, prefix), setting.section or section or _OTHERS


def _settings(cls: Any) -> Iterator[tuple[dataclasses.Field[Any], Setting]]:
    for field in dataclasses.fields(cls):
        setting = setting_of(field)
        if setting and setting.flag is not None:
            yield field, setting


def _name(field: dataclasses.Field[Any], setting: Setting, prefix: str) -> str:
    return (setting.flag or prefix + field.name).lstrip("-").replace("-", "_")


def _dataclass_of(field: dataclasses.Field[Any]) -> Any:
    return next((kind for kind in (field.type, *typing.get_args(field.type)) if dataclasses.is_dataclass(kind)), None)


def _option(field: dataclasses.Field[Any], name: str, section: str) -> click.Option:
    setting = setting_of(field)
    assert setting  # noqa: S101
    text = setting.help
    arguments: dict[str, Any] = {"metavar": setting.metavar}
    if field.type is bool or _dataclass_of(field):
        arguments = {"is_flag": True}
    elif setting.parse:
        arguments["callback"] = _parsing(setting.parse)
        if setting.default_text:
            text += f"  [default: {setting.default_text}]"
    elif typing.get_origin(field.type) is tuple:
        arguments["multiple"] = True
    else:
        arguments["type"] = click.Choice(setting.choices) if setting.choices else field.type
        if setting.default_text:
            text += f"  [default: {setting.default_text}]"
        elif field.default not in ("", dataclasses.MISSING):
            arguments |= {"default": field.default, "show_default": True}
    return _SettingOption(f"--{name.replace('_', '-')}", name, section=section, help=text, **arguments)


def _parsing(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def callback(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def _build(cls: Any, prefix: str, values: Mapping[str, Any]) -> Any:
    """Builds a dataclass of settings from flat values."""
    own: dict[str, Any] = {}
    for field, setting in _settings(cls):
        name = _name(field, setting, prefix)
        inner = _dataclass_of(field)
        if inner:
            content = _build(inner, prefix + setting.prefix, values)
            if not setting.flag or values.get(name):
                own[field.name] = content
            elif differing := [pair for pair in _settings(inner) if getattr(content, pair[0].name) != pair[0].default]:
                names = [f"--{_name(*pair, prefix + setting.prefix)}".replace("_", "-") for pair in differing]
                raise click.UsageError(f"{', '.join(names)} without {setting.flag}: give that as well")
        elif name in values:
            own[field.name] = values[name] != (field.default is True) if field.type is bool else values[name]
    return cls(**own)
