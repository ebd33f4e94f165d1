"""Which labels are doubtful: cross-validation on features, and confident learning on what it predicts."""

from typing import Final, NamedTuple

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict

# Also the fewest photos that a class needs to be reviewed.
FOLDS: Final = 5
# Of the features: they hold what tells classes apart, and everything after them takes a tenth of the time.
_COMPONENTS: Final = 128
_SEED: Final = 0


class Review(NamedTuple):
    """What cross-validation makes of the labels of some photos.

    Attributes:
        reviewed: Indices of the photos whose class has enough of them, int64 [N].
        probabilities: Of those photos, by classifiers that were not fitted to them, float64 [N, C].
        doubtful: Positions in `reviewed` of doubtful labels, int64 [M], the most doubtful first.
    """

    reviewed: np.ndarray
    probabilities: np.ndarray
    doubtful: np.ndarray


def review_labels(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Review:
    """Finds labels that the other photos' labels speak against.

    Every photo is classified by a linear discriminant analysis (covariance shrunk as by Ledoit and Wolf, 2004) of the
    other folds' principal components; square roots make features that come from a ReLU less skewed. Which labels are
    doubtful follows from that by confident learning (Northcutt, Jiang and Chuang 2021,
    https://arxiv.org/abs/1911.00068), as cleanlab has it.

    Args:
        features: float32 [P, D].
        labels: int64 [P], from 0 to C - 1.
        num_classes: C.

    Returns:
        The review; an empty one unless two classes have at least 5 photos.
    """
    enough = np.flatnonzero(np.bincount(labels, minlength=num_classes) >= FOLDS)
    reviewed = np.flatnonzero(np.isin(labels, enough))
    if len(enough) < 2:  # noqa: PLR2004
        return Review(reviewed[:0], np.zeros((0, num_classes)), reviewed[:0])
    given = np.searchsorted(enough, labels[reviewed])
    rooted = np.sign(features[reviewed]) * np.sqrt(np.abs(features[reviewed]))
    components = min(_COMPONENTS, *rooted.shape)
    reduced = PCA(components, svd_solver="randomized", random_state=_SEED).fit_transform(rooted)
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED)
    predicted = cross_val_predict(classifier, reduced, given, cv=folds, method="predict_proba")
    doubtful = find_label_issues(
        given, predicted, return_indices_ranked_by="normalized_margin", filter_by="both", n_jobs=1
    )
    probabilities = np.zeros((len(reviewed), num_classes))
    probabilities[:, enough] = predicted
    return Review(reviewed, probabilities, np.asarray(doubtful, np.int64))
