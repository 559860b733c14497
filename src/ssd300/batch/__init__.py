"""Batches of very many pictures: list once, detect on one machine or a Ray cluster, write Parquet, resume.

    SOURCE... -> listing.py -> folder.py (the run) -> reading.py -> Detector -> rows.py -> part-000000.parquet, ...

`local.py` is the loop on this machine, `cluster.py` the one on Ray. Both write the same rows in the same files.
"""

from ssd300.errors import needs

with needs("`ssd300 batch`", "batch"):
    import pyarrow  # noqa: F401
