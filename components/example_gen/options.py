"""The options of the photo source. Imports neither TensorFlow nor TFDS, so that `--help` stays fast."""

import dataclasses

from components.common.errors import UserError
from components.common.settings import check_settings, setting
from components.photos.splits import (
    AUTO,
    DEFAULT_SPLIT_FRACTIONS,
    LAYOUTS,
    SPLIT_METHODS,
    check_split_fractions,
    parse_split_fractions,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSource:
    """Which photos, and how they are split."""

    photos: str = setting(
        "",
        "Your own photos: a folder or .tgz with one sub-folder per class, or a .csv or .jsonl manifest.",
        metavar="PATH",
    )
    dataset: str = setting("", "A TFDS image-classification dataset.", metavar="NAME", default_text="the preset's")
    num_photos: int = setting(1600, "Number of photos that synthetic_flowers generates.", minimum=1)
    split_fractions: tuple[float, float, float] = setting(
        DEFAULT_SPLIT_FRACTIONS,
        "Shares of train, validation and test. Splits that the photos come with are kept.",
        flag="--split",
        metavar="A/B/C",
        parse=parse_split_fractions,
        default_text="50/25/25",
    )
    split_method: str = setting(
        "count",
        "count: exact shares; hash: approximate shares, and adding photos never changes the split of others.",
        choices=SPLIT_METHODS,
    )
    layout: str = setting(
        AUTO,
        "What the top folders of your own photos are: classes, splits such as train and test, or auto: found by name.",
        choices=LAYOUTS,
    )
    group_by: str = setting(
        "",
        "Keep photos of one group in one split. A column of the manifest, or a regular expression over paths with the "
        "group in brackets, such as '(plant\\d+)_'.",
        metavar="COLUMN|REGEX",
    )
    data_dir: str = ""  # where TFDS datasets are prepared and archives extracted; empty is TFDS' own folder

    def __post_init__(self) -> None:
        check_settings(self)
        check_split_fractions(self.split_fractions)
        if self.layout != AUTO and not self.photos:
            raise UserError(f"--layout {self.layout} needs your own photos: add --photos, or remove --layout")
        if self.group_by and not self.photos:
            raise UserError("--group-by needs your own photos: add --photos, or remove --group-by")
        if self.group_by and self.split_method != "count":
            raise UserError("--group-by needs --split-method count: hash assigns each photo by its own name")
