# %% [markdown]
# # INT8 and export
# A model in INT8 runs faster than in float, if the CPU has instructions for it. `ssd300.quantize` measures what that
# costs and refuses to write a file that lost too much. `ssd300.export` writes files for other programs. It needs
# `pip install ".[quantize,onnx]"`.

# %%
import time
from pathlib import Path

import numpy as np
import onnxruntime
from made_data import PHOTOGRAPHS, photographs
from PIL import Image

import ssd300

runs = Path("runs")
calibration = ssd300.load_dataset(photographs(runs / "calibration", 24, seed=1))  # shows the ranges of values
held_out = ssd300.load_dataset(photographs(runs / "held-out", 24, seed=2))  # measures both models

# %% [markdown]
# ## Quantize
# The new file holds the float weights as they were, and what INT8 needs. On 24 pictures one box changes AP by
# hundredths, so more than the usual 0.003 is allowed here; with your own data use a few hundred pictures.

# %%
answer = ssd300.quantize("default", calibration, held_out, runs / "mine.safetensors", max_ap_drop=0.03)
print(f"AP in float {answer.float32.ap}")
print(f"AP in INT8  {answer.int8.ap}")
print(f"{len(answer.kept_float)} of {answer.convolutions} layers stay in float")
print("INT8 minus float:", answer.difference.ap)

# %% [markdown]
# ## How fast
# A JPEG file to boxes, the median of 20 times. The machine that executed this notebook was busy with other work:
# compare the two numbers, and run it on yours.

# %%
picture = PHOTOGRAPHS / "coffee.jpg"
for precision in ("f32", "int8"):
    detector = ssd300.Detector.load(runs / "mine.safetensors", precision=precision)
    times = []
    for _ in range(22):
        began = time.perf_counter()
        detector.detect(picture)
        times.append(time.perf_counter() - began)
    print(f"{precision:5} {1000 * np.median(times[2:]):.0f} ms")

# %% [markdown]
# ## Export to ONNX
# The file is compared with the original before it appears under its name.

# %%
print(ssd300.export(runs / "mine.safetensors", runs / "mine.onnx"))

# %% [markdown]
# onnxruntime alone reads it. The file takes RGB pixels of 300x300, 0 to 255; normalization and the choice of boxes are
# inside. Boxes are in 0..1 of the picture.

# %%
original = Image.open(picture).convert("RGB")
pixels = np.asarray(original.resize((300, 300), Image.Resampling.BILINEAR))[None]
session = onnxruntime.InferenceSession(runs / "mine.onnx", providers=["CPUExecutionProvider"])
boxes, scores, labels, number = session.run(None, {"pictures": pixels})
names = ssd300.COCO.names
for box, score, label in zip(boxes[0], scores[0], labels[0], strict=True):
    if score > 0.4:
        print(f"{names[label]} {score:.2f}", (box * [*original.size, *original.size]).round().astype(int).tolist())

# %% [markdown]
# The same picture, the same model, in ssd300:

# %%
for one in ssd300.Detector.load(runs / "mine.safetensors", precision="f32").detect(picture, score_threshold=0.4):
    print(f"{one.name} {one.score:.2f}", [round(side) for side in one.box_xyxy])
