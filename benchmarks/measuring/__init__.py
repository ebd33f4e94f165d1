"""What benchmarks share: measured processes, what they run, and the limits of the machine."""
