"""Command-line options derived from `RunOptions`, and `RunOptions` built from their values."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import click

from components.common.errors import usage_errors
from components.common.settings import Setting, settings_of
from components.modeling.hyperparameters import REFERENCE
from pipeline.config import BEAM_PREFIX, BeamOptions, RunOptions
from pipeline.presets import PRESETS

_LAST_SECTION: Final = "Run"
_Settings = typing.TypeVar("_Settings")


class SectionedCommand(click.Command):
    """A command whose help groups its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options; arguments are in the usage line."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, click.Argument) and (record := parameter.get_help_record(ctx)):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _SectionOption(click.Option):
    def __init__(self, *declarations: str, section: str, **arguments: Any):
        super().__init__(list(declarations), **arguments)
        self.section = section


def run_options(*, without: frozenset[str] = frozenset()) -> Callable[[click.Command], click.Command]:
    """Returns a decorator that adds `--preset` and the options of `RunOptions` except `without` (with underscores)."""
    help_text = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    choice = click.Choice(list(PRESETS))
    preset = click.Option(["--preset"], type=choice, default="quickstart", show_default=True, help=help_text)

    def add(command: click.Command) -> click.Command:
        command.params += [preset, *(option for option in _options(RunOptions) if option.name not in without)]
        return command

    return add


def beam_options(command: click.Command) -> click.Command:
    """Adds the options of `BeamOptions`."""
    command.params += _options(BeamOptions, BEAM_PREFIX, "Beam")
    return command


def collect_beam_options(**values: Any) -> BeamOptions:
    """Returns the settings from values by option name, with underscores; raises UsageError for one out of range."""
    with usage_errors():
        return _build(BeamOptions, BEAM_PREFIX, _given(values))


def collect_run_options(preset: str, **values: Any) -> RunOptions:
    """Returns the settings from the preset and values by option name, with underscores; None is not given.

    Raises click.UsageError for an option without the switch that it needs, UsageError for a value out of range.
    """
    given, defaults = _given(values), dict(PRESETS[preset].options)
    if given.get("fine_tune"):
        defaults["recipe"] = REFERENCE
    with usage_errors():
        return _build(RunOptions, "", {**defaults, **given})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _declared(cls: Any, prefix: str) -> Iterator[tuple[dataclasses.Field[Any], Setting, str, Any]]:
    """Yields field, declaration, option and, for a field that is one, the dataclass of settings."""
    for name, (field, declared) in settings_of(cls).items():
        kinds = (field.type, *typing.get_args(field.type))
        inner = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
        if declared.flag is not None:
            yield field, declared, declared.option(prefix + name), inner


def _options(cls: Any, prefix: str = "", section: str = _LAST_SECTION) -> Iterator[click.Option]:
    for field, declared, option, inner in _declared(cls, prefix):
        title = declared.section or section
        if not inner or declared.flag:
            yield _option(field, declared, option, title, is_switch=bool(inner) or field.type is bool)
        if inner:
            yield from _options(inner, prefix + declared.prefix, title)


def _option(
    field: dataclasses.Field[Any], declared: Setting, option: str, section: str, is_switch: bool
) -> click.Option:
    text = declared.help + (f"  [default: {declared.default_text}]" if declared.default_text else "")
    arguments: dict[str, Any] = {"metavar": declared.metavar}
    if is_switch:
        arguments = {"is_flag": True}
    elif declared.parse:
        arguments["callback"] = _parsing(declared.parse)
    elif typing.get_origin(field.type) is tuple:
        arguments["multiple"] = True
    else:
        arguments["type"] = click.Choice(declared.choices) if declared.choices else field.type
        if not declared.default_text and field.default not in ("", dataclasses.MISSING):
            arguments |= {"default": field.default, "show_default": True}
    return _SectionOption(option, _key(option), section=section, help=text, **arguments)


def _key(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _parsing(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    def callback(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def _build(cls: type[_Settings], prefix: str, values: Mapping[str, Any]) -> _Settings:
    """Builds a dataclass of settings, and those in its fields, from flat values."""
    own: dict[str, Any] = {}
    for field, declared, option, inner in _declared(cls, prefix):
        if inner:
            content = _build(inner, prefix + declared.prefix, values)
            if not declared.flag or values.get(_key(option)):
                own[field.name] = content
                continue
            of_inner = _declared(inner, prefix + declared.prefix)
            if changed := [name for f, _, name, _ in of_inner if getattr(content, f.name) != f.default]:
                raise click.UsageError(f"missing {declared.flag}, required by {', '.join(changed)}")
        elif (value := values.get(_key(option))) is not None:
            # The option of a boolean that is true by default turns it off.
            own[field.name] = value != (field.default is True) if field.type is bool else value
    return cls(**own)
