"""Model files: safetensors with metadata, the published .pt, and the catalog of named models."""
