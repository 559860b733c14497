"""Pictures in: from whatever the user passed to RGB uint8 arrays, by one decoder and one resize."""
