"""Archs of traiNNer for spandrel: `install()` once, and its `ModelLoader` opens their files as it opens others.

    import traiNNer.spandrel
    traiNNer.spandrel.install()
    model = spandrel.ModelLoader().load_from_file("2xParagonSR2_Nano.safetensors")

Programs that bring their own spandrel, such as chaiNNer and ComfyUI, cannot be taught; export to ONNX for those.
"""

from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchSupport,
    ImageModelDescriptor,
    StateDict,
    UnsupportedModelError,
)
from spandrel.util import KeyCondition

from traiNNer.archs.paragonsr2.network import ParagonSR2
from traiNNer.archs.paragonsr2.state import SIGNATURE, adapt_state, infer_options
from traiNNer.registry import ARCHS

USUAL_SCALE = 2


class ParagonSR2Architecture(Architecture[ParagonSR2]):
    """How spandrel recognizes and builds ParagonSR2.

    Args:
        scale: of files that do not record theirs. Tensors of ParagonSR2 are the same at every scale.
    """

    def __init__(self, scale: int = USUAL_SCALE) -> None:
        super().__init__(id="ParagonSR2", detect=KeyCondition.has_all(*SIGNATURE))
        self.usual_scale = scale

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[ParagonSR2]:
        """Build the network of a state dict and describe it. Raises `UnsupportedModelError` for one of other shapes."""
        try:
            found = infer_options(state_dict) or {}
            arch, recorded = found.pop("type"), found.pop("scale")
            scale = recorded or self.usual_scale
            network = ARCHS.build(arch, found, scale=scale, seed=0)
        except (KeyError, ValueError) as error:
            raise UnsupportedModelError(f"ParagonSR2 with tensors of other shapes ({error})") from None
        state, _ = adapt_state(state_dict)
        return ImageModelDescriptor(
            network,
            state,
            architecture=self,
            purpose="Restoration" if scale == 1 else "SR",
            tags=[arch.removeprefix("paragonsr2_"), f"{found.get('num_feat', network.conv_in.out_channels)}nf"],
            supports_half=True,
            supports_bfloat16=True,
            scale=scale,
            input_channels=found["in_chans"],
            output_channels=found["in_chans"],
        )


def install(scale: int = USUAL_SCALE) -> None:
    """Register ParagonSR2 in spandrel's `MAIN_REGISTRY`. Does nothing when it is registered already.

    Args:
        scale: of ParagonSR2 files, which do not record theirs; published ones are 2x.
    """
    if not any(support.architecture.id == "ParagonSR2" for support in MAIN_REGISTRY):
        MAIN_REGISTRY.add(ArchSupport.from_architecture(ParagonSR2Architecture(scale)))
