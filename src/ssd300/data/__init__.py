"""Data sets: COCO JSON, YOLO and Pascal VOC read into one `Dataset`; checks, conversion, packing."""
