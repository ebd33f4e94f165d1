"""The user code that TFX components call: preprocessing, the classifier, its training loop and its signatures."""
