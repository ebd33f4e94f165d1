"""ImageValidator: removes unusable photos and leaks between splits."""
