"""The photo_folder dataset: a user's own photos, wherever they are, as a TFDS dataset."""
