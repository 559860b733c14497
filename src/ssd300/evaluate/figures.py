"""The figures of the report as SVG text, drawn by matplotlib. Text has the color of the page, light or dark."""

import io
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssd300.errors import needs
from ssd300.evaluate.coco import RECALL_POINTS, CocoMetrics
from ssd300.evaluate.diagnosis import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"  # placeholder of the page's text color until the SVG is written
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#882255", "#7f7f7f")
_NAMED_CLASSES = len(_COLORS)  # more curves than colors are drawn gray and without names
MATRIX_CLASSES = 20
_STYLE = {
    "svg.fonttype": "none",  # real text: searchable, and in the page's font
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def precision_recall(metrics: CocoMetrics) -> str:
    """Precision over recall: the mean over the classes at three IoU thresholds, and every class at IoU 0.5."""
    figure, axes = _square("precision-recall")
    counted = np.flatnonzero(metrics.boxes_of_class > 0)
    named = len(counted) <= _NAMED_CLASSES
    lines = []  # of the legend, which by itself leaves out names that begin with _
    for place, k in enumerate(counted.tolist()):
        color = _COLORS[place] if named else "#7f7f7f"
        label = _escape(metrics.classes.names[k]) if named else None
        (line,) = axes.plot(RECALL_POINTS, metrics.precision[0, :, k], color=color, lw=1.2, label=label)
        line.set(alpha=0.9 if named else 0.25, gid=f"class-{k}")
        lines += [line] if named else []
    if len(counted):
        for t, style in ((0, "-"), (5, "--"), (9, ":")):
            mean = metrics.precision[t][:, counted].mean(axis=1)
            lines += axes.plot(
                RECALL_POINTS, mean, color=_INK, lw=2.2, ls=style, label=f"mean, IoU {0.5 + 0.05 * t:.2f}"
            )
        axes.legend(handles=lines, frameon=False, fontsize=9, labelcolor=_INK, loc="lower left")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
    text = _svg(figure, "precision-recall")
    for k in counted.tolist():  # a tooltip with the curve's name
        group = f'<g id="class-{k}">'
        text = text.replace(group, f"{group}<title>{escape(metrics.classes.names[k])}</title>")
    return text


def score_thresholds(overall: Curve) -> str:
    """Precision, recall and F1 of all classes together over the score threshold, at IoU 0.5."""
    figure, axes = _square("thresholds")
    if len(overall.thresholds):
        keep = np.unique(np.linspace(0, len(overall.thresholds) - 1, 400).astype(int))
        scores, precision, recall = (a[keep] for a in (overall.thresholds, overall.precision, overall.recall))
        total = precision + recall
        f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
        for values, name, color in zip((precision, recall, f1), ("precision", "recall", "F1"), _COLORS, strict=False):
            axes.plot(scores, values, color=color, lw=1.8, label=name)
        axes.axvline(overall.best_threshold, color=_INK, lw=1, ls=":")
        axes.legend(frameon=False, fontsize=9, labelcolor=_INK)
    axes.set(xlabel="score threshold", xlim=(0, 1), ylim=(0, 1.01))
    return _svg(figure, "thresholds")


def confusion(matrix: NDArray[np.int64], names: tuple[str, ...]) -> str:
    """The confusion matrix [K + 1, K + 1], shaded by the fraction of the row; of many classes those with most boxes."""
    classes = len(names)
    chosen = np.sort(np.argsort(-matrix[:-1].sum(axis=1), kind="stable")[:MATRIX_CLASSES])
    order = np.append(chosen, classes)
    shown = matrix[np.ix_(order, order)]
    labels = [_truncate(names[k]) for k in chosen.tolist()] + ["nothing"]
    share = shown / np.maximum(matrix[order].sum(axis=1, keepdims=True), 1)

    matplotlib = require_matplotlib()
    with matplotlib.rc_context(_STYLE):
        side = 2.2 + 0.42 * len(order)
        figure = matplotlib.figure.Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        # Transparent to opaque, so that it suits both light and dark pages.
        shades = matplotlib.colors.LinearSegmentedColormap.from_list("share", [(0, 0.45, 0.7, 0), (0, 0.45, 0.7, 0.78)])
        axes.pcolormesh(share, cmap=shades, vmin=0, vmax=1, edgecolors="#7f7f7f40", linewidth=0.4)
        for (row, column), count in np.ndenumerate(shown):
            if count:
                axes.text(column + 0.5, row + 0.5, _count(int(count)), ha="center", va="center", fontsize=8)
        middles = np.arange(len(labels)) + 0.5
        axes.set_xticks(middles, labels, rotation=90, fontsize=9)
        axes.set_yticks(middles, labels, fontsize=9)
        axes.tick_params(length=0)
        axes.set(xlabel="found", ylabel="true", ylim=(len(labels), 0), aspect="equal")
    return _svg(figure, "confusion")


def _square(name: str) -> "tuple[Figure, Axes]":
    matplotlib = require_matplotlib()
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(figsize=(5.4, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.grid(color="#7f7f7f", alpha=0.25, lw=0.6)
    return figure, axes


def _svg(figure: "Figure", name: str) -> str:
    """The figure as an <svg> element without a background; deterministic."""
    out = io.StringIO()
    with require_matplotlib().rc_context({**_STYLE, "svg.hashsalt": name}):
        nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # here only: the page's reader has fonts of its own
            figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor").strip()


def _count(number: int) -> str:
    """The number, short enough for a cell: 12, 999, 1.2k, 34k."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 10_000 else f"{number / 1000:.0f}k"


def _truncate(name: str) -> str:
    return _escape(name if len(name) <= 16 else name[:15] + "…")


def _escape(name: str) -> str:
    """Escape the name: matplotlib interprets text between two $ as mathematics."""
    return name.replace("$", r"\$")


def require_matplotlib() -> Any:
    """Import matplotlib. Raises MissingExtraError if it is not installed."""
    with needs("the evaluation report", "eval"):
        import matplotlib
        import matplotlib.colors
        import matplotlib.figure
    return matplotlib
