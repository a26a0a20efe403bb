"""The way in: `birdcli`, or `python -m birdcli`."""

import signal


def main() -> None:
    """Runs the command line.

    An interrupt before a command runs ends the process by the signal, as it ends other programs:
    nothing has been begun, and Python would print where its imports were. Commands catch it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a parent ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from birdcli.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
