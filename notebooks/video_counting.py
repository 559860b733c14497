# %% [markdown]
# # Count objects in a video
# Frames, ids that last, a line that counts. The clip is made here: two cats go to the right, and two cups below them to
# the left. Give the path of your own, the number of a camera, or a stream's address. It needs `pip install ".[video]"`.

# %%
from pathlib import Path

from made_data import clip
from PIL import Image

import ssd300
from ssd300.draw import draw_boxes
from ssd300.tracking.bytetrack import LOW_SCORE, Tracker
from ssd300.tracking.counting import Line
from ssd300.tracking.drawing import draw_counts

Path("runs").mkdir(exist_ok=True)
video = clip(Path("runs/clip.mp4"))

# %% [markdown]
# ## Follow and count
# Everything from `LOW_SCORE` on goes into the tracker: an object that is half hidden scores low, but keeps its id. Only
# what is above `score_threshold` starts a track. Seen along its arrow, what crosses the line from left to right
# counts as in. The bundled model often calls this cat a dog as well, so only the classes of interest are asked for.

# %%
detector = ssd300.Detector.load()
tracker = Tracker(score_threshold=0.3)
line = Line((240, 320), (240, 0), anchor="center")
shown = []
for answer in detector.detect_video(video, score_threshold=LOW_SCORE, labels=["cat", "cup"], keep_pixels=True):
    tracks = tracker.update(answer.detections, answer.time_s)
    line.update(tracks)
    if answer.frame in (15, 30, 45, 60):
        captions = [f"{one.name} {one.track_id}" for one in tracks]
        frame = draw_boxes(answer.detections.picture, tracks.boxes_xyxy, captions, captions)
        draw_counts(frame, [line], [])
        shown.append(frame)
line.totals()

# %%
sheet = Image.new("RGB", (960, 640))
for number, frame in enumerate(shown):
    sheet.paste(frame, (480 * (number % 2), 320 * (number // 2)))
sheet

# %% [markdown]
# The same on the command line, with a drawn video:
# `ssd300 track clip.mp4 --labels cat,cup --conf 0.3 --line 240,320,240,0:center`
