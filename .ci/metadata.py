"""What the build says about the project: README.md with links that hold outside the repository, and its addresses.

`SSD300_HOME` is the repository's address, such as https://github.com/OWNER/ssd300; the release workflow sets it.
Without it links cannot be completed: relative links become their text, relative pictures are left out.
"""

import os
import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = r"\((?!#|[a-z]+:)([^)\s]+)\)"  # the target of a link to a file of the repository
PICTURE = re.compile(rf"!\[([^\]]*)\]{RELATIVE}")
LINK = re.compile(rf"(?<!!)\[([^\]]*)\]{RELATIVE}")


class MetadataHook(MetadataHookInterface):
    def update(self, metadata: dict[str, object]) -> None:
        home = os.environ.get("SSD300_HOME", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = with_absolute_links(text, home, f"v{metadata['version']}") if home else without_relative_links(text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = {"Source": home, "Changelog": f"{home}/blob/main/CHANGELOG.md"} if home else {}


def with_absolute_links(text: str, home: str, tag: str) -> str:
    """Markdown whose relative links lead to the files of a tag in the repository at `home`."""
    text = PICTURE.sub(rf"![\1]({home}/raw/{tag}/\2)", text)
    return LINK.sub(rf"[\1]({home}/blob/{tag}/\2)", text)


def without_relative_links(text: str) -> str:
    return LINK.sub(r"\1", PICTURE.sub("", text))
