import subprocess
import sys

import pytest

from ssd300.benchmark.measure import Budget, Measured, Row, Timing, peak_memory_mib


@pytest.mark.parametrize(
    ("seconds", "pictures", "median_ms", "p95_ms", "rate"),
    [
        ((), 1, None, None, None),
        ((0.2,), 1, 200, 200, 5),
        ((0.1, 0.3), 1, 200, 290, 5),
        ((0.3, 0.1, 0.2), 1, 200, 290, 5),
        ((0.1, 0.3), 8, 200, 290, 40),
        ((0.1, 0.3), 0, 200, 290, None),
        ((0.0,), 1, 0, 0, None),
        (tuple(i / 1000 for i in range(101)), 1, 50, 95, 20),
    ],
)
def test_timing(seconds, pictures, median_ms, p95_ms, rate) -> None:
    timing = Timing(seconds, pictures)
    assert (timing.median_ms, timing.p95_ms, timing.rate) == tuple(
        value if value is None else pytest.approx(value) for value in (median_ms, p95_ms, rate)
    )


def test_a_row_of_nothing_says_none() -> None:
    row = Row("nothing", Timing(())).to_dict()
    assert row.pop("name") == "nothing"
    assert row.pop("calls") == 0
    assert set(row.values()) == {None}
    assert Measured(()).facts == {}


@pytest.mark.parametrize(
    ("budget", "share", "calls"),
    [
        (Budget(0), 1, 1),
        (Budget(0, repeats=1), 0.2, 1),
        (Budget(0, repeats=7), 1, 7),
        (Budget(0, repeats=7), 0.2, 2),
        (Budget(1000, repeats=2), 1, 2),
    ],
)
def test_budget_of_calls(budget, share, calls) -> None:
    assert list(budget.iterate(share)) == list(range(calls))


def test_budget_of_seconds_begins_with_the_first_call(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ssd300.benchmark.measure.time.perf_counter", lambda: now[0])
    iterate = Budget(10).iterate(0.5)
    now[0] = 200.0
    calls = 0
    for _ in iterate:
        calls += 1
        now[0] += 2
    assert calls == 3  # 0, 2 and 4 of 5 seconds had passed


@pytest.mark.parametrize("text", ["", "VmSize: 1 kB\nVmRSS: 1 kB\n", "VmHWM:\t1000000000 kB\n"])
def test_peak_memory_where_the_kernel_does_not_give_it(text, tmp_path) -> None:
    (tmp_path / "status").write_text(text)
    peak = peak_memory_mib(tmp_path / "status")
    assert peak is None or (peak > 10 and (peak > 900_000) == ("HWM" in text))


def test_peak_memory_grows_with_what_is_held() -> None:
    code = (
        "from ssd300.benchmark.measure import peak_memory_mib as peak; a = peak(); b = bytearray(2**27); "
        "b[::4096] = b[::4096]; print(peak() - a)"
    )
    if peak_memory_mib() is None:
        pytest.skip("this system does not tell")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 100 < float(done.stdout) < 300
