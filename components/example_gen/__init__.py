"""ExampleGen: photo sets from TFDS builders and folders, as raw tf.Examples."""
