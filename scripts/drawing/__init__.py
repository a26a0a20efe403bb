"""Birds painted with Pillow, one module each."""
