"""Names of classes: those that look alike are one class, or an error."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

from components.common.errors import UserError

# Characters without a glyph: soft hyphen, zero-width space and joiners, marks of direction, byte order mark.
_INVISIBLE: Final = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_NUMBER: Final = re.compile(r"[+-]?\d{1,99}(\.\d{0,99})?")


def tidy_name(name: str) -> str:
    """Returns the name of a class in Unicode's form NFC, without blanks and invisible characters around it."""
    name = unicodedata.normalize("NFC", name)
    return re.sub(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$", "", name)


def name_key(name: str) -> str:
    """Returns what names of one class have in common: all but invisible characters and the kind of blanks."""
    return " ".join(re.sub(f"[{_INVISIBLE}]", "", tidy_name(name)).split())


def find_classes(names: Iterable[str], source: str) -> dict[str, str]:
    """Returns the class of each name; raises UserError for two that differ only by case or as numbers are written."""
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_key[name_key(name)].append(name)
    classes: dict[str, str] = {}
    by_look: dict[Fraction | str, str] = {}
    for key, alike in by_key.items():
        class_name = min(map(tidy_name, alike), key=lambda name: (len(name), name)) or alike[0]
        classes |= dict.fromkeys(alike, class_name)
        is_number = _NUMBER.fullmatch(key)
        twin = by_look.setdefault(Fraction(key) if is_number else key.casefold(), class_name)
        if twin != class_name:
            difference = "in the format of a number" if is_number else "in upper and lower case"
            raise UserError(
                f"the classes {twin!r} and {class_name!r} in {source!r} differ only {difference}: rename one, to the "
                "same name if they are one class"
            )
    return classes


def describe_merged(classes: Mapping[str, str]) -> Iterator[str]:
    """Yields a line for each class of `find_classes` that has more than one spelling."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for name, class_name in classes.items():
        by_class[class_name].append(ascii(name))
    for class_name, spellings in sorted(by_class.items()):
        if len(spellings) > 1:
            yield f"{len(spellings)} spellings of {class_name!r} are one class: {', '.join(spellings)}"
