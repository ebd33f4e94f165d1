"""The commands that read what runs recorded, one module each; none of them needs TensorFlow."""
