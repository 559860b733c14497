import os
import platform
from types import SimpleNamespace

import pytest

from ssd300 import cpu


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        pytest.param("", {}, None, id="no control groups"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, None, id="v2 without a limit"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "300000 100000"}, 2.0, id="v2 outer"),
        pytest.param("0::/not/seen/here\n", {"cpu.max": "50000 100000"}, 0.5, id="v2 path of the host"),
        pytest.param(
            "3:cpu,cpuacct:/x\n1:memory:/y\n",
            {"cpu/x/cpu.cfs_quota_us": "400000", "cpu/x/cpu.cfs_period_us": "100000"},
            4.0,
            id="v1",
        ),
        pytest.param(
            "3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, id="v1 no limit"
        ),
    ],
)
def test_cgroup_quota(own, files, expected, tmp_path):
    write(tmp_path / "cgroup", files)
    (tmp_path / "own").write_text(own)
    assert cpu.cgroup_quota(tmp_path / "cgroup", tmp_path / "own") == expected
    assert cpu.cgroup_quota(tmp_path / "cgroup", tmp_path / "missing") is None


@pytest.mark.parametrize("name", [b"job\xff", b"job\x0c", "job\u2028".encode()])
def test_a_control_group_whose_name_is_no_line_of_text(name, tmp_path):
    (tmp_path / "own").write_bytes(b"0::/" + name + b"\n")
    write(tmp_path / "cgroup", {"cpu.max": "150000 100000"})
    assert cpu.cgroup_quota(tmp_path / "cgroup", tmp_path / "own") == 1.5


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (1.6, 2), (0.2, 1), (64.0, 4)])
def test_default_threads(quota, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: quota)
    assert cpu.default_threads() == expected


@pytest.mark.parametrize(("value", "expected"), [("", None), ("ALL", None), ("default", None), ("AVX2", "AVX2")])
def test_isa_cap(value, expected, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", value)
    assert cpu.isa_cap() == expected


@pytest.mark.parametrize(
    ("flags", "machine", "capabilities", "native"),
    [
        ({"avx512_bf16"}, "x86_64", [], True), ({"avx2"}, "x86_64", ["BF16"], False), (set(), "AMD64", ["BF16"], True),
        (set(), "AMD64", ["FP32"], False), (set(), "arm64", ["BF16"], False),
    ],
)  # fmt: skip
def test_native_bf16(flags, machine, capabilities, native, monkeypatch):
    """Without /proc/cpuinfo, as on Windows, OpenVINO says it."""
    import openvino

    core = SimpleNamespace(get_property=lambda device, name: capabilities)
    monkeypatch.setattr(openvino, "Core", lambda: core)
    monkeypatch.setattr(cpu, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert cpu.native_bf16.__wrapped__() is native
