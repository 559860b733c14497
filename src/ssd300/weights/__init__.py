"""Model files: our safetensors with metadata, the published .pt, and the catalogue of named models."""
