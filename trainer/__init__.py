"""The trainer: trains a digit classifier, evaluates it on the whole test set, exports it for serving."""
