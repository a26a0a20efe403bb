"""Measuring how fast this host names birds, and why it is not faster."""
