"""The COCO numbers and the report around them."""
