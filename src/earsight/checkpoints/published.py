"""Published checkpoints in: SALMONN's and video-SALMONN's weights, with the parts they were trained on, to one folder.

trained weights (.pth)  +  Whisper, BEATs, InstructBLIP  +  language model  ->  safetensors that `from_pretrained` loads

Sizes come from the files themselves. Every tensor is asked for by name and shape before anything is written; what is
missing, unexpected or of no use is listed. The released behaviour is set by name in each importer.
"""

from earsight.checkpoints.published_model import ImportRefused, Report
from earsight.checkpoints.published_salmonn import import_salmonn
from earsight.checkpoints.published_video_salmonn import import_video_salmonn

__all__ = ["ImportRefused", "Report", "import_salmonn", "import_video_salmonn"]
