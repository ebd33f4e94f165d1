"""TFLiteExporter: the classifier for phones and boards, in two sizes, each measured against the original."""
