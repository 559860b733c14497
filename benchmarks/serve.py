"""The cost of HTTP: `ssd300 serve` on this machine against `detect_many` and `detect` in one process.

    python benchmarks/serve.py [--pictures 400] [--rounds 3] [--model default] [--precision auto]

The server runs in its own process with the same model and threads. The clients are threads of another process; they
send 640x480 JPEGs over persistent connections. Both sides alternate, round by round, so that other load slows both.
Rows: 1, 4, 8 and 16 clients with pictures per second and its share of `detect_many`, p50 and p99 in ms, and p99 as a
multiple of its bound, 2 * clients / throughput. Below: p50 of one client against `detect` in the process, with the
bound 1.1 x + 3 ms, and the core-ms of HTTP: the server's CPU time per request minus that of `detect_many` per picture.
If `wrk` is installed, its rate is printed too.
"""

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seeded_model import jpegs
from ssd300.detector import Detector

CLIENTS = (1, 4, 8, 16)
PATH = "/v1/detect"


@contextmanager
def server(arguments: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Its process id and port."""
    command = [sys.executable, "-m", "ssd300", "serve", "--port", "0", "--model", f"m={arguments.model}"]
    command += ["--precision", arguments.precision]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        yield process.pid, int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def client_process(port: int, clients: int, number: int, bodies: list[bytes]) -> tuple[float, list[float]]:
    """Pictures per second and the seconds of each request, for `number` requests by `clients` threads."""
    seconds: list[float] = []

    def ask(share: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for turn in range(share):
            started = time.perf_counter()
            line.request("POST", PATH, bodies[turn % len(bodies)], {"Content-Type": "image/jpeg"})
            response = line.getresponse()
            response.read()
            if response.status == 200:
                seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=ask, args=(-(-number // clients),)) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(seconds) / (time.perf_counter() - started), seconds


def in_another_process(port: int, clients: int, number: int, folder: Path) -> tuple[float, list[float]]:
    command = [sys.executable, __file__, "--client", str(port), str(clients), str(number), str(folder)]
    rate, seconds = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return rate, seconds


def many(detector: Detector, bodies: list[bytes], number: int) -> tuple[float, float]:
    """`detect_many`: pictures per second, and CPU seconds per picture."""
    sources = [bodies[turn % len(bodies)] for turn in range(number)]
    started, cpu = time.perf_counter(), time.process_time()
    for _ in detector.detect_many(sources):
        pass
    return number / (time.perf_counter() - started), (time.process_time() - cpu) / number


def one_by_one(detector: Detector, bodies: list[bytes], number: int) -> list[float]:
    seconds = []
    for turn in range(number):
        started = time.perf_counter()
        detector.detect(bodies[turn % len(bodies)]).to_json()
        seconds.append(time.perf_counter() - started)
    return seconds


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def wrk(port: int, clients: int, folder: Path) -> str:
    """The rate that the load generator wrk measures in 5 seconds, if it is installed."""
    if not shutil.which("wrk"):
        return "no wrk here (apt-get install wrk)"
    script = folder / "post.lua"
    body = next(iter(sorted(folder.glob("*.jpg"))))
    script.write_text(
        f'local f = io.open("{body}", "rb")\nwrk.method = "POST"\nwrk.body = f:read("*all")\n'
        'wrk.headers["Content-Type"] = "image/jpeg"\n'
    )
    command = ["wrk", "-t1", f"-c{clients}", "-d5s", "--latency", "-s", str(script), f"http://127.0.0.1:{port}{PATH}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.strip() for line in told.splitlines()]
    return ", ".join(line for line in lines if line.startswith(("Requests/sec", "50%", "99%", "Non-2xx")))


def measure(arguments: argparse.Namespace, bodies: list[bytes], folder: Path) -> dict[str, Any]:
    """The results of all rounds, without medians."""
    detector = Detector.load(arguments.model, precision=arguments.precision)
    many(detector, bodies, 40)
    results: dict[str, Any] = {
        "many": [],
        "alone": [],
        "http": {c: [] for c in CLIENTS},
        "cpu": {c: [] for c in CLIENTS},
    }
    with server(arguments) as (pid, port):
        in_another_process(port, 4, 40, folder)
        for _ in range(arguments.rounds):
            results["alone"].append(one_by_one(detector, bodies, arguments.pictures // 4))
            for clients in CLIENTS:
                results["many"].append(many(detector, bodies, arguments.pictures))
                number = arguments.pictures if clients > 1 else arguments.pictures // 4
                before = cpu_seconds(pid)
                results["http"][clients].append(in_another_process(port, clients, number, folder))
                results["cpu"][clients].append((cpu_seconds(pid) - before) / number)
        results["wrk"] = {clients: wrk(port, clients, folder) for clients in (4, 16)}
    return results


def report(results: dict[str, Any]) -> None:
    rate_many = statistics.median(rate for rate, _ in results["many"])
    cpu_many = statistics.median(cpu for _, cpu in results["many"])
    print(f"detect_many           {rate_many:7.1f} pictures/s  {1000 * cpu_many:6.1f} core-ms per picture")
    for clients in CLIENTS:
        rate = statistics.median(rate for rate, _ in results["http"][clients])
        seconds = [second for _, found in results["http"][clients] for second in found]
        p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
        cpu = 1000 * statistics.median(results["cpu"][clients])
        bound = 2 * clients / rate
        print(
            f"{clients:3d} clients           {rate:7.1f} pictures/s  {rate / rate_many:5.2f} of detect_many  "
            f"p50 {1000 * p50:6.1f} ms  p99 {1000 * p99:6.1f} ms = {p99 / bound:4.2f} of its bound  {cpu:6.1f} core-ms"
        )
    alone = percentile([second for found in results["alone"] for second in found], 0.5) * 1000
    first = percentile([second for _, found in results["http"][1] for second in found], 0.5) * 1000
    print(f"one client: p50 {first:.1f} ms, in process {alone:.1f} ms, bound {1.1 * alone + 3:.1f} ms")
    own = [1000 * (statistics.median(results["cpu"][clients]) - cpu_many) for clients in CLIENTS[1:]]
    print(f"HTTP's own core-ms: {', '.join(f'{ms:.2f}' for ms in own)} at {CLIENTS[1:]} clients (bound 1)")
    for clients, told in results["wrk"].items():
        print(f"wrk, {clients} connections: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400, help="a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="default")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        port, clients, number = map(int, arguments.client[:3])
        bodies = [path.read_bytes() for path in sorted(Path(arguments.client[3]).glob("*.jpg"))]
        print(json.dumps(client_process(port, clients, number, bodies)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, data in enumerate(jpegs(16)):
            (folder / f"{number:02d}.jpg").write_bytes(data)
        bodies = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        report(measure(arguments, bodies, folder))


if __name__ == "__main__":
    main()
