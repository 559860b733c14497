"""SSD300, NVIDIA's published object detector, for ordinary CPUs."""

__version__ = "0.1.0"
