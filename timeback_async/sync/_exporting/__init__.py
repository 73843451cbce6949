"""Read everything that TimeBack has, in the form in which it can be sent back."""
