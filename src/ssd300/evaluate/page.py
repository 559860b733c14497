"""The HTML of the report: one self-contained file without scripts, for light and dark, narrow and wide windows."""

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ssd300.evaluate import figures
from ssd300.evaluate.coco import STAT_NAMES, STAT_WORDS
from ssd300.evaluate.diagnosis import Diagnosis
from ssd300.evaluate.gallery import LEGEND, draw_thumbnail
from ssd300.evaluate.notes import format_count, list_warnings
from ssd300.evaluate.run import Evaluation

ERROR_WORDS = {
    "Cls": "classification: wrong class at IoU 0.5 or more",
    "Loc": "localization: right class at IoU 0.1 to 0.5",
    "Both": "both: wrong class at IoU 0.1 to 0.5",
    "Dupe": "duplicate: the box is already matched",
    "Bkg": "background: IoU below 0.1 with every box",
    "Miss": "missed: box without a detection",
    "FP": "all false positives",
    "FN": "all false negatives",
}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5f6b76; --paper: #ffffff; --line: #d9dee3; --bar: #0072b2;
  --warn: #fff3da; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa6b1; --paper: #15181b; --line: #343b42;
  --bar: #56b4e9; --warn: #3a2f16; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.1rem; font-weight: 600; color: var(--soft); margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
