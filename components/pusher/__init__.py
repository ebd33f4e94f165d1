"""Pusher with an atomic push."""
