"""Accuracy on photos of your own, mean and spread over seeds."""
