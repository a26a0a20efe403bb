"""Tools for those who work on birdcli; nothing here is installed."""
