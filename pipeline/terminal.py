"""Output to the terminal. Names of files and classes may hold characters that control it: they are replaced."""

from typing import Any

from rich.console import Console
from rich.text import Text

from components.common.text import printable


class Terminal(Console):
    """A console that replaces unprintable characters of the texts that it is given."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Converts a text, also that of a table's cell."""
        return super().render_str(printable(text), **options)
