"""Write docs/notebooks/NAME.md and its pictures from notebooks/NAME.ipynb, outputs included: `make docs`."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "notebooks"
PICTURES = {"image/jpeg": ".jpg", "image/png": ".png", "image/svg+xml": ".svg"}


def page_of(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and the files that it shows, by name."""
    parts, files = [], {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            text, picture = read_output(output)
            if picture is not None:
                file = f"{name}-{len(files) + 1}{picture[0]}"
                files[file] = picture[1]
                parts.append(f"![What the code above draws]({file})")
            elif text.strip():
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.insert(1, f"*This page is `notebooks/{name}.ipynb`, as it was executed.*")
    return "\n\n".join(parts) + "\n", files


def read_output(output: dict[str, Any]) -> tuple[str, tuple[str, bytes] | None]:
    """The text of an output, and its picture as (extension, content) where it is one."""
    if output["output_type"] == "stream":
        return "".join(output["text"]), None
    data = output["data"]
    for kind, extension in PICTURES.items():
        if kind in data:
            content = "".join(data[kind])
            return "", (extension, content.encode() if extension == ".svg" else base64.b64decode(content))
    return "".join(data.get("text/plain", "")), None


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, files = page_of(json.loads(path.read_text(encoding="utf-8")), path.stem)
        (PAGES / f"{path.stem}.md").write_text(text, encoding="utf-8")
        for name, content in files.items():
            (PAGES / name).write_bytes(content)


if __name__ == "__main__":
    main()
