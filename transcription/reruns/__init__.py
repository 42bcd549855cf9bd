"""A kept recording heard once more, by another model, in another language, with other phrases or another endpointing.

The work is a file job whose file is the recording; its result a session of its own. Pure: comparison.
"""
