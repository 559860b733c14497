"""One-to-one assignment with the largest total gain."""

import numpy as np

from ssd300.arrays import Float64, Int64


def assign(gains: Float64) -> tuple[Int64, Int64]:
    """The pairs (rows, columns) of `gains` [M, N] with the largest sum, each row and column used at most once.

    Only positive gains make a pair; a negative one never forces its row and column into other pairs. Rows ascend.
    Independent groups are solved separately, so that isolated objects cost almost nothing; groups are solved by
    shortest augmenting paths (Jonker and Volgenant 1987).

    >>> assign(np.array([[0.9, 0.8], [0.8, 0.0]]))
    (array([0, 1]), array([1, 0]))
    >>> assign(np.zeros((0, 3)))
    (array([], dtype=int64), array([], dtype=int64))
    """
    chosen = []
    gains = np.maximum(gains, 0)
    for rows, columns in _split_groups(gains > 0):
        if len(rows) == 1 or len(columns) == 1:
            part = gains[np.ix_(rows, columns)]
            row, column = divmod(int(part.argmax()), len(columns))
            chosen.append((rows[row], columns[column]))
        else:
            part = gains[np.ix_(rows, columns)]
            chosen += [(rows[r], columns[c]) for r, c in _solve(part) if part[r, c] > 0]
    pairs = np.array(sorted(chosen), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _split_groups(allowed: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """The connected groups of the bipartite graph `allowed` bool [M, N]: their rows and columns, ascending."""
    rows, columns = np.nonzero(allowed)
    columns_of: dict[int, list[int]] = {}
    rows_of: dict[int, list[int]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        columns_of.setdefault(row, []).append(column)
        rows_of.setdefault(column, []).append(row)
    groups = []
    while columns_of:
        row, reached = columns_of.popitem()
        group_rows, group_columns, waiting = [row], [], reached
        while waiting:
            column = waiting.pop()
            if column not in rows_of:
                continue
            group_columns.append(column)
            for other in rows_of.pop(column):
                if other in columns_of:
                    group_rows.append(other)
                    waiting = waiting + columns_of.pop(other)
        groups.append((sorted(group_rows), sorted(group_columns)))
    return groups


def _solve(gains: Float64) -> list[tuple[int, int]]:
    """The best complete assignment of the shorter side of `gains` [M, N]."""
    if gains.shape[0] > gains.shape[1]:
        return [(row, column) for column, row in _solve(gains.T)]
    count, width = gains.shape
    row_price, column_price = np.zeros(count), np.zeros(width + 1)
    owner = np.full(width + 1, -1)  # row of each column; the last column is the start of each path
    for row in range(count):
        owner[width] = row
        column = width
        distance, before = np.full(width, np.inf), np.full(width, width)
        done = np.zeros(width + 1, bool)
        while owner[column] >= 0:
            done[column] = True
            here = owner[column]
            step = -gains[here] - row_price[here] - column_price[:width]
            shorter = ~done[:width] & (step < distance)
            distance[shorter], before[shorter] = step[shorter], column
            following = int(np.where(done[:width], np.inf, distance).argmin())
            shift = distance[following]
            row_price[owner[done]] += shift
            column_price[done] -= shift
            distance[~done[:width]] -= shift
            column = following
        while column != width:  # assign every column of the path to the row before it
            previous = int(before[column])
            owner[column] = owner[previous]
            column = previous
    return [(int(owner[column]), column) for column in range(width) if owner[column] >= 0]
