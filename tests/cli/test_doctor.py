import json
import sys
from importlib import metadata

import pytest

from ssd300.cli import doctor, doctor_extras, main
from ssd300.detector import Detector


@pytest.fixture(autouse=True)
def _no_imports(monkeypatch) -> None:
    """Importing the packages of all extras takes seconds."""
    monkeypatch.setattr(doctor, "import_faults", lambda packages: {})


def run(*arguments: str, monkeypatch, capsys) -> str:
    monkeypatch.setattr(sys, "argv", ["ssd300", "doctor", *arguments])
    with pytest.raises(SystemExit) as stop:
        main.run()
    shown = capsys.readouterr()
    assert (stop.value.code, shown.err) == (0, "")
    return shown.out


def test_words_and_json_say_the_same(monkeypatch, capsys) -> None:
    run(monkeypatch=monkeypatch, capsys=capsys)  # the first compiles the default model, and caches it
    report = json.loads(run("--json", monkeypatch=monkeypatch, capsys=capsys))
    text = run(monkeypatch=monkeypatch, capsys=capsys)
    assert list(report) == [
        "versions",
        "cpu",
        "threads",
        "runtimes",
        "precision",
        "extras",
        "caches",
        "settings",
        "advice",
    ]
    for title, facts in report.items():
        assert (f"{title}\n" in text) == bool(facts)
        for name, value in facts.items():
            assert f"  {name} " in text
            assert str(value) in text


def test_versions_and_threads_are_the_real_ones() -> None:
    report = doctor.examine_machine()
    assert report["versions"]["openvino"] == metadata.version("openvino")
    assert report["versions"]["numpy"] == metadata.version("numpy")
    assert 1 <= report["threads"]["used by default"] <= report["threads"]["CPUs of the machine"]
    assert "loads" in report["runtimes"]["openvino"]


def test_the_precision_is_the_one_that_the_default_model_runs_with() -> None:
    said = doctor.examine_installation()["precision"]["default model"]
    runtime = Detector.load("default").runtime
    assert said == f"{runtime.precision}: {runtime.reason}"


def test_features_come_from_the_flags_of_the_cpu(monkeypatch) -> None:
    monkeypatch.setattr("ssd300.cpu.cpu_flags", lambda: frozenset({"avx2", "avx_vnni"}))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    cpu = doctor.examine_machine()["cpu"]
    assert [cpu[name] for name in ("AVX2", "AVX-512", "VNNI", "bf16", "AMX")] == ["yes", "no", "yes", "no", "no"]
    assert cpu["capped to"] == "AVX2 by ONEDNN_MAX_CPU_ISA"
    monkeypatch.setattr("ssd300.cpu.cpu_flags", lambda: frozenset({"fp", "asimd", "sve"}))
    cpu = doctor.examine_machine()["cpu"]
    assert [cpu[name] for name in ("dot product", "I8MM", "bf16", "SVE")] == ["no", "no", "no", "yes"]
    assert "VNNI" not in cpu


def test_without_flags_openvino_is_asked(monkeypatch) -> None:
    monkeypatch.setattr("ssd300.cpu.cpu_flags", frozenset)
    cpu = doctor.examine_machine()["cpu"]
    assert "AVX2" not in cpu
    assert "FP32" in cpu["OpenVINO runs"]


