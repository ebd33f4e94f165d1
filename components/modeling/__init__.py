"""What the components share about the model: backbones, classifier, training loop, serving."""
