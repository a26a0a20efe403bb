"""Inference engines behind the `Classifier` protocol."""
