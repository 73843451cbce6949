"""Rosters that are damaged as real exports are, and what may come of them.

`rosters` makes valid packages with their truth, the catalogue (`rows`, `cells`, `ids`, `lists`,
`texts`, `heads`, `packages`) damages them, and `verdict` compares what was read with the truth.
"""
