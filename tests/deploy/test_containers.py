"""The files of deployment: what they say fits what the server does."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from ssd300.cli.main import make_app

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of a process are read from /proc")
def test_the_board_asks_only_for_numbers_that_there_are(client, png) -> None:
    client.detect(png)
    client.detect(b"")
    told = client.ask("GET", "/metrics").data.decode()
    board = json.loads((ROOT / "deploy" / "grafana" / "ssd300.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b((?:ssd300|process)_\w+)", target["expr"])
    }
    assert asked
    families = set(re.findall(r"^# TYPE (\S+)", told, re.M))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= families


def test_compose_mounts_files_that_exist_and_opens_nothing_to_others() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for volume in service.get("volumes", []):
            assert (ROOT / volume.split(":")[0]).exists()
    assert services["ssd300"]["read_only"]


def test_kubernetes_probes_addresses_that_answer(client) -> None:
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
    [deployment] = [one for one in documents if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert client.ask("GET", container[probe]["httpGet"]["path"]).status == 200
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_the_dockerfile_names_what_there_is() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        assert all((ROOT / name).exists() for name in names.split())
    assert "apt" not in text
    assert re.findall(r"^USER (\d+)", text, re.M) == ["10001"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {name for names in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for name in names.split()}
    assert {f"!{name}" for name in copied} <= set(ignored)


@pytest.mark.parametrize("status", [200, 503])
def test_the_container_s_health_is_the_server_s_also_where_a_proxy_is_named(client, status) -> None:
    command = json.loads(re.search(r"^ +CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.M)[1])
    asked = command[2].replace("8000", str(client.port))
    client.app.state.draining = status == 503
    try:
        proxy = os.environ | {"http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run([sys.executable, "-c", asked], env=proxy, capture_output=True, text=True)
    finally:
        client.app.state.draining = False
    assert done.returncode == (status != 200), done.stderr


def test_kuberay_runs_an_image_that_the_dockerfile_makes_with_options_that_batch_has() -> None:
    job = yaml.safe_load((ROOT / "deploy" / "kuberay.yaml").read_text())["spec"]
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [one for group in groups for one in group["template"]["spec"]["containers"]]
    dockerfile = (ROOT / "Dockerfile").read_text()
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M))
    assert {container["image"].rpartition(":")[2] for container in containers} == {"batch"} <= targets
    users = {str(group["template"]["spec"]["securityContext"]["runAsUser"]) for group in groups}
    assert users == set(re.findall(r"^USER (\d+)", dockerfile, re.M))
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints.txt").read_text().split()
    shell, flag, script = shlex.split(job["entrypoint"])  # one command, as the operator appends it to its own
    assert (shell, flag) == ("sh", "-c")
    given = re.findall(r"--[\w-]+", script)
    options = {name for parameter in get_command(make_app()).commands["batch"].params for name in parameter.opts}
    assert "--resume" in given
    assert set(given) <= options
