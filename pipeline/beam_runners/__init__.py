"""Which engine runs the Beam components: options of Beam's runners, what they need, and worker processes for Flink."""
