"""How fast it is on this machine: what `ssd300 benchmark` and the scripts in `benchmarks/` measure with.

`detecting` and `cold_start` need the detecting half only; `training` needs torch.
"""
