"""Every tensor that is a picture, in either direction.

`pixels` turns files into tensors and back, `encoder` and `aligner` are the path for seeing,
`tokenizer`, `codebook` and `decoder` the path for drawing. Knows nothing of `janus`.
"""
