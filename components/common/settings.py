"""Settings declared once, as fields of dataclasses: default, help text, range, and name on a command line."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

from components.common.errors import UserError

_SETTING: Final = "setting"
_NONE: Final = dataclasses.MISSING


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is known of a field besides its type and default.

    Attributes:
        help: What it is, for users.
        minimum: The smallest value allowed.
        maximum: The largest value allowed.
        above: What the value has to be greater than.
        choices: The values allowed.
        flag: The option on the command line; empty is `--` and the field's name, None is no option. On a field that is
            a dataclass of settings or None: the switch that asks for it.
        section: Title that it is shown under, or that the settings in a field that is a dataclass are shown under.
        prefix: Comes before the names of the settings in a field that is a dataclass.
        metavar: What stands for the value in the help.
        default_text: What the help says of the default, where it depends.
        per_run: Whether a compiled pipeline takes it as a parameter of each run.
        parse: From the text on the command line to the value, where the type does not say it; raises ValueError.
    """

    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    flag: str | None = ""
    section: str = ""
    prefix: str = ""
    metavar: str | None = None
    default_text: str = ""
    per_run: bool = False
    parse: Callable[[str], Any] | None = None

    @property
    def allowed(self) -> str:
        """The values allowed, in words; empty for any."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.above is not None:
            return f"greater than {self.above:g} and finite"
        if self.minimum is not None and self.maximum is not None:
            return f"between {self.minimum:g} and {self.maximum:g}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        return "" if self.maximum is None else f"at most {self.maximum:g}"


def setting(
    default: Any = dataclasses.MISSING, help_text: str = "", *, factory: Any = dataclasses.MISSING, **own: Any
) -> Any:
    """Declares a field of a dataclass.

    Args:
        default: Its default.
        help_text: What it is, for users.
        factory: Makes the default, for a field that is a dataclass.
        **own: The other attributes of `Setting`.
    """
    return dataclasses.field(default=default, default_factory=factory, metadata={_SETTING: Setting(help_text, **own)})


def per_run_settings(cls: Any) -> dict[str, tuple[Any, Setting]]:
    """Returns type and declaration of the fields that a compiled pipeline takes as parameters, by name."""
    found = {field.name: (field.type, setting_of(field)) for field in dataclasses.fields(cls)}
    return {name: (kind, declared) for name, (kind, declared) in found.items() if declared and declared.per_run}


def setting_of(field: dataclasses.Field[Any]) -> Setting | None:
    """Returns a field's declaration; None for a field that is no setting."""
    return field.metadata.get(_SETTING)


def check_settings(instance: Any, prefix: str = "") -> None:
    """Checks the values of a dataclass against the ranges of its fields.

    Args:
        instance: The dataclass.
        prefix: Comes before a field's name in the message.

    Raises:
        UserError: A value is out of its range.
    """
    for field in dataclasses.fields(instance):
        declared, value = setting_of(field), getattr(instance, field.name)
        if declared and _unmet(declared, value):
            raise UserError(f"{prefix}{field.name} is {value}; it must be {declared.allowed}")


def _unmet(declared: Setting, value: Any) -> bool:
    if value is None:
        return False
    if declared.choices:
        return value not in declared.choices
    if declared.above is not None:
        return not declared.above < value < math.inf
    # Negated comparisons, for NaN.
    too_low = declared.minimum is not None and not value >= declared.minimum
    return too_low or (declared.maximum is not None and not value <= declared.maximum)
