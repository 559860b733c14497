"""What is read at most, in one table. Beyond a limit stands an error that names it, never a hang or a full memory."""

# Pictures
PIXELS = 2**27  # 134 megapixels, 400 MB as RGB; beyond the largest phone pictures in common use
PIXELS_A_CPU = 2**24  # decoded at once; PIXELS where that is more
WAITING_PIXELS = 2**21  # of a picture that waits for a batch with its pixels; larger ones are read again
PICTURE_BYTES = 2**30  # of a file or stream
TIFF_NUMBERS = 2**29  # bytes of the numbers of a TIFF that NumPy reads
FETCHED_BYTES = 2**26  # of a picture from an address
FETCH_SECONDS = 60.0  # for a picture from an address, redirects included

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

# Models
MODEL_BYTES = 2**30  # of an .onnx; a ResNet-152 with 81 classes has 2**28
IR_BYTES = 2**26  # of an OpenVINO .xml, its numbers lie in the .bin
ONNX_NODES = 10_000  # a ResNet-152 in INT8 has 1,200
ACTIVATIONS = 2**29  # numbers in all values of a graph, for one picture; a ResNet-152 with 81 classes has 2**26
