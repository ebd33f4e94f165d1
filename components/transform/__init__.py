"""Transform: the `preprocessing_fn` that decodes, scales and resizes photos."""
