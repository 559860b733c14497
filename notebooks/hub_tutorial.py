# %% [markdown]
# # SSD300 through torch.hub
# The steps of the published tutorial, on a clone of this repository: load the network and its helpers, prepare
# pictures, run, decode, keep scores above 0.35, draw. It needs `pip install ".[train]"`, and no GPU.
#
# The weights here are the bundled ones, so that nothing is downloaded. With `CHECKPOINT = None` they are the published
# ones (ResNet-50), which are downloaded once. The helpers cut the center of a picture and scale it to [-1, 1], as
# published; the bundled weights were trained on whole pictures with another normalization and score lower this way,
# so that 0.35 takes the place of the published 0.40. `ssd300.Detector` prepares pictures as each model expects.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle

CHECKPOINT = "default"  # the bundled weights; None: the published ones; or a file: .pt as published, .safetensors
repository = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "hubconf.py").exists())
pictures = sorted((repository / "examples" / "images").glob("*.jpg"))

# %% [markdown]
# ## The network and its helpers

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
ssd_model = torch.hub.load(str(repository), "nvidia_ssd", source="local", checkpoint=CHECKPOINT)
utils = torch.hub.load(str(repository), "nvidia_ssd_processing_utils", source="local")
ssd_model = ssd_model.to(device).eval()

# %% [markdown]
# ## Pictures
# `prepare_input` takes a path or an http(s) address and gives an array [300, 300, 3].

# %%
inputs = [utils.prepare_input(picture) for picture in pictures]
tensor = utils.prepare_tensor(inputs)

# %% [markdown]
# ## Objects
# Per picture: boxes [N, 4] as fractions of the 300x300 input, labels from 1, scores with the best last.

# %%
with torch.no_grad():
    detections_batch = ssd_model(tensor)
results_per_input = utils.decode_results(detections_batch)
best_results_per_input = [utils.pick_best(results, 0.35) for results in results_per_input]
classes_to_labels = utils.get_coco_object_dictionary()

# %%
figure, axes = plt.subplots(1, len(inputs), figsize=(5 * len(inputs), 5), squeeze=False)
for axis, prepared, path, best in zip(axes[0], inputs, pictures, best_results_per_input, strict=True):
    axis.imshow(prepared / 2 + 0.5)  # [-1, 1] -> [0, 1]
    axis.set_title(path.name)
    axis.axis("off")
    for (left, top, right, bottom), label, score in zip(*best, strict=True):
        x, y, width, height = (300 * v for v in (left, top, right - left, bottom - top))
        axis.add_patch(Rectangle((x, y), width, height, linewidth=1, edgecolor="r", facecolor="none"))
        text = f"{classes_to_labels[label - 1]} {score:.0%}"
        axis.text(x, y, text, fontsize=8, bbox={"facecolor": "white", "alpha": 0.5, "pad": 1})
        print(f"{path.name}: {text} at {x:.0f} {y:.0f} {x + width:.0f} {y + height:.0f}")
figure.savefig("hub_tutorial.png")
