"""Data for the notebooks, made from the three photographs of examples/images and from drawn shapes: nothing is fetched.

Each function writes into a folder and is the same for the same seed.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "hubconf.py").exists())
PHOTOGRAPHS = ROOT / "examples" / "images"
OBJECTS = (  # photograph, name of the object in it, its box in the photograph
    ("astronaut.jpg", "person", (17, 3, 464, 510)),
    ("chelsea.jpg", "cat", (80, 4, 412, 299)),
    ("coffee.jpg", "cup", (195, 45, 440, 320)),
)
SHAPES = ("ring", "cross", "wedge")


def photographs(folder: Path, pictures: int, seed: int = 0) -> Path:
    """A COCO data set of parts of the photographs, turned, scaled and side by side. Gives the path of its JSON."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        canvas = _background(draw, 480, 320)
        boxes = []
        for slot in range(int(draw.integers(1, 3))):
            photograph, name, box = OBJECTS[int(draw.integers(len(OBJECTS)))]
            part = Image.open(PHOTOGRAPHS / photograph).convert("RGB").crop(box)
            scale = float(draw.uniform(0.35, 0.75)) * 300 / max(part.size)
            part = part.resize([max(1, round(side * scale)) for side in part.size])
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else part
            left = int(draw.integers(0, 240 - min(part.width, 239))) + 240 * slot
            top = int(draw.integers(0, 320 - part.height))
            canvas.paste(part, (left, top))
            boxes.append((name, (left, top, part.width, part.height)))
        made.append((canvas, boxes))
    return _write(folder, made, [name for _, name, _ in OBJECTS])


def shapes(folder: Path, pictures: int, seed: int = 0) -> Path:
    """A COCO data set of rings, crosses and wedges on a noisy ground. Gives the path of its JSON."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        canvas = _background(draw, 300, 300)
        pen = ImageDraw.Draw(canvas)
        boxes = []
        for cell in draw.permutation(4)[: int(draw.integers(1, 4))].tolist():
            size = int(draw.integers(60, 120))
            left, top = (int(draw.integers(0, 150 - size)) + 150 * place for place in (cell % 2, cell // 2))
            name = SHAPES[int(draw.integers(len(SHAPES)))]
            _draw_shape(pen, name, left, top, size, tuple(draw.integers(0, 256, 3).tolist()))
            boxes.append((name, (left, top, size, size)))
        made.append((canvas, boxes))
    return _write(folder, made, SHAPES)


def clip(path: Path, frames: int = 75, rate: int = 15) -> Path:
    """A video of 480x320 in which two cats go to the right, and two cups below them to the left."""
    import av

    ground = _background(np.random.default_rng(3), 480, 320)
    movers = [  # object, height in pixels, y of its top, x of its left at the first frame, pixels a frame
        (1, 150, 5, -60.0, 7.0),
        (1, 150, 5, -270.0, 7.5),
        (2, 140, 170, 320.0, -6.0),
        (2, 140, 170, 560.0, -6.0),
    ]
    parts = [_part(which, height) for which, height, *_ in movers]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 480, 320, "yuv420p"
        for number in range(frames):
            canvas = ground.copy()
            for part, (_, _, top, left, speed) in zip(parts, movers, strict=True):
                canvas.paste(part, (round(left + speed * number), top))
            output.mux(stream.encode(av.VideoFrame.from_image(canvas)))
        output.mux(stream.encode(None))
    return path


def _part(which: int, height: int) -> Image.Image:
    photograph, _, box = OBJECTS[which]
    part = Image.open(PHOTOGRAPHS / photograph).convert("RGB").crop(box)
    return part.resize((round(part.width * height / part.height), height))


def _background(draw: np.random.Generator, width: int, height: int) -> Image.Image:
    """Soft blots of color with a little noise."""
    blots = Image.fromarray(draw.integers(60, 200, (4, 6, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = draw.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(blots) + noise, 0, 255).astype(np.uint8)).filter(ImageFilter.SMOOTH)


def _draw_shape(pen: ImageDraw.ImageDraw, name: str, left: int, top: int, size: int, color: tuple[int, ...]) -> None:
    right, bottom, third = left + size, top + size, size // 3
    if name == "ring":
        pen.ellipse((left, top, right, bottom), outline=color, width=size // 5)
    elif name == "cross":
        pen.rectangle((left + third, top, right - third, bottom), fill=color)
        pen.rectangle((left, top + third, right, bottom - third), fill=color)
    else:
        pen.polygon([(left, bottom), (left + size // 2, top), (right, bottom)], fill=color)


def _write(folder: Path, made: list, names: tuple[str, ...] | list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (canvas, boxes) in enumerate(made, 1):
        canvas.save(folder / f"{number:03}.jpg", quality=90)
        images.append({"id": number, "file_name": f"{number:03}.jpg", "width": canvas.width, "height": canvas.height})
        for name, box in boxes:
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": names.index(name) + 1}
            annotations.append({**row, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    path = folder / "boxes.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path
