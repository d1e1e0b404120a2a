"""The Space: Janus in a web page, on ZeroGPU, on a GPU or on a CPU."""

import spaces  # isort: skip  # before torch, which it prepares for ZeroGPU

from pathlib import Path

from spaces.config import Config

from webui.app import serve
from webui.space.studio import studio

demo = studio(Path(__file__).with_name("README.md"), spaces.GPU if Config.zero_gpu else None)

if __name__ == "__main__":
    serve(demo)
    demo.block_thread()
