"""What every component may use: contracts, errors, progress, examples on disk, the digest of code."""
