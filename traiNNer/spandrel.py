"""Archs of traiNNer for spandrel: `install()` once, and its `ModelLoader` opens their files as it opens others.

    import traiNNer.spandrel
    traiNNer.spandrel.install()
    model = spandrel.ModelLoader().load_from_file("2xParagonSR2_Nano.safetensors")

Programs that bring their own spandrel, such as chaiNNer and ComfyUI, cannot be taught.
"""

from spandrel import (
    MAIN_REGISTRY,
    ArchId,
    Architecture,
    ArchSupport,
    ImageModelDescriptor,
    SizeRequirements,
    StateDict,
    UnsupportedModelError,
)
from torch import nn

from traiNNer.registry import ARCHS

OWN = {
    "ParagonSR2": "paragonsr2",
    "MAN": "man",
    "SPANPlus": "spanplus",
    "ArtCNN": "artcnn",
    "DIS": "dis",
    "EIMN": "eimn",
    "ELAN": "elan",
    "GateRV3": "gaterv3",
    "LKFMixer": "lkfmixer",
    "LMLT": "lmlt",
    "MoSRv2": "mosrv2",
    "RTMoSR": "rtmosr",
    "Sebica": "sebica",
    "SRFormer": "srformer",
    "SCUNet_aaf6aa": "scunet_aaf6aa",
}
"""Identifiers for spandrel, and the archs."""
BEFORE = {"SCUNet_aaf6aa": (ArchId("SCUNet"),)}
"""Archs of spandrel that take files of ours for theirs."""
USUAL_SCALE = 2
CHANNELS = ("in_chans", "num_in_ch", "in_ch", "in_channels", "colors", "in_nc")
"""Options that say how many channels images have."""


class OwnArchitecture(Architecture[nn.Module]):
    """How spandrel recognizes and builds an arch that is ours.

    Args:
        identifier: its name in spandrel.
        arch: its name here; it must declare `infer_options`.
        scale: of files that do not record theirs: tensors of ParagonSR2 are the same at every scale.
    """

    def __init__(self, identifier: str, arch: str, scale: int = USUAL_SCALE) -> None:
        traits = ARCHS[arch].traits
        assert traits.infer_options is not None
        self.infer, self.adapt = traits.infer_options, traits.adapt_state
        self.usual_scale = scale
        super().__init__(id=identifier, detect=lambda state: self.infer(state) is not None)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[nn.Module]:
        """Build the network of a state dict and describe it. Raises `UnsupportedModelError` for one of other shapes."""
        try:
            found = self.infer(state_dict) or {}
            arch, scale = found.pop("type"), found.pop("scale") or self.usual_scale
            network = ARCHS.build(arch, found, scale=scale, seed=0)
        except (LookupError, ValueError, TypeError) as error:
            raise UnsupportedModelError(f"{self.id} with tensors of other shapes ({error})") from None
        traits = ARCHS[arch].traits
        channels = next((found[option] for option in CHANNELS if option in found), 3)
        return ImageModelDescriptor(
            network,
            self.adapt(state_dict)[0] if self.adapt else state_dict,
            architecture=self,
            purpose="Restoration" if scale == 1 else "SR",
            tags=[arch],
            supports_half=True,
            supports_bfloat16=True,
            scale=scale,
            input_channels=channels,
            output_channels=found.get("num_out_ch") or found.get("out_channels") or channels,
            size_requirements=SizeRequirements(minimum=traits.least_size, multiple_of=traits.size_multiple),
        )


def install(scale: int = USUAL_SCALE) -> None:
    """Register every arch that is ours in spandrel's `MAIN_REGISTRY`; those that it has already are left.

    Args:
        scale: of ParagonSR2 files, which do not record theirs; published ones are 2x.
    """
    known = {support.architecture.id for support in MAIN_REGISTRY}
    for identifier, arch in OWN.items():
        if identifier not in known:
            own = OwnArchitecture(identifier, arch, scale)
            MAIN_REGISTRY.add(ArchSupport.from_architecture(own, before=BEFORE.get(identifier, ())))
