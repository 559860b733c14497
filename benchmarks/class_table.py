"""The table of a model card: AP, AP50 and the threshold with the best F1 of each class, best class first.

    python benchmarks/class_table.py --data coco_real [--split val] [--model default]

The threshold is chosen on the pictures that it is measured on, so with few boxes it is a rough one.
"""

import argparse
import json
import subprocess
import sys
from typing import Any


def evaluated(model: str, data: str, *options: str) -> dict[str, Any]:
    """The numbers of `ssd300 evaluate --json`."""
    command = [sys.executable, "-m", "ssd300", "evaluate", "--json", "--model", model, "--data", data, *options]
    return json.loads(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def class_rows(numbers: dict[str, Any]) -> list[str]:
    """The lines of the table; classes without boxes are left out."""
    head = "| class | boxes | AP | AP50 | threshold | precision there | recall there |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    rows = [row for row in numbers["classes"] if row["AP"] is not None]
    for row in sorted(rows, key=lambda row: -row["AP"]):
        best = row["best_threshold"] or {}
        cells = [f"{best[key]:.2f}" if best.get(key) is not None else "" for key in ("score", "precision", "recall")]
        lines.append(f"| {row['name']} | {row['boxes']} | {row['AP']:.3f} | {row['AP50']:.3f} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split")
    options = parser.parse_args()
    split = ["--split", options.split] if options.split else []
    print("\n".join(class_rows(evaluated(options.model, options.data, *split))))


if __name__ == "__main__":
    main()
