"""Every kind of case that reading or checking a data set can name: how grave it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Kind:
    level: Level  # error: training would refuse or lose something; warning: it would likely be worse for it
    remedy: str


KINDS: dict[str, Kind] = {
    # the data set as a whole
    "unusable data set": Kind("error", "mend the file that is named; nothing of this split was read"),
    "no boxes": Kind("error", "label some pictures, or look whether the labels lie elsewhere"),
    "unusable for training": Kind("error", "`ssd300 train` stops with these words; mend what they name"),
    "no training part": Kind("warning", "nothing, if it is to be measured on only; else call one part train"),
    "suspected box format": Kind("error", "write the boxes as the format says, or choose the format they are in"),
    "too many boxes": Kind("error", "mend the file; a picture does not have this many distinct objects"),
    # entries of annotation files
    "malformed entry": Kind("error", "mend or delete the entry"),
    "malformed line": Kind("error", "mend or delete the line"),
    "malformed XML": Kind("error", "write the file again"),
    "malformed box": Kind("error", "give the box four numbers"),
    "non-finite number": Kind("error", "draw the box again; look at the program that wrote it"),
    "unreadable label file": Kind("error", "write the file again as UTF-8 text"),
    "missing label file": Kind("error", "take the picture off the list, or write its label file"),
    "sidecar out of date": Kind("error", "convert again, or delete ssd300.json"),
    "field not used": Kind("note", "nothing; boxes, classes, flags, areas and scores are what training needs"),
    "numbers not used": Kind("note", "nothing, if they are key points or numbers of a tracker; else write boxes alone"),
    # ids and names
    "unknown image id": Kind("error", "add the picture to the file, or delete the box"),
    "unknown class id": Kind("error", "add the class to the list, or mend the box's class"),
    "duplicate class": Kind("error", "give every class one id and one name"),
    "class left out": Kind("note", "nothing; the entry has no boxes"),
    "duplicate image id": Kind("error", "give every picture its own id"),
    "duplicate annotation id": Kind("warning", "number the annotations anew; both boxes are kept"),
    "similar class names": Kind("warning", "make them one class if they are meant so"),
    "unused class": Kind("warning", "label some, or take it off the list"),
    "rare class": Kind("warning", "label more of it; so few boxes are hardly learnt, and AP on them is luck"),
    "unbalanced classes": Kind("note", "expect the rare ones to be found less; more pictures of them help most"),
    "class unknown in training": Kind("error", "move pictures of it to training, or leave its boxes out"),
    "class only in validation": Kind("warning", "it cannot be learnt: move pictures, or split again"),
    "class not in validation": Kind("note", "its AP cannot be measured: move pictures, or split again"),
    # pictures
    "missing picture": Kind("error", "put the picture there, or delete its entry"),
    "corrupt picture": Kind("error", "get the file again, or delete it and its entry"),
    "wrong picture size": Kind("error", "mend width and height, and see that the boxes fit the picture"),
    "EXIF-rotated picture": Kind("error", "turn the pixels and drop the tag, or draw the boxes on the upright picture"),
    "EXIF-turned picture": Kind("warning", "look at it with `ssd300 data view`: do the boxes fit the upright picture?"),
    "duplicate picture": Kind("warning", "delete one of them"),
    "similar pictures": Kind("note", "fine in one split; never let such a pair fall into two"),
    "train/validation leakage": Kind("error", "move the picture; the validation AP counts what was learnt by heart"),
    "picture listed twice": Kind("error", "merge the entries: the boxes of one would train as background in the other"),
    "picture not listed": Kind("note", "list it if it should be learnt from; it is not read"),
    "picture without label file": Kind("warning", "it trains as empty: write its label file if it has objects"),
    "label file without picture": Kind("error", "put the picture there, or delete the label file"),
    "label file shared": Kind("error", "give each picture its own name"),
    # boxes
    "box without picture": Kind("error", "mend the entry of its picture; it was left out with it"),
    "box over the edge": Kind("warning", "nothing; the box was cut to the picture"),
    "box outside": Kind("error", "draw the box again; it is left out, and its object trains as background"),
    "degenerate box": Kind("error", "draw the box again; it is left out, and its object trains as background"),
    "pixels instead of fractions": Kind("error", "divide by the picture's width and height"),
    "tiny box": Kind("warning", "cut the pictures into tiles, or mark it `ignore`: at 300x300 it is hardly there"),
    "duplicate box": Kind("warning", "delete one of them"),
    "one box, two classes": Kind("warning", "keep the right class, if it is one object"),
    "no matching prior": Kind("note", "each still gets its best default box, but learns slowly; see the shares above"),
}