.answer { font-size: clamp(1.5rem, 6vw, 2.4rem); font-weight: 650; line-height: 1.2; margin: .3rem 0; }
.answer small { font-size: .5em; font-weight: 400; color: var(--soft); }
ul.warn { background: var(--warn); padding: .7rem 1rem .7rem 2rem; border-radius: .4rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; color: var(--soft); } th:first-child, td:first-child, td.words { text-align: left; }
td.words { white-space: normal; color: var(--soft); overflow-wrap: anywhere; min-width: 7.5rem; }
td.bar { min-width: 7rem; padding: 0; } td.bar i { display: block; height: .7rem; background: var(--bar); }
.tall .wide { max-height: 34rem; overflow: auto; }
.tall tr:first-child th { position: sticky; top: 0; background: var(--paper); }
figure { margin: .8rem 0; } figure svg { max-width: 100%; height: auto; display: block; }
.matrix svg { min-width: 34rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem 2rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); gap: 1rem; }
.pictures figure { margin: 0; } .pictures img { width: 100%; height: auto; border-radius: .3rem; display: block; }
.pictures figcaption { overflow-wrap: anywhere; }
.key b { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin: 0 .3rem 0 .8rem; }
"""


def html_page(evaluation: Evaluation, diagnosis: Diagnosis, numbers: dict[str, Any]) -> str:
    """The whole page. `numbers` is the JSON report of the same evaluation."""
    point = _operating_point(diagnosis)
    parts = [
        _head(numbers),
        _section("The 12 COCO metrics", "", _twelve(numbers)),
        _section(
            "Per class",
            "Best threshold: the score at which F1 is highest at IoU 0.5, on these pictures. With few boxes it is "
            "unreliable.",
            _classes(numbers),
        ),
        _section("Curves", "At IoU 0.5 unless stated.", _curves(evaluation, diagnosis)),
        _section("Kinds of error", _TIDE_WORDS, _error_kinds(numbers)),
        _section("Confusion matrix", f"{point}; shaded by the fraction of the row.", _confusion(evaluation, diagnosis)),
        _section("The worst pictures", f"Most wrong and missed boxes {point}.", _worst(evaluation, diagnosis)),
        _section("Settings", "", _origin(numbers)),
    ]
    title = escape(f"AP {_number(numbers['metrics']['AP'])} on {evaluation.dataset.name}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


_TIDE_WORDS = (
    "As in TIDE (Bolya et al. 2020): the gain of AP50 without errors of this kind. "
    "All detections above the score threshold count."
)


def _head(numbers: dict[str, Any]) -> str:
    data = numbers["dataset"]
    (ap, ap_low, ap_high), (ap50, low, high) = (
        (_number(numbers["metrics"][name]), *map(_number, numbers["interval"][name])) for name in ("AP", "AP50")
    )
    pictures = f"{format_count(data['pictures'], 'picture')} of {escape(data['name'])}"
    warnings = "".join(f"<li>{escape(text)}</li>" for text in list_warnings(numbers))
    return (
        f"<h1>ssd300 evaluate</h1>\n"
        f'<p class="answer">AP {ap} <small>95 % interval {ap_low} to {ap_high}</small><br>'
        f"AP50 {ap50} <small>{low} to {high}</small></p>\n"
        f"<p>on {pictures}: {format_count(data['boxes'], 'box', 'boxes')}, "
        f"{format_count(data['classes'], 'class', 'classes')}, "
        f"{format_count(numbers['detections'], 'detection')}.</p>\n"
        f'<p class="soft">AP is also called mAP. The intervals are from bootstrap over pictures, '
        f"{numbers['interval']['resamples']:,} resamples. For classes with few boxes AP is biased upwards: compare it "
        f"only with results on the same pictures.</p>\n" + (f'<ul class="warn">{warnings}</ul>\n' if warnings else "")
    )


def _twelve(numbers: dict[str, Any]) -> str:
    rows = [
        [name, _number(numbers["metrics"][name]), words] for name, words in zip(STAT_NAMES, STAT_WORDS, strict=True)
    ]
    halves = (_table(["", "", ""], half, words=(2,)) for half in (rows[:6], rows[6:]))
    return f'<div class="two">{"".join(halves)}</div>'


def _classes(numbers: dict[str, Any]) -> str:
    rows = []
    for row in sorted(numbers["classes"], key=lambda r: (r["AP"] is None, -(r["AP"] or 0))):
        best = row["best_threshold"]
        values = [_number(row[n]) for n in ("AP", "AP50", "AR")]
        score = "–" if best["score"] is None else f"{best['score']:.8g}"
        points = [_number(best[n], 2) for n in ("F1", "precision", "recall")]
        rows.append([row["name"], f"{row['boxes']:,}", *values, _bar(row["AP"]), score, *points])
    heads = ["class", "boxes", "AP", "AP50", "AR", "", "best threshold", "F1", "precision", "recall"]
    return f'<div class="tall">{_table(heads, rows, bar=5)}</div>'


def _curves(evaluation: Evaluation, diagnosis: Diagnosis) -> str:
    best = diagnosis.overall
    words = "No detection is right."
    if not math.isnan(best.best_f1):
        words = f"F1 is highest, {best.best_f1:.2f}, above score {best.best_threshold:.8g} (dotted)."
    words = f"All classes together. {words}" if len(best.thresholds) else "There are no boxes, or no detections."
    curves = (
        _figure(figures.precision_recall(evaluation.metrics), "Precision over recall: each class, and the mean."),
        _figure(figures.score_thresholds(best), words),
    )
    return f'<div class="two">{"".join(curves)}</div>'


def _error_kinds(numbers: dict[str, Any]) -> str:
    kinds = numbers["error_kinds"]
    most = max([k["AP50_lost"] or 0 for k in kinds.values()], default=0) or 1
    rows = []
    for kind, words in ERROR_WORDS.items():
        lost, count = kinds[kind]["AP50_lost"], kinds[kind]["count"]
        rows.append([words, _number(lost), _bar((lost or 0) / most), "" if count is None else f"{count:,}"])
    return _table(["", "AP50 lost", "", "number"], rows, words=(0,), bar=2)


def _operating_point(diagnosis: Diagnosis) -> str:
    if not len(diagnosis.overall.thresholds):
        return "at IoU 0.5"
    return f"at IoU 0.5, above score {diagnosis.threshold:.8g}"


def _confusion(evaluation: Evaluation, diagnosis: Diagnosis) -> str:
    names = evaluation.dataset.classes.names
    cut = f" The {figures.MATRIX_CLASSES} classes with most boxes." if len(names) > figures.MATRIX_CLASSES else ""
    words = f"Last column: boxes without a detection. Last row: detections without a box.{cut}"
    figure = _figure(figures.confusion(diagnosis.confusion, names), words)
    return f'<div class="matrix">{figure}</div>' if len(names) > 9 else figure


def _worst(evaluation: Evaluation, diagnosis: Diagnosis) -> str:
    key = "".join(f'<b style="background: rgb{color}"></b>{name}' for name, color in LEGEND.items())
    shown = []
    for errors in diagnosis.worst:
        url = draw_thumbnail(evaluation, errors)
        name = escape(evaluation.dataset.pictures[errors.position].file_name)
        counts = f"{len(errors.wrong)} wrong, {len(errors.missed)} missed, {len(errors.right)} right"
        image = f'<img src="{url}" alt="{name}">' if url else "<p>cannot be read</p>"
        shown.append(f"<figure>{image}<figcaption>{name}: {counts}</figcaption></figure>\n")
    if not shown:
        return "<p>No picture has an error.</p>"
    return f'<p class="key soft">{key}</p>\n<div class="pictures">{"".join(shown)}</div>'


def _origin(numbers: dict[str, Any]) -> str:
    rows = [[name, _value(value)] for name, value in numbers["settings"].items()]
    rows += [[f"model: {name}", _value(value)] for name, value in numbers["model"].items()]
    rows += [["time to detect", f"{numbers['seconds']:,.1f} s"]]
    rows += [["versions", ", ".join(f"{name} {number}" for name, number in numbers["versions"].items())]]
    return _table(["", ""], rows, words=(1,))


def _section(title: str, words: str, body: str) -> str:
    intro = f'<p class="soft">{escape(words)}</p>\n' if words else ""
    return f"<h2>{escape(title)}</h2>\n{intro}{body}\n"


def _figure(svg: str, words: str) -> str:
    return f'<figure><div class="wide" tabindex="0">{svg}</div><figcaption>{escape(words)}</figcaption></figure>\n'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: tuple[int, ...] = (), bar: int = -1) -> str:
    """A table of escaped text; the column `bar` holds ready HTML."""

    def cell(column: int, text: str) -> str:
        if column == bar:
            return f'<td class="bar">{text}</td>'
        return f"<td{' class=words' if column in words else ''}>{escape(text)}</td>"

    head = "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in heads) + "</tr>\n" if any(heads) else ""
    body = "".join("<tr>" + "".join(cell(c, text) for c, text in enumerate(row)) + "</tr>\n" for row in rows)
    return f'<div class="wide" tabindex="0"><table>\n{head}{body}</table></div>\n'


def _bar(share: float | None) -> str:
    return f'<i style="width: {100 * min(max(share or 0, 0), 1):.1f}%"></i>'


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
