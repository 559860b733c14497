"""Data sets: each format of docs/data.md read into one `Dataset`; checks, conversion, packing."""
