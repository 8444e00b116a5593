"""`curation` and `python -m curation`: the command line."""

import signal


def run() -> None:
    """Run the command line. Until its modules are loaded, and it says what an interrupt keeps, ctrl-C
    ends the process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from curation.cli import main

    main(prog_name="curation")


if __name__ == "__main__":
    run()
