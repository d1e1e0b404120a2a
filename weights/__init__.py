"""Where weights come from and what their tensors are called.

Enters: a model's name or a folder. Leaves: tensors under their canonical names (the state-dict
names of transformers' Janus), streamed into a module or into a new folder. The folder
janus-emoji/ beside this file holds the bundled checkpoint. Builds no model and runs none.
"""
