"""The trainer: trains a digit classifier, evaluates it on the whole test set and exports it for TensorFlow Serving."""
