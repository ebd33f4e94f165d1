"""TFDS datasets: downloaded, prepared once, and read as examples."""
