"""BaselineReader: the model that was pushed last, where no Resolver can be asked."""
