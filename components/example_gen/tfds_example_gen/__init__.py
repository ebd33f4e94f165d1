"""TfdsExampleGen: photos of any TFDS image-classification dataset as tf.Examples."""
