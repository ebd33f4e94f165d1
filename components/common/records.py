"""Typed records from parsed JSON: the one reader of the dataclasses that the project writes to files."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import cattrs

_T = TypeVar("_T")
_PRIMITIVES: Final[Mapping[type, tuple[type, ...]]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),  # JSON has one type of number
    str: (str,),
}


def from_json(cls: type[_T], content: Any) -> _T:
    """Builds a dataclass, or a type such as `list[Record]`, from parsed JSON.

    Fields that the content lacks take their defaults; keys that are not fields are ignored. Raises ValueError, with a
    message of one line, if a field without a default is missing or a value has another type than its field.
    """
    try:
        return _converter().structure(content, cls)
    except (TypeError, AttributeError) as error:  # from what stands in place of a list or an object
        raise ValueError(str(error)) from error


@functools.cache
def _converter() -> "cattrs.Converter":
    import cattrs

    # Without detailed validation: a listing may have a hundred thousand records.
    converter = cattrs.Converter(detailed_validation=False)
    for kind in _PRIMITIVES:
        converter.register_structure_hook(kind, _primitive)
    converter.register_structure_hook_factory(dataclasses.is_dataclass, functools.partial(_record, converter))
    return converter


def _primitive(value: Any, kind: type) -> Any:
    accepted = _PRIMITIVES.get(kind)
    if accepted is None:  # an enum whose members are texts or numbers
        return kind(value)
    if isinstance(value, accepted):
        return value
    raise ValueError(f"{value!r} is not of type {kind.__name__}")


def _record(converter: "cattrs.Converter", cls: Any) -> Callable[[Any, Any], Any]:
    from cattrs.gen import make_dict_structure_fn

    structure = make_dict_structure_fn(cls, converter, _cattrs_detailed_validation=False)

    def read(content: Any, kind: Any) -> Any:
        if not isinstance(content, Mapping):
            raise ValueError(f"{content!r} is not an object with the fields of {cls.__name__}")
        try:
            return structure(content, kind)
        except KeyError as error:
            raise ValueError(f"{error} of {cls.__name__} is missing") from error

    return read