def test_a_broken_openvino_is_reported_not_raised(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    report = doctor.examine_machine()
    assert report["runtimes"]["openvino"].startswith("broken: ")
    assert report["cpu"]["OpenVINO runs"] == "nothing, see runtimes"


def states_of_extras(faults: dict[str, str]) -> dict[str, str]:
    extras = doctor_extras.extras_of()
    return {extra: doctor_extras.state_of_extra(extra, packages, faults) for extra, packages in extras.items()}


def test_extras_name_what_is_missing_too_old_or_broken(monkeypatch) -> None:
    versions = {
        "defusedxml": "1",
        "matplotlib": "3.10",
        "pyyaml": "5.4.1",
        "onnx": "1.30",
        "onnxruntime": "1.30",
        "av": "15.0",
    }
    needed = {
        "data": ["defusedxml>=0.7", "pyyaml>=6.0"],
        "eval": ["hotcoco>=1.3", "matplotlib>=3.10"],
        "onnx": ["onnx>=1.17", "onnxruntime>=1.21"],
        "video": ["av>=15"],
        "dev": ["pytest"],
    }
    lines = [f"{line}; extra == '{extra}'" for extra, all_lines in needed.items() for line in all_lines]
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=2", *lines])

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    assert states_of_extras({"onnxruntime": "libx.so: no such file"}) == {
        "data": 'needs pyyaml >=6.0 (installed: 5.4.1): pip install ".[data]" in a clone of ssd300',
        "eval": 'needs hotcoco: pip install ".[eval]" in a clone of ssd300',
        "onnx": "cannot import onnxruntime (libx.so: no such file): pip install --force-reinstall onnxruntime",
        "video": "installed",
    }


@pytest.mark.parametrize(
    ("versions", "state"), [({"ray", "pyarrow"}, "needs fsspec: "), ({"ray", "pyarrow", "fsspec"}, "installed")]
)
def test_packages_with_extras_of_their_own_are_found(monkeypatch, versions, state) -> None:
    needed = {"ssd300": ["ray[data]>=2; extra == 'ray'", "pyarrow; extra == 'ray'"], "ray": ['fsspec; extra == "data"']}
    monkeypatch.setattr(metadata, "requires", lambda name: needed[name])
    monkeypatch.setattr(doctor_extras, "installed", lambda name: "2" if name in versions else "not installed")
    assert states_of_extras({})["ray"].startswith(state)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("", None),
        ("print('hello')", None),
        ("raise ImportError('libx.so: no such file')", "libx.so: no such file"),
        ("import os; os.abort()", "its import ends the process"),
    ],
)
def test_a_package_that_is_there_may_be_broken(monkeypatch, tmp_path, code, fault) -> None:
    (tmp_path / "defusedxml.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor_extras.import_faults(["defusedxml", "pyyaml"]).get("defusedxml") == fault


def test_every_broken_package_is_named(monkeypatch, tmp_path) -> None:
    (tmp_path / "defusedxml.py").write_text("import os; os.abort()")
    (tmp_path / "yaml.py").write_text("class Odd(Exception): ...\nraise Odd('of another\\nABI')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    faults = {"defusedxml": "its import ends the process", "pyyaml": "of another ABI"}
    assert doctor_extras.import_faults(["defusedxml", "pyyaml", "pillow"]) == faults
    assert doctor_extras.import_faults([]) == {}


def test_a_clone_that_was_never_installed(monkeypatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert doctor.examine_installation()["extras"] == {}


def test_caches_are_measured(own_cache) -> None:
    (own_cache / "a.pt").write_bytes(bytes(2**20))
    (own_cache / "openvino").mkdir()
    (own_cache / "openvino" / "b.blob").write_bytes(bytes(2**19))
    caches = doctor.examine_installation()["caches"]
    assert caches["downloads"] == f"{own_cache} (1 file, 1.0 MiB)"
    assert caches["compiled models"] == f"{own_cache / 'openvino'} (1 file, 0.5 MiB)"


@pytest.mark.parametrize(
    ("report", "advised"),
    [
        ({}, []),
        ({"runtimes": {"openvino": "broken: no such file"}}, ["openvino"]),
        ({"cpu": {"VNNI": "no", "capped to": "AVX2"}}, ["ONEDNN_MAX_CPU_ISA", "precision"]),
        ({"cpu": {"dot product": "no"}}, ["precision"]),
        ({"threads": {"CPUs this process may use": 1}}, ["threads"]),
        ({"threads": {"cgroup quota": "1.50 CPUs"}}, ["quota"]),
    ],
)
def test_advice_is_given_only_where_there_is_something_to_do(report, advised) -> None:
    fine = {
        "cpu": {"VNNI": "yes"},
        "threads": {"CPUs of the machine": 2, "CPUs this process may use": 2, "cgroup quota": "none"},
        "runtimes": {"openvino": "2026.0, loads"},
    }
    assert list(doctor._advice({title: facts | report.get(title, {}) for title, facts in fine.items()})) == advised
