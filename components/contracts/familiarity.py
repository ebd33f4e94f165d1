"""A served model's score of how familiar a photo is."""

from typing import Final

# Of both signatures, float32 [N] in [0, 1]: the share of validation photos that are less familiar.
FAMILIARITY_OUTPUT: Final = "familiarity"
UNFAMILIAR_BELOW: Final = 0.01
