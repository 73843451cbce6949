"""Compare what TimeBack has with what the files say."""
