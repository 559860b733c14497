"""How fast it is on this machine: what `ssd300 benchmark` and the scripts in `benchmarks/` measure with."""
