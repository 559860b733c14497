"""Speed measurements, for `ssd300 benchmark` and the scripts in `benchmarks/`."""
