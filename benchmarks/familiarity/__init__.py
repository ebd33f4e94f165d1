"""How well a model tells photos from pictures that are none of them, and what that costs."""
