"""The workbench: datasets, features, training and evaluation on the user's music; needs the extra `train`."""
