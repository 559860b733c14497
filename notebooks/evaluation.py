# %% [markdown]
# # Evaluation and error analysis
# How good is a model, how sure is that number, and which errors cost most? Here the bundled model is measured on
# generated pictures: parts of three photographs on a plain background. It needs `pip install ".[eval]"`.

# %%
from pathlib import Path

from IPython.display import SVG, display
from made_data import photographs

import ssd300
from ssd300.data.view import contact_sheet, make_view
from ssd300.evaluate import compare, figures, write_report
from ssd300.evaluate.diagnosis import diagnose

data = ssd300.load_dataset(photographs(Path("runs/photographs"), 40))
contact_sheet([make_view(data, picture) for picture in data.pictures[:6]], 3, 210)

# %% [markdown]
# ## The numbers
# These are COCO's. The brackets hold the 95 % interval over pictures: with 40 pictures it is wide.

# %%
detector = ssd300.Detector.load(precision="f32")
result = ssd300.evaluate(detector, data)
print(result)
for name, ap, ap50, boxes in zip(
    data.classes.names,
    result.metrics.ap_of_class,
    result.metrics.ap50_of_class,
    result.metrics.boxes_of_class,
    strict=True,
):
    print(f"{name:8} {boxes:3} boxes  AP {ap:.3f}  AP50 {ap50:.3f}")

# %% [markdown]
# AP50 is far above AP: objects are found, but their boxes are loose.
#
# ## Kinds of error
# How much higher AP50 would be without the errors of one kind (TIDE).

# %%
diagnosis = diagnose(result.dataset, result.results)
for kind, (gain, count) in diagnosis.tide.items():
    print(f"{kind:5} {gain:.3f}" + ("" if count is None else f"  {count} times"))

# %% [markdown]
# Precision, recall and F1 over the score threshold; the line is at the best F1.

# %%
display(SVG(figures.score_thresholds(diagnosis.overall)))
print(f"best threshold {diagnosis.overall.best_threshold:.2f}: F1 {diagnosis.overall.best_f1:.2f}")

# %% [markdown]
# Confusions at that threshold: a row for each true class. Only classes of the data set are counted, so a cat that is
# also called a dog does not show here: `Detector.detect` gives all names.

# %%
names = (*data.classes.names, "nothing")
print(f"{'true, found':12}" + "".join(f"{name:>9}" for name in names))
for name, row in zip(names, diagnosis.confusion.tolist(), strict=True):
    print(f"{name:12}" + "".join(f"{count:9}" for count in row))

# %% [markdown]
# ## The worst picture
# Look at pictures before you change settings.

# %%
worst = diagnosis.worst[0]
found = result.results[worst.position]
print(f"{len(worst.right)} right, {len(worst.wrong)} wrong, {len(worst.missed)} missed")
found[found.scores >= diagnosis.overall.best_threshold].draw(data.pictures[worst.position])

# %% [markdown]
# ## Is another model better?
# Compare on the same pictures: what is difficult for both models cancels out. Here the other model is the same one in
# INT8.

# %%
gain = compare(result, ssd300.evaluate(ssd300.Detector.load(precision="int8"), data))
print("AP, INT8 minus float:", gain.ap)

# %% [markdown]
# All of it in one HTML file, to open or to send:

# %%
print(write_report(result, "runs/report"))
