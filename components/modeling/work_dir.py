"""Where an interrupted training or search is kept until it is resumed."""

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from tfx.components.trainer.fn_args_utils import FnArgs

from components.common.code_digest import code_digest
from components.contracts.output_folder import FINISHED_SUFFIX


def resumable_work_dir(fn_args: FnArgs, module: str) -> Path:
    """Returns the existing folder below `work_root` for the same data, base model, hyperparameters and code.

    `module` is the dotted name of the module that trains; `remove_work_dir` removes the folder.
    """
    identity: list[Any] = [
        sorted(fn_args.train_files), sorted(fn_args.eval_files), fn_args.transform_graph_path, fn_args.base_model,
        fn_args.hyperparameters, fn_args.custom_config, code_digest(module),
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    work_dir = Path(fn_args.custom_config["work_root"]) / key
    work_dir.mkdir(parents=True, exist_ok=True)
    return work_dir


def remove_work_dir(work_dir: Path) -> None:
    """Removes the folder of a finished training; killed midway, it leaves nothing to resume."""
    finished = work_dir.rename(work_dir.with_name(f"{work_dir.name}-{uuid.uuid4().hex}{FINISHED_SUFFIX}"))
    shutil.rmtree(finished)
