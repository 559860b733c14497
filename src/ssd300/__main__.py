"""The entry point of `ssd300` and `python -m ssd300`. It handles Ctrl-C before it imports anything heavy."""

import gc
import os
import sys
import threading

STOPPED = (129, 130, 143, 149)  # exit codes after SIGHUP, Ctrl-C, SIGTERM and Windows' SIGBREAK
_COLLECT_AFTER = 20_000  # new objects; with Python's 700, collections take a twentieth of a start


def main() -> None:
    """Run the command line. Ctrl-C ends it with 130 at any moment, during imports too."""
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    try:
        open_closed_streams()
        from ssd300.cli.main import run

        run()
    except KeyboardInterrupt as stop:
        print("Interrupted.", file=sys.stderr)
        # Not sys.exit: after an interrupted import the interpreter may fail to shut down cleanly.
        sys.stderr.flush()
        os._exit(stop.args[0] if stop.args else 130)
    except SystemExit as end:
        # After Ctrl-C a thread may still wait for a server or a pipe; the interpreter would wait with it.
        if end.code in STOPPED and any(thread.name.startswith("ssd300") for thread in threading.enumerate()):
            sys.stderr.flush()
            os._exit(end.code)
        raise


def open_closed_streams() -> None:
    """Open the null device in place of closed standard streams (`>&-`).

    Otherwise the next file that is opened would take their number, and Python would print errors to stdout. Stdout
    gets one that is read-only, so that results that would be lost are an error.
    """
    for number, mode, name in ((0, "r", "stdin"), (1, "w", "stdout"), (2, "w", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number < 2 else os.O_WRONLY)  # takes the lowest free number
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, lives as long as the process


if __name__ == "__main__":
    main()
