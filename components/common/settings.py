"""Settings, declared as fields of dataclasses: default, help text, range and option on a command line."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

from components.common.errors import UserError

_SETTING: Final = "setting"


@dataclasses.dataclass(frozen=True)
class Setting:
    """The declaration of a field, besides its type and default."""

    help: str = ""  # of a boolean that is true by default: the effect of its option, which turns it off
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # exclusive lower limit; excludes infinity, too
    choices: tuple[str, ...] = ()
    # The option; empty derives it from the field's name, None declares no option. On a field that is an optional
    # dataclass of settings: the switch that turns them on.
    flag: str | None = ""
    section: str = ""  # title in the help, for the field or for the dataclass of settings in it
    prefix: str = ""  # start of the names of the settings in a field that is a dataclass
    metavar: str | None = None  # placeholder for the value in the help
    default_text: str = ""  # describes the default in the help, where it is not one value
    per_run: bool = False  # whether a compiled pipeline takes it as a parameter of each run
    parse: Callable[[str], Any] | None = None  # converts the option's text to the value; raises ValueError

    def option(self, name: str) -> str:
        """Returns the option for a field `name`, which includes any prefix."""
        return self.flag or f"--{name.replace('_', '-')}"

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

    def allows(self, value: Any) -> bool:
        """Tells whether a value is in range; None always is, NaN never."""
        if value is None:
            return True
        if self.choices:
            return value in self.choices
        if self.above is not None:
            return self.above < value < math.inf
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


def setting(
    default: Any = dataclasses.MISSING, help_text: str = "", *, factory: Any = dataclasses.MISSING, **own: Any
) -> Any:
    """Declares a field of a dataclass; `own` are further attributes of `Setting`."""
    return dataclasses.field(default=default, default_factory=factory, metadata={_SETTING: Setting(help_text, **own)})


def on_unless(flag: str, help_text: str) -> Any:
    """Declares a boolean field that is true unless the option `flag` is given; `help_text` describes the option."""
    return setting(True, help_text, flag=flag)


def settings_of(cls: Any) -> dict[str, tuple[dataclasses.Field[Any], Setting]]:
    """Returns the fields that are settings, by name."""
    return {f.name: (f, f.metadata[_SETTING]) for f in dataclasses.fields(cls) if _SETTING in f.metadata}


def check_settings(instance: Any, prefix: str = "") -> None:
    """Raises UserError for the first value of a dataclass that is out of range."""
    for name, (_, declared) in settings_of(instance).items():
        value = getattr(instance, name)
        if not declared.allows(value):
            raise UserError(f"{declared.option(prefix + name)} is {value}; it must be {declared.allowed}")
