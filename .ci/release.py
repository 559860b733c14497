"""`make release`: wheel and sdist of the last commit, built twice; dist/ appears only if both are equal to the byte.

Beside them: SHA256SUMS, CONTENTS.txt (the wheel's files) and sbom.json (CycloneDX), the packages that the wheel brings
into an empty environment, checked against what pip installed there.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def build(folder: Path) -> dict[str, Path]:
    """Wheel and sdist of HEAD, from a copy of its own; the commit's time stands for the clock."""
    source = folder / "source"
    source.mkdir(parents=True)
    archive = folder / "head.tar"
    git("archive", "--output", str(archive), "HEAD")
    shutil.unpack_archive(archive, source, filter="data")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct")}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return {path.name: path for path in sorted((folder / "dist").iterdir())}


def check_wheel(wheel: Path) -> list[str]:
    """The names in the wheel, which must be the package's committed files and nothing else."""
    names = sorted(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    committed = {name.removeprefix("src/") for name in git("ls-files", "src").splitlines()}
    if inside != committed:
        sys.exit(f"the wheel is not what is committed: {sorted(inside ^ committed)[:20]}")
    return names


def bill_of_materials(wheel: Path, folder: Path) -> str:
    """The SBOM of the wheel and what it depends on, as installed under the pins of constraints.txt."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", str(python)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    listed = subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True, text=True).stdout
    installed = {(one["name"].lower(), one["version"]) for one in json.loads(listed)}
    found = {(one["name"].lower(), one["version"]) for one in json.loads(text)["components"]}
    if found != installed:
        sys.exit(f"the SBOM is not what is installed: {sorted(found ^ installed)}")
    return text.replace(wheel.as_uri(), wheel.name)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (build(Path(scratch) / name) for name in ("first", "second"))
        sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in first.items()}
        for name, path in second.items():
            if sums.get(name) != hashlib.sha256(path.read_bytes()).hexdigest():
                sys.exit(f"{name}: two builds of one commit differ")
        [wheel] = [path for name, path in first.items() if name.endswith(".whl")]
        names = check_wheel(wheel)
        materials = bill_of_materials(wheel, Path(scratch) / "installed")
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        for path in first.values():
            shutil.copy(path, DIST)
    (DIST / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    (DIST / "CONTENTS.txt").write_text("".join(f"{name}\n" for name in names))
    (DIST / "sbom.json").write_text(materials)
    print(f"{DIST}: {', '.join(sums)}, equal in two builds; {len(names)} files in the wheel (CONTENTS.txt); sbom.json")


if __name__ == "__main__":
    main()
