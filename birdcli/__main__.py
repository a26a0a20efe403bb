"""Runs the command line as `python -m birdcli`."""

from birdcli.cli.app import main

if __name__ == "__main__":
    main()
