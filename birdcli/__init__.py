"""birdcli names the bird in a picture, for one picture or ten million."""

__version__ = "0.1.0"
