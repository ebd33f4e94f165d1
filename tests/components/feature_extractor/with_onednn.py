"""What test_precision.py runs in a process of its own: TensorFlow decides at its start whether oneDNN is on.

Arguments: the folders of a backbone's SavedModel and of Transform's graph, a TFRecord file of raw examples, and a .npz
file for the features of both splits in both precisions.
"""

import sys

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import numpy as np
import tensorflow as tf

from components.feature_extractor.extractor import ExtractionConfig, Extractor


def main(backbone: str, transform_graph: str, examples: str, result: str) -> None:
    serialized = list(tf.data.TFRecordDataset(examples, "GZIP").as_numpy_iterator())
    found = {}
    for precision in ("float32", "bfloat16"):
        extractor = Extractor(ExtractionConfig(backbone, "d1", transform_graph, 1, "test", precision))
        for split in ("train", "test"):
            ((_, features),) = extractor.extract([(split, serialized)])
            found[f"{precision} {split}"] = features
    np.savez(result, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
