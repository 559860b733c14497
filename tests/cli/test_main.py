import shlex
import subprocess
import sys
import types

import pytest

from ssd300.cli import main
from ssd300.errors import ImageError


def ssd300(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ssd300", *arguments], capture_output=True, text=True, **options)


def test_without_arguments_it_shows_the_help() -> None:
    result = ssd300()
    assert result.returncode == 2
    assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_the_verbs(flag) -> None:
    result = ssd300(flag)
    assert (result.returncode, result.stderr) == (0, "")
    assert "detect" in result.stdout
    assert "doctor" in result.stdout


def test_every_verb_has_a_help() -> None:
    import typer.main

    app = main.make_app()
    for verb in typer.main.get_command(app).commands:
        with pytest.raises(SystemExit) as stop:
            app([verb, "--help"])
        assert stop.value.code == 0


def test_the_help_says_where_several_arguments_are_taken() -> None:
    import typer.main

    for verb, command in typer.main.get_command(main.make_app()).commands.items():
        for argument in (one for one in command.params if one.param_type_name == "argument"):
            assert (argument.nargs == -1) == ("..." in argument.metavar), verb


def test_version() -> None:
    from ssd300 import __version__

    assert ssd300("--version").stdout == f"ssd300 {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["detect"], "Missing argument"),
        (["detect", "x", "--nosuch"], "No such option"),
        (["detect", "x", "--conf", "2"], "2.0 is not in the range 0<=x<=1"),
        (["detect", "x", "--conf", "0,4"], "'0,4' is not a valid float"),
        (["detect", "x", "--format", "xml"], "--format': 'xml' is not one of 'table'"),
        (["data", "view", "x", "-n", "none"], "'none' is not a valid int"),
        (["detect", "x", "--no-save", "--crops"], "--crops writes files and --no-save forbids it"),
        (["detect", "x", "--no-save", "--save-dir", "y"], "--save-dir writes files and --no-save forbids it"),
        (["detect", "x", "--model", "a", "--model", "b"], "--model is given 2 times: give it once"),
        (["detect", "x", "--conf", "0.3", "--score-threshold=0.4"], "--score-threshold/--conf is given 2 times"),
        (["detect", "x", "--clip", "--no-clip"], "--clip/--no-clip is given 2 times"),
        (["info", "x", "--json", "--json"], "x: neither a file nor a known model"),
        (["data", "convert", "x", "y", "--to", "coco", "--to", "yolo"], "--to is given 2 times"),
        (["weights", "convert", "x", "y", "--classes", "coco", "--classes", "voc"], "is given 2 times"),
        (["data", "check", ""], "PATH is an empty path: check the variable that it comes from"),
        (["train", "--data", "a", "--data", ""], "--data is an empty path"),
        (["detect", "x", "--save-dir="], "--save-dir is an empty path"),
        (["evaluate", "--data", ""], "'': no such file or folder, the path is empty"),
    ],
)
def test_usage_errors_exit_with_2_and_words_on_stderr(arguments, words, capsys) -> None:
    sys_argv = ["ssd300", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", sys_argv)
        with pytest.raises(SystemExit) as stop:
            main.run()
    shown = capsys.readouterr()
    assert stop.value.code == 2
    assert shown.out == ""
    assert words in shown.err
    assert "Traceback" not in shown.err


def run_with(error: BaseException, monkeypatch) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "make_app", lambda verbs: fail)
    with pytest.raises(SystemExit) as stop:
        main.run()
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImageError("x.jpg: no such file"), "ssd300: x.jpg: no such file\n"),
        (OSError(28, "No space left on device"), "ssd300: the results: cannot be read or written (No space left"),
        (PermissionError(13, "Permission denied", "a/b"), "ssd300: a/b: cannot be read or written (Permission denied)"),
        (MemoryError(), "ssd300: the system gives no more memory or threads: raise the limits"),
        (
            RuntimeError("can't start new thread"),
            "ssd300: the system gives no more memory or threads: raise the limits",
        ),
        (RuntimeError("Exception from a.cpp:1:\nstd::bad_alloc"), "ssd300: the system gives no more memory or threads"),
        (ZeroDivisionError("division by zero"), "internal error, a bug of ssd300: ZeroDivisionError: division by zero"),
        (ImportError("no x", name="ssd300.x"), "internal error, a bug of ssd300: ImportError: no x"),
        (
            ImportError("\nlibopenvino.so:\nno such file"),
            "ssd300 needs packages that cannot be imported (libopenvino.so: no such file): pip install "
            "--force-reinstall . in a clone of ssd300",
        ),
    ],
)
def test_errors_become_a_line_and_exit_code_2(error, words, monkeypatch, capsys) -> None:
    monkeypatch.delenv("SSD300_DEBUG", raising=False)
    assert run_with(error, monkeypatch) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(("value", "shown"), [("", False), ("0", False), ("false", False), ("1", True), ("yes", True)])
