"""What is read at most, in one table. Beyond a limit stands an error that names it, never a hang or a full memory."""

# Data sets
CLASSES = 20_000
CLASS_NAME = 500  # characters
BOXES_PER_PICTURE = 10_000

# Files, in bytes
JSON_BYTES = 2**32
XML_BYTES = 2**30
XML_TAG = 2**20  # one tag with its attributes: parsing takes the square of its length
YAML_BYTES = 2**24
LABEL_BYTES = 2**26  # a YOLO or KITTI label file, a list of pictures, a sidecar
CSV_BYTES = 2**32

# Video
FRAME_PIXELS = 2**26  # 67 megapixels: twice 8k
