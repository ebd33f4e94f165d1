"""PhotosFingerprint: looks at the photos in each run, where nobody has before it."""
