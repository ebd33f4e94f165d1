"""What millions of photos would take on an engine with many workers, from costs per photo that were measured."""
