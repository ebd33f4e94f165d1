"""The plan of a batch: which photos are in which shard. It is made once, and a second start goes on by it.

In the target's `_plan` folder: a list of photos per shard, and `plan.json`, written last. A shard is finished when its
file of predictions is there.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tfx.dsl.io import fileio

from components.common.errors import UserError, storage_errors
from components.contracts.serving_folder import names_in, path_in
from components.storage.atomic import remove_unfinished, write_atomically
from components.storage.objects import is_remote

# Readers of folders (Spark, Arrow, pandas) skip names that begin with an underscore.
PLAN_FOLDER: Final = "_plan"
_PLAN_FILE: Final = f"{PLAN_FOLDER}/plan.json"


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """What is computed, and into how many files.

    Attributes:
        input: What the user named.
        model: The SavedModel's folder as it was found.
        served_from: Where workers load it from.
        format: A key of `pipeline.prediction.batch.prediction_files.FORMATS`.
        photos_per_file: In every shard but the last.
        photos: How many there are.
    """

    input: str
    model: str
    served_from: str
    format: str
    photos_per_file: int
    photos: int = 0

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.photos // self.photos_per_file)

    def size_of(self, shard: int) -> int:
        """Returns how many photos a shard has."""
        return min(self.photos_per_file, self.photos - shard * self.photos_per_file)

    def predictions_file(self, shard: int) -> str:
        """Returns the name of a shard's predictions in the target."""
        return f"predictions-{shard:05d}-of-{self.shards:05d}.{self.format}"

    def unreadable_file(self, shard: int) -> str:
        """Returns the name of the list of a shard's unreadable photos."""
        return f"{PLAN_FOLDER}/unreadable-{shard:05d}.jsonl"

    def to_do(self, target: str) -> list[int]:
        """Returns the shards whose predictions are not there yet."""
        there = set(names_in(target))
        return [shard for shard in range(self.shards) if self.predictions_file(shard) not in there]


def write_file(target: str, name: str, content: bytes) -> None:
    """Writes or replaces a file of the target in one step, or raises a UserError."""
    with storage_errors(f"cannot write to --to {target}"):
        write_atomically(path_in(target, name), content)


def read_file(target: str, name: str) -> bytes:
    """Returns the content of a file of the target."""
    with fileio.open(path_in(target, name), "rb") as file:
        content: bytes = file.read()
    return content


def remove_leftovers(target: str) -> None:
    """Removes the unfinished files of killed workers; a bucket has none."""
    if not is_remote(target):
        for folder in (target, path_in(target, PLAN_FOLDER)):
            remove_unfinished(Path(folder))


def read_plan(target: str) -> ShardPlan | None:
    """Returns the plan of an earlier start; None when there was none, or it ended before the plan was made.

    Args:
        target: The target.

    Raises:
        UserError: The target holds something else.
    """
    names = names_in(target)
    if PLAN_FOLDER not in names or "plan.json" not in names_in(path_in(target, PLAN_FOLDER)):
        if others := sorted(set(names) - {PLAN_FOLDER}):
            raise UserError(f"--to {target} holds other files ({others[0]}): name an empty folder, or a new one")
        return None
    try:
        return ShardPlan(**json.loads(read_file(target, _PLAN_FILE)))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path_in(target, _PLAN_FILE)} is damaged ({error}): name another --to") from error


def make_plan(target: str, photos: Iterable[str], plan: ShardPlan) -> ShardPlan:
    """Writes the lists of photos while they come in, then the plan.

    Args:
        target: The target.
        photos: Paths and URIs.
        plan: All but the number of photos.

    Returns:
        The plan; it is not written if there are no photos.
    """
    photos = iter(photos)
    total = 0
    for shard in itertools.count():
        part = list(itertools.islice(photos, plan.photos_per_file))
        if not part:
            break
        total += len(part)
        # JSON, because a name may hold a line's end, and bytes that are not UTF-8.
        write_file(target, _photos_file(shard), "\n".join(map(json.dumps, part)).encode())
    plan = dataclasses.replace(plan, photos=total)
    if total:
        write_file(target, _PLAN_FILE, json.dumps(dataclasses.asdict(plan), indent=2).encode())
    return plan


def photos_of(target: str, shard: int) -> list[str]:
    """Returns the photos of a shard."""
    return [json.loads(line) for line in read_file(target, _photos_file(shard)).decode().split("\n")]


def check_same(plan: ShardPlan, target: str, **asked: Any) -> None:
    """Checks that a second start asks for what the first one began.

    Args:
        plan: The plan of the first.
        target: The target.
        **asked: The plan's attributes as they are asked for now; None is not asked for.

    Raises:
        UserError: It asks for something else.
    """
    for name, value in asked.items():
        begun = getattr(plan, name)
        if value is not None and value != begun:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"--to {target} was begun with {option} {begun}, and {value} is asked for now: give the same, or name "
                "another --to"
            )


def _photos_file(shard: int) -> str:
    return f"{PLAN_FOLDER}/photos-{shard:05d}.jsonl"