def test_debug_shows_where_an_error_came_from(monkeypatch, capsys, value, shown) -> None:
    monkeypatch.setenv("SSD300_DEBUG", value)
    assert run_with(ValueError("odd"), monkeypatch) == 2
    assert ("Traceback" in capsys.readouterr().err) == shown


def test_global_flags_set_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("SSD300_OFFLINE", "0")
    monkeypatch.setenv("SSD300_DEBUG", "0")
    seen = types.SimpleNamespace()

    def doctor() -> None:
        import os

        seen.offline, seen.debug = os.environ["SSD300_OFFLINE"], os.environ["SSD300_DEBUG"]

    app = main.typer.Typer()
    app.callback()(main.common)
    app.command()(doctor)
    app(["--offline", "--debug", "doctor"], standalone_mode=False)
    assert (seen.offline, seen.debug) == ("1", "1")


def loaded_modules(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def modules_of(arguments: list[str]) -> set[str]:
    """The modules that a command has loaded when it ends."""
    call = f"sys.argv[1:] = {arguments!r}\nfrom ssd300.cli.main import run\ntry: run()\nexcept SystemExit: pass"
    return loaded_modules(
        f"import contextlib, io, sys\nwith contextlib.redirect_stdout(io.StringIO()):\n    exec({call!r})"
    )


def test_help_loads_few_modules() -> None:
    # The bar: at most 150 modules beyond those of typer and rich, and none of the heavy ones.
    bare = loaded_modules("import typer, rich")
    helped = modules_of(["--help"])
    assert "ssd300.cli.detect" in helped
    assert len(helped - bare) <= 150
    assert not helped & {"numpy", "PIL", "openvino", "torch", "matplotlib", "safetensors", "simplejpeg"}


@pytest.mark.parametrize("verb", main.VERBS)
def test_a_verb_alone_reads_as_among_all(verb, capsys) -> None:
    shown = []
    for app in (main.make_app(main.verbs_of([verb])), main.make_app()):
        with pytest.raises(SystemExit):
            app([verb, "--help"])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != ""


def test_a_verb_loads_no_other() -> None:
    loaded = {name for name in modules_of(["--offline", "models"]) if name.startswith("ssd300.cli.")}
    assert loaded.isdisjoint({f"ssd300.cli.{verb}" for verb in main.VERBS} - {"ssd300.cli.models"})


def test_options_are_read_without_pydantic() -> None:
    assert "pydantic" not in modules_of(["models", "--format", "json"])  # typer 0.29 imports it for every command


CLOSED_STREAMS = [
    ("models >&-", 2, "ssd300: the results: cannot be read or written (Bad file descriptor)"),
    ("detect nothing.jpg 2>&-", 2, ""),
    ("models <&-", 0, "default"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize(("arguments", "code", "words"), CLOSED_STREAMS)
def test_a_closed_stream_is_an_error_only_where_it_is_needed(arguments, code, words) -> None:
    command = f"{shlex.quote(sys.executable)} -m ssd300 {arguments}"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert result.returncode == code
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    if code:
        assert result.stdout == ""


def test_escape_sequences_in_messages_never_reach_the_terminal(monkeypatch, capsys) -> None:
    run_with(ImageError("a\x1b[2Jb.jpg: no such file"), monkeypatch)
    assert capsys.readouterr().err == "ssd300: a\\x1b[2Jb.jpg: no such file\n"
