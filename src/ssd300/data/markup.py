"""Parse XML annotation files, without entities, in the encoding that they declare."""

import codecs
import re
from pathlib import Path
from xml.etree.ElementTree import Element

from ssd300.data.reading import read_file
from ssd300.errors import DatasetError, needs
from ssd300.limits import XML_BYTES, XML_TAG

_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"'>]*)[\"'][^>]*\?>")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_LONG_TAG = re.compile(rb"<[^<>]{%d}[^<]" % (XML_TAG - 1))
# What Windows writes under these names has more characters.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}
_ALONE = '<?xml version="1.0" standalone="yes"?>'  # or entities of a DTD elsewhere would be left out without a word


def parse_xml(path: Path) -> Element:
    """The root element. Raises DatasetError if it cannot be read or is not XML."""
    with needs("reading XML annotations", "data"):
        from defusedxml import ElementTree as Defused
        from defusedxml.common import DefusedXmlException
    data = read_file(path, "XML file", XML_BYTES)
    if _LONG_TAG.search(data):  # the parser's time is quadratic in its length
        raise DatasetError(f"{path}: a tag has more than {XML_TAG:,} characters")
    try:
        root: Element = Defused.fromstring(_text(path, data))
    except DefusedXmlException as error:
        name = f" ({error.name:.40})" if hasattr(error, "name") else ""
        words = f"refused, it declares entities or a DTD{name}, which are not read; write it again without"
        raise DatasetError(f"{path}: {words}") from error
    except (Defused.ParseError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not valid XML: {error}") from error
    return root


def _text(path: Path, data: bytes) -> str:
    """Decode the text by its byte order mark, its declaration, or as UTF-8."""
    encoding = "utf-8-sig"
    declared = _DECLARED.match(data)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif declared and not data.startswith(codecs.BOM_UTF8):
        encoding = declared[1].decode("ascii", "replace")
    try:
        text = data.decode(_WIDER.get(codecs.lookup(encoding).name, encoding))
    except LookupError:
        try:
            text = data.decode("utf-8-sig")  # an unknown name like "ANSI": most such files are plain ASCII
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: its encoding {encoding!r} is not known; write it again as UTF-8") from error
    except UnicodeDecodeError as error:
        wanted = encoding.removesuffix("-sig")
        found = f"it is not {wanted} text (byte {error.start})"
        raise DatasetError(f"{path}: {found}; declare its encoding in its first line, or save it as UTF-8") from error
    return _ALONE + _DECLARATION.sub("", text, count=1).lstrip(" \t\r\n")
