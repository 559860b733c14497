"""The detecting half works where torch and matplotlib cannot be imported and no socket can be opened."""

import subprocess
import sys
from pathlib import Path

PICTURE = Path(__file__).parent / "parity" / "data" / "pictures" / "chelsea_wide.png"
PROGRAM = """
import socket, sys
from importlib import import_module
from pkgutil import walk_packages

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "matplotlib", "skimage", "cv2", "pandas", "supervision"}:
            raise ImportError(f"{name} is blocked")

def no_socket(*arguments, **options):
    raise AssertionError("a socket was opened")

sys.meta_path.insert(0, Blocked())
socket.socket.connect = socket.socket.bind = socket.getaddrinfo = no_socket

import ssd300
half = ["errors", "boxes", "priors", "architecture", "labels", "images", "postprocess", "detections", "formats", "draw"]
half += ["weights", "runtime", "detector", "pipeline", "data"]
optional = {"ssd300.runtime.torch"}
for name in half:
    module = import_module(f"ssd300.{name}")
    for inner in walk_packages(getattr(module, "__path__", []), f"ssd300.{name}."):
        if inner.name not in optional:
            import_module(inner.name)

detector = ssd300.Detector.load(sys.argv[1], threads=1)
found = detector.detect(sys.argv[2], score_threshold=0.3)
assert len(found) and len(found) == len(found.crop()), found
found.draw()
for text in (found.to_json(), found.to_csv(), found.to_yolo(), found.to_coco()):
    assert text
assert [len(one) for one in detector.detect_many([sys.argv[2]] * 2, score_threshold=0.3)] == [len(found)] * 2
assert not {"torch", "matplotlib"} & set(sys.modules)
print("ok")
"""


def test_imports_and_detects_without_torch_matplotlib_and_network(seeded_checkpoint) -> None:
    command = [sys.executable, "-W", "error::ImportWarning", "-c", PROGRAM, str(seeded_checkpoint), str(PICTURE)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.stdout == "ok\n", result.stderr
