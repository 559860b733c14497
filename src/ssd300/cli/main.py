"""The command line: one file per verb. Results go to stdout, messages to stderr.

At module level a verb's file imports only typer, the errors and the standard library. Exit codes: 0 all done, 1 some
inputs failed, 2 nothing was done, 130 interrupted, 143 terminated.
"""

import codecs
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated

import typer

from ssd300.cli.hints import GLOBAL, Command, HintedCommand, Verbs
from ssd300.cli.messages import debugging, format_warning, print_message, show_trace
from ssd300.errors import SHORTAGE, MissingExtraError, SSD300Error, is_shortage
from ssd300.terminal import escape_for_json, leave_closed_terminal

ALIASES = {"predict": "detect", "val": "evaluate"}  # the names of verbs in other packages; not listed in the help
GROUPS = ("data", "weights")  # verbs with verbs of their own
# Verbs that recognize their options by the names of other packages.
HINTED = ("batch", "benchmark", "detect", "evaluate", "export", "quantize", "serve", "track", "train", *ALIASES)
_CONSOLE_STREAMS, _CONSOLE_ESCAPES = (-11, -12), 4  # of Windows: stdout and stderr; to process escape sequences
VERBS = (*HINTED, *GROUPS, "doctor", "info", "models")


def _print_version(wanted: bool) -> None:
    if wanted:
        from ssd300 import __version__

        typer.echo(f"ssd300 {__version__}")
        raise typer.Exit


def common(
    offline: Annotated[
        bool, typer.Option("--offline", help="Forbid any use of the network, as SSD300_OFFLINE=1 does.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from, as SSD300_DEBUG=1 does.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find objects in pictures on an ordinary CPU: NVIDIA's published SSD300, exact, fast and retrainable."""
    if offline:
        os.environ["SSD300_OFFLINE"] = "1"
    if debug:
        os.environ["SSD300_DEBUG"] = "1"


def make_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """The command line with these verbs. Only their modules are imported: all of them take 45 ms."""
    app = typer.Typer(
        cls=Verbs,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(common)
    for verb in sorted(verbs):
        name = ALIASES.get(verb, verb)
        function = getattr(import_module(f"ssd300.cli.{name}"), name)
        if name in GROUPS:
            for command in function.registered_commands:
                command.cls = Command
            app.add_typer(function, name=verb)
        else:
            app.command(verb, hidden=verb in ALIASES, cls=HintedCommand if verb in HINTED else Command)(function)
    return app


def verbs_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """The verb of a command's arguments, or all verbs if they do not begin with one, apart from global options.

    >>> verbs_of(["--offline", "detect", "info"]), verbs_of(["--help"]) == VERBS
    (('detect',), True)
    """
    first = next((argument for argument in arguments if argument not in GLOBAL), "")
    return (first,) if first in VERBS else VERBS


def run() -> None:
    """Run the verb; turn every error into a message on stderr and an exit code.

    Raises KeyboardInterrupt(exit code) if a signal arrived outside of a verb's own work.
    """
    _set_encodings()
    _set_console()
    warnings.formatwarning = format_warning
    stops = _note_stops()
    try:
        _run_verb(stops)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(128 + stops[0] if stops else 130) from None
    except SystemExit as end:
        if end.code == 130 and stops:
            sys.exit(128 + stops[0])
        raise


def _run_verb(stops: list[int]) -> None:
    try:
        try:
            make_app(verbs_of(sys.argv[1:]))()
        finally:
            sys.stdout.flush()
    except SSD300Error as error:
        _explain(str(error), error)
    except OSError as error:  # the disk is full, or stdout is closed
        _explain(f"{error.filename or 'the results'}: cannot be read or written ({error.strerror or error})", error)
        _drop_unwritten()
    except Exception as error:
        if stops:  # packages may turn Ctrl-C during their import into any exception
            raise KeyboardInterrupt from error
        _explain(_describe_unexpected(error), error)
    sys.exit(2)


def _describe_unexpected(error: Exception) -> str:
    """The message of an error that is none of ssd300's own: a shortage, a broken installation, or a bug."""
    fault = f"{type(error).__name__}: {error}"
    if is_shortage(error):
        return f"{SHORTAGE} ({fault.splitlines()[0]})"
    if isinstance(error, ImportError) and not (error.name or "").startswith("ssd300"):
        return str(MissingExtraError("ssd300", package=". in a clone of ssd300", broken=str(error)))
    hint = "" if debugging() else " Run again with SSD300_DEBUG=1 to see where."
    return f"internal error, a bug of ssd300: {fault}.{hint}"


def _set_encodings() -> None:
    """Set UTF-8 for files and pipes; characters that a terminal cannot show become JSON escapes.

    Rows in files and pipes end with a newline alone on Windows, too: a quoted cell of a table may hold one.
    """
    codecs.register_error(escape_for_json.__name__, escape_for_json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            encoding = None if utf8 or stream is sys.stderr else "ascii" if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors=escape_for_json.__name__)
            if stream is sys.stdout and not stream.isatty():
                stream.reconfigure(newline="\n")


def _set_console() -> None:
    """Let the console of Windows obey escape sequences (bold, erase), which it shows as characters otherwise."""
    if sys.platform == "win32":
        import ctypes

        kernel, mode = ctypes.windll.kernel32, ctypes.c_uint32()
        for stream in _CONSOLE_STREAMS:
            handle = kernel.GetStdHandle(stream)
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):  # else it is a file or pipe
                kernel.SetConsoleMode(handle, mode.value | _CONSOLE_ESCAPES)


def _note_stops() -> list[int]:
    """Let SIGTERM and the like raise KeyboardInterrupt, as Ctrl-C does, so that temporary files are removed.

    The list returned collects the signals received. A signal that is ignored, as by nohup, stays ignored.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if number == getattr(signal, "SIGHUP", None):
            leave_closed_terminal()
            if len(came) > 1:  # a terminal that closes sends two, by its shell and by the system
                return
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, note)
        for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):  # the last two: a closed terminal; of Windows, Ctrl-Break, too
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, note)
    return came


def _drop_unwritten() -> None:
    """Discard buffered output that cannot be written: the interpreter would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(message: str, error: BaseException) -> None:
    show_trace(error)
    print_message(message)
