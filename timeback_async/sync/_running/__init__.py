"""A plan is carried out, and its outcome kept and reported."""
