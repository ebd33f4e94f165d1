"""How familiar a photo is to a served model: the name of the output, and what counts as unfamiliar."""

from typing import Final

# Of both signatures, float32 [N] in [0, 1]: the share of validation photos that are less familiar.
FAMILIARITY_OUTPUT: Final = "familiarity"
UNFAMILIAR_BELOW: Final = 0.01
