"""What birdcli is measured against: programs as one would write them without it."""
