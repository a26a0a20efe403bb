"""Parts of the proof that nothing is lost."""
