"""What may be wrong with rows, as flags with a reason. Pure functions that drop and change nothing.

How each works, and its figures: docs/quality.md.
"""
