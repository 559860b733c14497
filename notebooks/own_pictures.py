# %% [markdown]
# # Train on generated pictures
# A detector for three kinds of shapes, from generated pictures, in about a minute on two CPU cores. Put your own data
# in their place: COCO, YOLO, Pascal VOC, CVAT, labelme and more are read as they are. It needs
# `pip install ".[train]"`.

# %%
from pathlib import Path

from IPython.display import Image
from made_data import shapes

import ssd300
from ssd300.data.view import contact_sheet, make_view

runs = Path("runs")
train_file = shapes(runs / "train", 40, seed=1)
val_file = shapes(runs / "val", 12, seed=2)

# %% [markdown]
# ## Look at the data first
# Wrong boxes are easy to see, and no statistic shows them.

# %%
data = ssd300.load_dataset(train_file)
print(f"{len(data)} pictures, classes {', '.join(data.classes.names)}")
contact_sheet([make_view(data, picture) for picture in data.pictures[:8]], 4, 220)

# %% [markdown]
# ## Train
# `quick` is the recipe for a few hundred pictures. It starts from the bundled weights. There are fewer here, so the
# learning rate rises within the first 10 steps, and more than half of the run sees small pictures, which is quicker.

# %%
run = ssd300.train(
    train_file,
    val_file,
    out=runs / "shapes",
    recipe="quick",
    epochs=12,
    warmup=10,
    image_sizes=(160, 300),
    size_milestones=(0.6,),
    validate_every=4,
)

# %%
Image(filename=run / "curves.png", width=640)

# %% [markdown]
# True boxes are on the left, found ones on the right.

# %%
Image(filename=run / "samples.jpg", width=640)

# %% [markdown]
# ## Detect
# `best.safetensors` is all that is needed from now on; detecting with it needs no torch.

# %%
detector = ssd300.Detector.load(run / "best.safetensors")
found = detector.detect(val_file.parent / "001.jpg", score_threshold=0.4)
for one in found:
    print(f"{one.name} {one.score:.2f}", [round(side) for side in one.box_xyxy])
found
