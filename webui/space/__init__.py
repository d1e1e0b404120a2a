"""The studio as a Hugging Face Space: what is uploaded, the checks before, and how it runs there.

`staging` lays out a Space's folder around `app.py`, `checks` looks it over and `upload` sends it.
In the Space, `app.py` calls `studio`; `zero` is all that knows about ZeroGPU.
"""
