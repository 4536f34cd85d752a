"""How the shipped model is made; needs the extra `train`."""
