"""All limits on input, in one table. Exceeding a limit is an error that names it, never a hang or exhausted memory.

SECURITY.md has the same table; a test compares them.
"""

# Pictures
PIXELS = 2**27  # 134 megapixels, 400 MB as RGB; beyond the largest phone pictures in common use
PIXELS_PER_CPU = 2**24  # decoded at once; PIXELS where that is more
WAITING_PIXELS = 2**21  # of a picture that waits for a batch with its pixels; larger ones are read again
PICTURE_BYTES = 2**30  # of a file or stream
PIPE_SECONDS = 30.0  # for the first piece of a pipe, and between two pieces
TIFF_NUMBERS = 2**29  # bytes of the numbers of a TIFF that NumPy reads
TIFF_DIRECTORIES = 64
TIFF_VALUES = 2**24  # of one tag
PNG_TEXT = 2**24  # bytes of one text once unpacked: enough for metadata, not for a bomb

# Addresses
FETCHED_BYTES = 2**26  # of a picture from an address
FETCH_SECONDS = 60.0  # for a picture from an address, redirects included
FETCH_SILENCE = 10.0  # seconds to connect, and between two pieces of the answer
REDIRECTS = 5
DOWNLOADED_BYTES = 2**30  # of a model file
DOWNLOAD_SECONDS = 6 * 3600.0  # 1 GiB at 50 kB/s
DOWNLOAD_ANSWER = 120.0  # seconds until the answer begins, redirects and all addresses of a name together
DOWNLOAD_SILENCE = 30.0  # seconds to connect, and between two pieces of the answer

# Video
FRAME_PIXELS = 2**26  # 67 megapixels: twice 8k
STREAM_SILENCE = 10.0  # seconds; a stream that sends nothing for this long counts as cut

# Data sets
CLASSES = 20_000
CLASS_NAME = 500  # characters
BOXES_PER_PICTURE = 10_000
JSON_BYTES = 2**32  # the header of a packed file and a sidecar, too
CSV_BYTES = 2**32  # a list of pictures, too
XML_BYTES = 2**30
XML_TAG = 2**20  # one tag with its attributes: parsing takes the square of its length
YAML_BYTES = 2**24
FOLDER_FILES = 5_000_000  # in the folder of a part, at any depth: a walk takes about ten seconds
SIMILAR_PICTURES = 200_000  # compared with one another by `data check`: minutes, and four times that for twice as many
LABEL_BYTES = 2**26  # a YOLO or KITTI label file, a file of tracks

# Models
MODEL_BYTES = 2**30  # of an .onnx or .bin; a ResNet-152 with 81 classes has 2**28
IR_BYTES = 2**26  # of an OpenVINO .xml, whose weights are in the .bin
ONNX_NODES = 10_000  # a ResNet-152 in INT8 has 1,200
ACTIVATIONS = 2**29  # numbers in all values of a graph, for one picture; a ResNet-152 with 81 classes has 2**26
ZIP_DIRECTORY = 2**24  # bytes, of a .pt; a ResNet-152 with its optimizer has 200,000
PICKLE_BYTES = 2**26  # of one pickle; that of a ResNet-152 with its optimizer has 200,000
PICKLE_OPCODES = 1_000_000  # the same file has 90,000
PICKLE_DIMENSIONS = 8
PLAIN_CLASSES = 65_536  # of a file without metadata

# Server: what has no setting
PICTURE_NAME = 255  # characters
PART_HEAD = 4096  # bytes of the headers of one part
JSON_VALUES = 2**22  # of a request: more hold up other requests while they are read
JSON_LISTS = 2**21  # each takes the memory and time of several numbers; pixels as [H, W, 3] have a third of the values
JSON_NAMES = 2**16  # of members of objects, which take more; a request has dozens
HEAD_SECONDS = 8.0  # for the head of a request, from when the connection is free for it
READING_SECONDS = 8.0  # in which a client must take READING_BYTES of an answer that waits for it
READING_BYTES = 2**18  # answers are sent in such pieces; 1 MiB would cut off clients with 1 Mbit/s
FETCHED_AT_ONCE = 8  # addresses, of all requests together
