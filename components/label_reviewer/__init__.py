"""LabelReviewer: photos whose label is doubtful."""
