"""Where things are kept: locks, buckets and HDFS, and what a serving folder holds."""
