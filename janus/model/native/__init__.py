"""Kernels of our own for CPUs, built on the user's machine where there is a C compiler.

Without one, or on a CPU without AVX-512's VNNI and BF16, torch's kernels take their place.
"""
