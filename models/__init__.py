"""The shipped model: flatbuffer, sidecar and card, read through `importlib.resources`."""
