"""The objects of a VOC file, or of one of LabelMe's older XML files, which has outlines instead of boxes."""

from xml.etree.ElementTree import Element

from ssd300.data.notes import Fault
from ssd300.data.records import LabeledObject
from ssd300.data.shapes import box_around, turned_box, visible_part
from ssd300.data.values import class_name, flag, number, numbers

EDGES = ("xmin", "ymin", "xmax", "ymax")
_USED = {"name", "difficult", "deleted"}  # the tags of an object that are used, beside its box or outline


def unused_tags(element: Element) -> list[str]:
    box = "bndbox" if element.find("polygon/pt") is None or element.find("bndbox") is not None else "polygon"
    return [child.tag for child in element if child.tag not in (*_USED, box)]


def is_deleted(element: Element) -> bool:
    """Whether LabelMe keeps an <object> that its user has deleted."""
    return (element.findtext("deleted") or "").strip() == "1"


def parse_object(element: Element, place: str, size_wh: tuple[int, int]) -> LabeledObject:
    """An <object>. Raises Fault if it cannot be used."""
    name = class_name(element.findtext("name"))
    if name is None:
        raise Fault("unknown class id", "the object has no <name>")
    texts = [element.findtext(f"bndbox/{edge}") for edge in EDGES]
    edges = numbers((text or "").strip() for text in texts)
    if element.find("bndbox") is None:
        edges = box_around([(point.findtext("x"), point.findtext("y")) for point in element.iterfind("polygon/pt")])
    if edges is None:
        given = ", ".join(f"{edge}={text!r:.40}" for edge, text in zip(EDGES, texts, strict=True))
        raise Fault("malformed box", f"the box has {given}; expected four numbers")
    if len(element.findall("bndbox")) > 1:
        raise Fault("malformed box", "the object has several <bndbox>; write an object for each")
    turn = next((a.findtext("value") for a in element.iter("attribute") if a.findtext("name") == "rotation"), None)
    edges = visible_part(turned_box(edges, turn), size_wh) if number(turn) else edges  # as CVAT writes it
    difficult = (element.findtext("difficult") or "").strip()
    return LabeledObject(name, edges, place, ignore=difficult.lower() == "true" or bool(flag(difficult)))
